import { createTheme, type MantineColorsTuple } from '@mantine/core'

const tide: MantineColorsTuple = [
  '#e8f5f9', '#d3e8f0', '#a6d1e0', '#76b9d0', '#50a5c3', '#3798bb', '#23799b', '#12607f', '#0d4f69', '#083c51',
]

export const theme = createTheme({
  primaryColor: 'tide',
  primaryShade: { light: 7, dark: 6 },
  colors: {
    tide,
    dark: ['#e3eaee', '#b9c6ce', '#9aabb5', '#7c8f9a', '#3b4a54', '#2a363f', '#1c262d', '#161e24', '#11181d', '#0c1115'],
  },
  fontFamily: 'var(--font)',
  fontFamilyMonospace: 'var(--mono)',
  headings: { fontFamily: 'var(--font)', fontWeight: '620' },
  fontSizes: { xs: '12px', sm: '13px', md: '13.5px', lg: '15px', xl: '17px' },
  defaultRadius: 'sm',
  cursorType: 'pointer',
  autoContrast: true,
  respectReducedMotion: true,
})

export type Scheme = 'light' | 'dark' | 'auto'
const key = 'edr.theme'

/** Keeps the choice under our own key, which public/theme.js reads before the first paint. */
export const schemeManager = {
  get: (fallback: Scheme): Scheme => {
    try {
      const value = localStorage.getItem(key)
      return value === 'light' || value === 'dark' || value === 'auto' ? value : fallback
    } catch {
      return fallback
    }
  },
  set: (value: Scheme): void => {
    try {
      localStorage.setItem(key, value)
    } catch {
      // Without storage the choice holds for this page only.
    }
  },
  subscribe: (): void => {},
  unsubscribe: (): void => {},
  clear: (): void => {
    try {
      localStorage.removeItem(key)
    } catch {
      // Nothing was kept.
    }
  },
}
