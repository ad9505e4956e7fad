/**
 * JSON that keeps whole numbers whole. A process's start time in nanoseconds
 * and SQLite's 64-bit values pass 2^53 on any machine that has been up for a
 * hundred days; as a double such a number names another process. Integers
 * beyond what a double holds exactly become bigint, and go back unchanged.
 */
export type Integer = number | bigint

// Drawn anew in each page, so that no text of an endpoint's can carry it.
const mark = `int:${Math.random().toString(36).slice(2)}:`
const longNumber = /\d{16}/
const tokens = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g

export function parse(text: string): unknown {
  if (!longNumber.test(text)) return JSON.parse(text) as unknown
  const marked = text.replace(tokens, (token) => {
    if (token.length < 16 || token[0] === '"' || /[.eE]/.test(token)) return token
    return Number.isSafeInteger(Number(token)) ? token : JSON.stringify(mark + token)
  })
  return JSON.parse(marked, (_key, value: unknown) =>
    typeof value === 'string' && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  ) as unknown
}

export function stringify(value: unknown): string {
  const text = JSON.stringify(value, (_key, v: unknown) => (typeof v === 'bigint' ? mark + v.toString() : v))
  return text.replaceAll(new RegExp(`"${mark}(-?\\d+)"`, 'g'), '$1')
}
