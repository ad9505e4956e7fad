// A range of time as the address of a page keeps it: "24h" back from now, or
// from and to as local date and time, "2026-11-22T10:30".

export const spans = { '1h': 3600, '24h': 86400, '7d': 7 * 86400, '30d': 30 * 86400 } as const
export type Span = keyof typeof spans

export interface TimeRange {
  span: Span | 'all' | 'between'
  from: string
  to: string
}

export function rangeOf(params: URLSearchParams, usual: TimeRange['span']): TimeRange {
  const from = params.get('from') ?? ''
  const to = params.get('to') ?? ''
  if (from || to) return { span: 'between', from, to }
  const span = params.get('range') ?? usual
  return { span: span === 'all' || Object.hasOwn(spans, span) ? (span as Span) : usual, from: '', to: '' }
}

const absolute = (text: string): string | undefined => {
  const time = text === '' ? NaN : Date.parse(text)
  return Number.isNaN(time) ? undefined : new Date(time).toISOString()
}

/** The range as the server is asked for it; a date that is none asks for no bound. */
export function bounds(range: TimeRange, now: number): { from?: string; to?: string } {
  if (range.span === 'all') return {}
  if (range.span === 'between') return { from: absolute(range.from), to: absolute(range.to) }
  return { from: new Date(now - spans[range.span] * 1000).toISOString() }
}

/** A time as an input of date and time takes it: local, to the minute. */
export function localInput(time: Date): string {
  const pad = (n: number): string => String(n).padStart(2, '0')
  return `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())}T${pad(time.getHours())}:${pad(time.getMinutes())}`
}

/** What an address has may be such an input's text or a server's time; the input shows either. */
export function inputValue(text: string): string {
  const time = text === '' ? NaN : Date.parse(text)
  return Number.isNaN(time) ? '' : localInput(new Date(time))
}
