import { useSyncExternalStore } from 'react'
import { en } from './en'
import { zh } from './zh'

export type Key = keyof typeof en
/** Chinese has one form for every number; what English needs for one is not in its catalogue. */
export type KeyOf<L> = L extends 'zh' ? Exclude<Key, `${string}.one`> : Key
type Vars = Record<string, string | number | bigint>
type Catalog = Partial<Record<Key, string>>

/** The languages, each by its own name. */
export const languages = { en: 'English', zh: '简体中文' } as const
export type Language = keyof typeof languages

const catalogues: Record<Language, Catalog> = { en, zh }
const tags: Record<Language, string> = { en: 'en', zh: 'zh-Hans' }
const kept = 'edr.language'
const isLanguage = (value: string | null | undefined): value is Language => value === 'en' || value === 'zh'
const listeners = new Set<() => void>()
let language: Language = initial()
let plural = new Intl.PluralRules(tags[language])

/** What was chosen here before, otherwise the first of the browser's languages that we have. */
function initial(): Language {
  try {
    const chosen = localStorage.getItem(kept)
    if (isLanguage(chosen)) return mark(chosen)
  } catch {
    // Storage may be switched off; the browser's languages hold then.
  }
  const wanted = typeof navigator === 'undefined' ? [] : (navigator.languages ?? [])
  return mark(wanted.map((tag) => tag.split('-')[0]).find(isLanguage) ?? 'en')
}

/** Tells the page's language to screen readers and to the choice of fonts. */
function mark(chosen: Language): Language {
  if (typeof document !== 'undefined') document.documentElement.lang = tags[chosen]
  return chosen
}

export function setLanguage(chosen: Language): void {
  language = mark(chosen)
  plural = new Intl.PluralRules(tags[chosen])
  try {
    localStorage.setItem(kept, chosen)
  } catch {
    // Without storage the choice holds for this page only.
  }
  for (const listener of listeners) listener()
}

/** The language of the page; who uses it is drawn anew when it changes. */
export function useLanguage(): Language {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => language,
  )
}

/** The tag of the page's language, for dates and numbers. */
export const locale = (): string => tags[language]

/** The text of a key, with {name} replaced by the variables of that name. */
export function t(key: Key, vars?: Vars): string {
  const text = catalogues[language][key] ?? en[key]
  if (!vars) return text
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = vars[name]
    return value === undefined ? whole : typeof value === 'string' ? value : value.toLocaleString(locale())
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
