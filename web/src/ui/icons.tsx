import type { ReactNode } from 'react'

const paths = {
  overview: 'M4 4h6v7H4zM14 4h6v4h-6zM14 12h6v8h-6zM4 15h6v5H4z',
  alerts: 'M12 4 2.800 19.500h18.400zM12 10v4.500M12 17v.2',
  hosts: 'M3.500 5h17v10.500h-17zM8.500 19.500h7M12 15.500v4',
  query: 'M5 6.500l5 5-5 5M12.500 17.500H20',
  rules: 'M5 5.500h14M5 12h14M5 18.500h8M17 16l2 2 3-3.500',
  packs: 'M12 3.500 20 8v8l-8 4.500L4 16V8zM4 8l8 4.500L20 8M12 12.500v8',
  events: 'M4 6h2M9 6h11M4 12h2M9 12h11M4 18h2M9 18h11',
  groups: 'M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM16.500 13.500v6M13.500 16.500h6',
  settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 4.800v4.400M9 14.800v4.400',
  responses: 'M13 3 5 13.500h6L10 21l9-11h-6.500z',
  results: 'M4 18.500V13M10 18.500V6M16 18.500v-8M21 18.500H3',
  users: 'M9 11.500a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM2.500 19.500c.4-3.500 3-5.500 6.500-5.500s6.100 2 6.500 5.500M16 11a3 3 0 1 0-1.500-5.600M18 14.500c2 .6 3.200 2.300 3.500 5',
  audit: 'M6 3.500h9l4 4v13H6zM14.500 3.500V8H19M9 12h7M9 16h7',
  close: 'M6 6l12 12M18 6 6 18',
  chevron: 'M9 5.500 15.500 12 9 18.500',
  copy: 'M9 9h10.500v10.500H9zM5 15H4.500V4.500H15V5',
  check: 'M5 12.500 10 17.500 19.500 7',
  search: 'M11 17.500a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13zM16 16l4.500 4.500',
  play: 'M7 4.500v15l12-7.500z',
  stop: 'M6 6h12v12H6z',
  kill: 'M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17zM8.500 8.500l7 7M15.500 8.500l-7 7',
  info: 'M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17zM12 11v5.500M12 7.500v.2',
  warn: 'M12 4 2.800 19.500h18.400zM12 10v4.500M12 17v.2',
  plus: 'M12 5v14M5 12h14',
  download: 'M12 4v11M7 10.500l5 5 5-5M4.500 19.500h15',
  clock: 'M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17zM12 7.500V12l3 2',
  link: 'M10 14a4 4 0 0 0 5.700 0l3-3A4 4 0 0 0 13 5.300l-1 1M14 10a4 4 0 0 0-5.700 0l-3 3A4 4 0 0 0 11 18.700l1-1',
} as const

export type IconName = keyof typeof paths

export function Icon({ name, size = 17 }: { name: IconName; size?: number }): ReactNode {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.8"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={paths[name]} />
    </svg>
  )
}
