import '@mantine/core/styles.css'
import './styles/fonts.css'
import './styles/base.css'
import './styles/layout.css'
import './styles/parts.css'
import './styles/alerts.css'
import './styles/query.css'
import { MantineProvider } from '@mantine/core'
import { QueryClientProvider } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { BrowserRouter } from 'react-router'
import { App } from './app'
import { ClientProvider, newSession } from './session'
import { schemeManager, theme } from './theme'

const root = document.getElementById('root')
if (!root) throw new Error('index.html has no element with the id root')
const session = newSession()

createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto" colorSchemeManager={schemeManager}>
      <QueryClientProvider client={session.queries}>
        <ClientProvider value={session.client}>
          <BrowserRouter>
            <App />
          </BrowserRouter>
        </ClientProvider>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
)
