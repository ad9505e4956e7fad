import type { Integer } from '../api/json'

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
  return n.toLocaleString('en')
}

/** Seconds as the two largest units: "3 d 4 h". */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds))
  const parts: [number, string][] = [
    [Math.floor(s / 86400), 'd'],
    [Math.floor(s / 3600) % 24, 'h'],
    [Math.floor(s / 60) % 60, 'min'],
    [s % 60, 's'],
  ]
  const first = parts.findIndex(([n]) => n > 0)
  if (first < 0) return '0 s'
  return parts
    .slice(first, first + 2)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n} ${unit}`)
    .join(' ')
}

/** "4 s ago", "in 2 min". */
export function ago(time: Date, now: number): string {
  const seconds = Math.round((now - time.getTime()) / 1000)
  if (Math.abs(seconds) < 2) return 'now'
  const whole = Math.abs(seconds)
  const text =
    whole < 60
      ? `${whole} s`
      : whole < 3600
        ? `${Math.floor(whole / 60)} min`
        : whole < 86400 * 2
          ? `${Math.floor(whole / 3600)} h`
          : `${Math.floor(whole / 86400)} d`
  return seconds < 0 ? `in ${text}` : `${text} ago`
}

const pad = (n: number): string => String(n).padStart(2, '0')

/** Local time as 2026-11-22 10:30:05, the same length always. */
export function stamp(time: Date): string {
  return (
    `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())} ` +
    `${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}`
  )
}
