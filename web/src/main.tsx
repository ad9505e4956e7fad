import '@mantine/core/styles.css'
import './styles/fonts.css'
import './styles/base.css'
import './styles/layout.css'
import './styles/parts.css'
import './styles/alerts.css'
import './styles/query.css'
import './styles/content.css'
import { MantineProvider } from '@mantine/core'
import { QueryClientProvider } from '@tanstack/react-query'
import { StrictMode, type ReactNode } from 'react'
import { createRoot } from 'react-dom/client'
import { BrowserRouter } from 'react-router'
import { App } from './app'
import { useLanguage } from './i18n'
import { ClientProvider, newSession } from './session'
import { schemeManager, theme } from './theme'

const root = document.getElementById('root')
if (!root) throw new Error('index.html has no element with the id root')
const session = newSession()

/** Every text is read while it is drawn, so another language is a new drawing of the whole. */
function Translated(): ReactNode {
  return <App key={useLanguage()} />
}

createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto" colorSchemeManager={schemeManager}>
      <QueryClientProvider client={session.queries}>
        <ClientProvider value={session.client}>
          <BrowserRouter>
            <Translated />
          </BrowserRouter>
        </ClientProvider>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
)
