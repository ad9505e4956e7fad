import { Select } from '@mantine/core'
import type { ReactNode } from 'react'
import { languages, setLanguage, t, useLanguage, type Language } from '../i18n'

/** The page's language, for who is not logged in yet. */
export function LanguageSelect(): ReactNode {
  const language = useLanguage()
  return (
    <Select size="xs" w={130} aria-label={t('language.label')} value={language} allowDeselect={false}
      onChange={(v) => v && setLanguage(v as Language)}
      data={Object.entries(languages).map(([value, label]) => ({ value, label }))} />
  )
}
