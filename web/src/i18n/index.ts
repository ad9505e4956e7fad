import { en } from './en'

export type Key = keyof typeof en
type Vars = Record<string, string | number | bigint>
type Catalog = Partial<Record<Key, string>>

// The page's language. Another catalogue comes beside English, and what it
// lacks is shown in English rather than not at all.
const catalogues: Record<string, Catalog> = { en }
const language = 'en'
const plural = new Intl.PluralRules(language)

/** The text of a key, with {name} replaced by the variables of that name. */
export function t(key: Key, vars?: Vars): string {
  const text = catalogues[language]?.[key] ?? en[key]
  if (!vars) return text
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = vars[name]
    return value === undefined ? whole : typeof value === 'string' ? value : value.toLocaleString(language)
  })
}

type Stem<K> = K extends `${infer S}.other` ? S : never
export type CountKey = Stem<Key>

/** As t, in the form that the number n asks for; {n} is the number. */
export function tn(stem: CountKey, n: number, vars?: Vars): string {
  const form = `${stem}.${plural.select(n)}`
  const key = (form in en ? form : `${stem}.other`) as Key
  return t(key, { n, ...vars })
}

/**
 * The text of a state or another word that the server sends. A word that this
 * console does not know is shown as it came.
 */
export function word(prefix: string, value: string): string {
  const key = `${prefix}.${value}`
  return Object.hasOwn(en, key) ? t(key as Key) : value
}
