import { Select, TextInput } from '@mantine/core'
import type { ReactNode } from 'react'
import { t, word } from '../i18n'
import { inputValue, localInput, spans, type TimeRange } from '../lib/timerange'

/** Chooses a stretch of time: so far back from now, all, or between two points. */
export function TimeRangePicker({ value, onChange }: { value: TimeRange; onChange: (next: TimeRange) => void }): ReactNode {
  const between = value.span === 'between'
  const choose = (span: string | null): void => {
    if (span === 'between') {
      const now = Date.now()
      onChange({ span: 'between', from: localInput(new Date(now - 86_400_000)), to: localInput(new Date(now)) })
    } else if (span) onChange({ span: span as TimeRange['span'], from: '', to: '' })
  }
  return (
    <>
      <Select size="xs" w={140} value={value.span} onChange={choose} allowDeselect={false} aria-label={t('range.label')}
        data={[...Object.keys(spans), 'all', 'between'].map((s) => ({ value: s, label: word('range', s) }))} />
      {between && (
        <>
          <TextInput size="xs" type="datetime-local" aria-label={t('range.from')} value={inputValue(value.from)} max={inputValue(value.to) || undefined}
            onChange={(e) => onChange({ ...value, from: e.currentTarget.value })} />
          <span className="dim">{t('range.until')}</span>
          <TextInput size="xs" type="datetime-local" aria-label={t('range.to')} value={inputValue(value.to)} min={inputValue(value.from) || undefined}
            onChange={(e) => onChange({ ...value, to: e.currentTarget.value })} />
        </>
      )}
    </>
  )
}
