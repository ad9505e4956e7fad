import type { Value } from '../api/types'

/** A run of text: as it is, or one character that must not act as itself. */
export interface Piece {
  text: string
  /** What the character is, where it is shown instead of acting. */
  special?: string
}

const names: Record<number, string> = {
  0x09: 'TAB',
  0x0a: 'LINE FEED',
  0x0d: 'CARRIAGE RETURN',
  0x1b: 'ESCAPE',
  0x00: 'NULL',
  0x7f: 'DELETE',
  0x00ad: 'SOFT HYPHEN',
  0x061c: 'ARABIC LETTER MARK',
  0x200b: 'ZERO WIDTH SPACE',
  0x200c: 'ZERO WIDTH NON-JOINER',
  0x200d: 'ZERO WIDTH JOINER',
  0x200e: 'LEFT-TO-RIGHT MARK',
  0x200f: 'RIGHT-TO-LEFT MARK',
  0x2028: 'LINE SEPARATOR',
  0x2029: 'PARAGRAPH SEPARATOR',
  0x202a: 'LEFT-TO-RIGHT EMBEDDING',
  0x202b: 'RIGHT-TO-LEFT EMBEDDING',
  0x202c: 'POP DIRECTIONAL FORMATTING',
  0x202d: 'LEFT-TO-RIGHT OVERRIDE',
  0x202e: 'RIGHT-TO-LEFT OVERRIDE',
  0x2060: 'WORD JOINER',
  0x2066: 'LEFT-TO-RIGHT ISOLATE',
  0x2067: 'RIGHT-TO-LEFT ISOLATE',
  0x2068: 'FIRST STRONG ISOLATE',
  0x2069: 'POP DIRECTIONAL ISOLATE',
  0xfeff: 'ZERO WIDTH NO-BREAK SPACE',
}

// Controls, soft hyphen, everything that reorders or hides, fillers that look
// like nothing, tags, variation selectors supplement, and lone surrogates.
const specials =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]|\p{Surrogate}/u
const everySpecial = new RegExp(specials.source, 'gu')

const symbols: Record<number, string> = { 0x09: '\\t', 0x0a: '\\n', 0x0d: '\\r', 0x1b: '\\e', 0x00: '\\0' }

export function hex(code: number): string {
  return code.toString(16).toUpperCase().padStart(4, '0')
}

/** Splits a text from outside into runs that are safe to show one after another. */
export function pieces(text: string): Piece[] {
  if (!specials.test(text)) return [{ text }]
  const out: Piece[] = []
  let from = 0
  for (const match of text.matchAll(everySpecial)) {
    if (match.index > from) out.push({ text: text.slice(from, match.index) })
    const code = match[0].codePointAt(0) ?? 0
    const symbol = symbols[code] ?? `\\u{${hex(code)}}`
    const name = names[code]
    out.push({ text: symbol, special: name ? `U+${hex(code)} ${name}` : `U+${hex(code)}` })
    from = match.index + match[0].length
  }
  if (from < text.length) out.push({ text: text.slice(from) })
  return out
}

/** The same as one text, for titles and other places that hold no elements. */
export function plain(text: string): string {
  return pieces(text)
    .map((p) => p.text)
    .join('')
}

export function shorten(text: string, most: number): string {
  if (text.length <= most) return text
  const cut = text.slice(0, most)
  return /[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut
}

/** The text of a SQL value; null for NULL, which is not the empty text. */
export function valueText(value: Value | undefined): string | null {
  if (value === null || value === undefined) return null
  if (typeof value === 'object') return `base64:${value.base64}`
  return String(value)
}

export function compareValues(a: Value | undefined, b: Value | undefined): number {
  const left = rank(a)
  const right = rank(b)
  if (left !== right) return left - right
  if (left === 1) return (a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0
  const x = valueText(a) ?? ''
  const y = valueText(b) ?? ''
  // Older columns hold numbers as text; 9 still comes before 10.
  if (x !== '' && y !== '' && !Number.isNaN(Number(x)) && !Number.isNaN(Number(y))) return Number(x) - Number(y)
  return x < y ? -1 : x > y ? 1 : 0
}

// SQLite's own order of types: NULL, numbers, text, blobs.
function rank(v: Value | undefined): number {
  if (v === null || v === undefined) return 0
  if (typeof v === 'number' || typeof v === 'bigint') return 1
  return typeof v === 'string' ? 2 : 3
}
