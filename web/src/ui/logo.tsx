import type { ReactNode } from 'react'

/** The mark: a shield that records. */
export function Logo({ size = 26 }: { size?: number }): ReactNode {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="#12607f" />
      <path
        d="M16 5.5 24.5 9v7.2c0 5-3.5 8.600-8.500 10.500-5-1.900-8.500-5.500-8.500-10.500V9z"
        fill="none"
        stroke="#fff"
        strokeWidth="2"
        strokeLinejoin="round"
      />
      <path
        d="M8.500 16.500h4l2-4.500 3.200 8 2-3.500h3.800"
        fill="none"
        stroke="#7fe0c8"
        strokeWidth="2"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  )
}
