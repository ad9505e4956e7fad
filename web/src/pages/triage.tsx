import { Button, Select, Textarea } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState, type FormEvent, type ReactNode } from 'react'
import { verdicts, type Alert, type Verdict } from '../api/types'
import { t, tn, word } from '../i18n'
import { useClient, useLacks, useMe } from '../session'
import { Failure, Time } from '../ui/parts'
import { HostText } from '../ui/text'

export function PersonSelect({ value, onChange, placeholder, disabled }: {
  value: string
  onChange: (name: string) => void
  placeholder: string
  disabled?: boolean
}): ReactNode {
  const client = useClient()
  const me = useMe()
  const people = useQuery({ queryKey: ['people'], queryFn: client.people, staleTime: 60_000, retry: false })
  const names = [...new Set([me.name, ...(people.data?.people ?? []), ...(value ? [value] : [])])]
  return (
    <Select size="xs" w={150} value={value || null} onChange={(v) => onChange(v ?? '')} clearable searchable placeholder={placeholder} disabled={disabled}
      aria-label={t('triage.assignee')} data={names.map((n) => ({ value: n, label: n === me.name ? t('triage.me', { name: n }) : n }))} />
  )
}

/** Who looks after an alert, and what it turned out to be. */
export function Triage({ alert: a }: { alert: Alert }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const lacks = useLacks('alerts')
  const change = useMutation({
    mutationFn: (c: { assignee?: string; verdict?: Verdict }) => client.changeAlert(a.id, c),
    onSettled: () => Promise.all([
      queries.invalidateQueries({ queryKey: ['alert', String(a.id)] }),
      queries.invalidateQueries({ queryKey: ['alerts'] }),
    ]),
  })
  // A server that knows nothing of this does not send it.
  if (a.assignee === undefined && a.verdict === undefined) return null
  const shown = change.isPending ? change.variables : {}
  return (
    <section aria-label={t('triage.title')}>
      <div className="row wrap">
        <span className="dim">{t('triage.assignee')}</span>
        <PersonSelect value={shown.assignee ?? a.assignee ?? ''} placeholder={t('triage.nobody')} disabled={lacks !== null} onChange={(assignee) => change.mutate({ assignee })} />
        <span className="dim">{t('triage.verdict')}</span>
        <Select size="xs" w={150} value={(shown.verdict ?? a.verdict) || null} placeholder={t('triage.noverdict')} disabled={lacks !== null} clearable
          aria-label={t('triage.verdict')} onChange={(v) => change.mutate({ verdict: (v ?? '') as Verdict })} data={verdicts.map((v) => ({ value: v, label: word('verdict', v) }))} />
      </div>
      {change.isError && <Failure error={change.error} />}
    </section>
  )
}

export function Notes({ alert: a }: { alert: Alert }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const lacks = useLacks('alerts')
  const [text, setText] = useState('')
  const add = useMutation({
    mutationFn: () => client.addNote(a.id, text.trim()),
    onSuccess: async () => {
      setText('')
      await queries.invalidateQueries({ queryKey: ['alert', String(a.id)] })
      await queries.invalidateQueries({ queryKey: ['alerts'] })
    },
  })
  if (a.notes === undefined) return null
  const notes = a.notes ?? []
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (text.trim() !== '') add.mutate()
  }
  return (
    <section aria-label={t('notes.title')} className="stack">
      <h3>{t('notes.title')} {notes.length > 0 && <span className="tag num">{tn('notes.count', notes.length)}</span>}</h3>
      {notes.map((n) => (
        <div key={String(n.id)} className="note">
          <div className="dim" style={{ fontSize: 12.25 }}><b><HostText text={n.by} most={60} /></b> · <Time at={n.time} exact /></div>
          <HostText text={n.text} most={2000} />
        </div>
      ))}
      {!lacks && (
        <form className="stack" onSubmit={submit}>
          <Textarea size="xs" aria-label={t('notes.new')} placeholder={t('notes.new')} value={text} onChange={(e) => setText(e.currentTarget.value)} maxLength={8000} autosize minRows={1} maxRows={8} />
          {add.isError && <Failure error={add.error} />}
          <div><Button type="submit" size="compact-sm" variant="default" loading={add.isPending} disabled={text.trim() === ''}>{t('notes.add')}</Button></div>
        </form>
      )}
    </section>
  )
}
