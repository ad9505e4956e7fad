import type { Integer } from '../api/json'
import { locale, t } from '../i18n'

const zero = '0001-01-01T00:00:00Z'

/** A time of the server's, or null where there is none. */
export function parseTime(text: string | null | undefined): Date | null {
  if (!text || text === zero) return null
  const time = new Date(text)
  return Number.isNaN(time.getTime()) ? null : time
}

export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let i = 0
  while (Math.abs(n) >= 1024 && i < units.length - 1) {
    n /= 1024
    i++
  }
  return `${i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[i]}`
}

export function count(n: Integer): string {
  return n.toLocaleString(locale())
}

// Formatters are dear to make and a list needs one for each row.
const made = new Map<string, unknown>()
function once<T>(kind: string, make: (tag: string) => T): T {
  const key = `${kind} ${locale()}`
  const had = made.get(key) as T | undefined
  if (had !== undefined) return had
  const fresh = make(locale())
  made.set(key, fresh)
  return fresh
}

type Unit = 'day' | 'hour' | 'minute' | 'second'
const unit = (n: number, name: Unit): string =>
  once(`unit ${name}`, (tag) => new Intl.NumberFormat(tag, { style: 'unit', unit: name, unitDisplay: 'short' })).format(n)

/** Seconds as the two largest units: "3 days 4 hr". */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds))
  const parts: [number, Unit][] = [
    [Math.floor(s / 86400), 'day'],
    [Math.floor(s / 3600) % 24, 'hour'],
    [Math.floor(s / 60) % 60, 'minute'],
    [s % 60, 'second'],
  ]
  const first = parts.findIndex(([n]) => n > 0)
  if (first < 0) return unit(0, 'second')
  return parts
    .slice(first, first + 2)
    .filter(([n]) => n > 0)
    .map(([n, name]) => unit(n, name))
    .join(' ')
}

/** "4 sec. ago", "in 2 min.", in the page's language. */
export function ago(time: Date, now: number): string {
  const seconds = Math.round((time.getTime() - now) / 1000)
  const whole = Math.abs(seconds)
  if (whole < 2) return t('time.now')
  const relative = once('ago', (tag) => new Intl.RelativeTimeFormat(tag, { style: 'short', numeric: 'always' }))
  const sign = Math.sign(seconds)
  if (whole < 60) return relative.format(seconds, 'second')
  if (whole < 3600) return relative.format(sign * Math.floor(whole / 60), 'minute')
  if (whole < 86400 * 2) return relative.format(sign * Math.floor(whole / 3600), 'hour')
  return relative.format(sign * Math.floor(whole / 86400), 'day')
}

/** Local date and time to the second, as the page's language writes it. */
export function stamp(time: Date): string {
  return once('stamp', (tag) => new Intl.DateTimeFormat(tag, {
    year: 'numeric', month: 'short', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
  })).format(time)
}

/** A point on an axis: the hour within a day or two, the day beyond. */
export function axisTime(time: Date, bucketSeconds: number): string {
  return bucketSeconds < 12 * 3600
    ? once('axis hour', (tag) => new Intl.DateTimeFormat(tag, { weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })).format(time)
    : once('axis day', (tag) => new Intl.DateTimeFormat(tag, { month: 'short', day: 'numeric' })).format(time)
}
