import { Button, NumberInput } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState, type FormEvent, type ReactNode } from 'react'
import type { ServerSettings } from '../api/types'
import { t, tn, word } from '../i18n'
import { count } from '../lib/format'
import { useClient, useLacks } from '../session'
import { Empty, Failure, Loading, Notice, Time, useTitle } from '../ui/parts'
import { HostText } from '../ui/text'
import { PageFailure } from '../ui/unavailable'
import { Sinks } from './sinks'

export function SettingsPage(): ReactNode {
  useTitle(t('nav.settings'))
  const client = useClient()
  const lacks = useLacks('settings')
  const settings = useQuery({ queryKey: ['settings'], queryFn: client.settings, enabled: lacks === null, retry: false })
  if (lacks) return <div className="page"><div className="card"><Empty title={t('settings.lacking')} icon="settings"><p>{lacks}</p></Empty></div></div>
  return (
    <div className="page" tabIndex={0}>
      <div className="pagehead">
        <div>
          <h1>{t('nav.settings')}</h1>
          <div className="sub">{t('settings.sub')}</div>
        </div>
      </div>
      {settings.isPending && <div className="card"><Loading lines={7} /></div>}
      {settings.isError && <PageFailure error={settings.error} retry={() => void settings.refetch()} />}
      {settings.data && (
        <>
          <Form key={JSON.stringify(settings.data.settings)} given={settings.data} />
          <LastRun given={settings.data} />
        </>
      )}
      <Sinks />
    </div>
  )
}

function Form({ given }: { given: ServerSettings }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const [values, setValues] = useState<Record<string, number | string>>(given.settings)
  const names = Object.keys(given.settings)
  const changed = Object.fromEntries(names.filter((n) => values[n] !== '' && Number(values[n]) !== given.settings[n]).map((n) => [n, Number(values[n])]))
  const save = useMutation({
    mutationFn: () => client.changeSettings(changed),
    onSuccess: (fresh) => (fresh?.settings ? queries.setQueryData(['settings'], fresh) : queries.invalidateQueries({ queryKey: ['settings'] })),
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    save.mutate()
  }
  return (
    <form className="card" onSubmit={submit} aria-label={t('nav.settings')}>
      {names.map((n) => {
        const limit = given.limits[n]
        return (
          <div key={n} className="settingrow">
            <div>
              <label htmlFor={`setting-${n}`}><b>{word('setting', n)}</b></label>
              <div className="dim" style={{ fontSize: 12.5 }}>
                {word('settingdoc', n) === n ? <HostText text={limit?.doc ?? n} /> : word('settingdoc', n)}{' '}
                {limit && <span className="num nowrap">{t('settings.limits', { min: limit.min, max: limit.max, usual: limit.default })}</span>}
              </div>
            </div>
            <NumberInput id={`setting-${n}`} size="xs" value={values[n] ?? ''} min={limit?.min} max={limit?.max} allowDecimal={false} thousandSeparator=","
              suffix={limit?.unit ? ` ${word('settings.unit', limit.unit)}` : ''} onChange={(v) => setValues({ ...values, [n]: v })} />
          </div>
        )
      })}
      <div className="settingrow">
        <div>{save.isError && <Failure error={save.error} />}</div>
        <Button type="submit" size="xs" disabled={Object.keys(changed).length === 0} loading={save.isPending}>{t('save')}</Button>
      </div>
    </form>
  )
}

function LastRun({ given }: { given: ServerSettings }): ReactNode {
  const run = given.last_run
  return (
    <section className="card">
      <div className="cardhead"><h2>{t('settings.lastrun')}</h2>{run && <span className="more"><Time at={run.time} exact /></span>}</div>
      <div className="body stack">
        {!run && <span className="dim">{t('settings.norun')}</span>}
        {run && (
          <span className="row wrap num" style={{ gap: 14 }}>
            {Object.entries(run.deleted ?? {}).map(([what, n]) => <span key={what}>{word('settings.deleted', what)}: {count(n)}</span>)}
          </span>
        )}
        {run && run.held_back > 0 && <Notice kind="warn">{tn('settings.heldback', run.held_back)}</Notice>}
        {run?.error && <Notice kind="bad"><HostText text={run.error} /></Notice>}
      </div>
    </section>
  )
}
