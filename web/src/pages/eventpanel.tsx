import { Button, Textarea } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState, type FormEvent, type ReactNode } from 'react'
import { Link } from 'react-router'
import type { Event } from '../api/types'
import { t, word } from '../i18n'
import { useClient, useLacks } from '../session'
import { SeverityBadge } from '../ui/badges'
import { Icon } from '../ui/icons'
import { CopyButton, Failure, Notice, Time, Why } from '../ui/parts'
import { Technique } from '../ui/technique'
import { HostText, ValueText } from '../ui/text'

const part = encodeURIComponent

/** Everything that is known of one event, and whether somebody has dealt with it. */
export function EventPanel({ event: e, onClose }: { event: Event; onClose: () => void }): ReactNode {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => heading.current?.focus({ preventScroll: true }), [])
  const values = Object.entries(e.values ?? {})
  const p = e.process
  return (
    <aside className="card panel" aria-label={t('events.panel')} onKeyDown={(k) => { if (k.key === 'Escape') onClose() }}>
      <div className="top">
        <div className="row" style={{ alignItems: 'flex-start' }}>
          <h2 className="grow" tabIndex={-1} ref={heading}><HostText text={e.title || e.query} /></h2>
          <button type="button" className="iconbutton" onClick={onClose} aria-label={t('close')} title={t('close')}><Icon name="close" /></button>
        </div>
        <div className="row wrap">
          {e.severity && <SeverityBadge severity={e.severity} />}
          <span className="tag">{word('events.kind', e.kind)}</span>
          {e.action && <span className="tag">{word('events.action', e.action)}</span>}
          {e.handled && <span className="tag ok">{t('events.handled.true')}</span>}
        </div>
      </div>
      <div className="scroll" tabIndex={0} role="group" aria-label={t('events.panel')}>
        <Handle event={e} />
        <section>
          <dl className="facts">
            <dt>{t('panel.host')}</dt>
            <dd><Link to={`/hosts/${part(e.host.id)}`}><HostText text={e.host.hostname} /></Link> <Link className="dim" to={`/events?host=${part(e.host.id)}`}>{t('events.ofhost')}</Link></dd>
            <dt>{t('events.time')}</dt><dd><Time at={e.time} exact /></dd>
            {e.received && <><dt>{t('events.received')}</dt><dd><Time at={e.received} exact /></dd></>}
            {e.rule && <><dt>{t('panel.rule')}</dt><dd><Link to={`/rules?id=${part(e.rule.id)}`}><HostText text={e.rule.name || e.rule.id} /></Link></dd></>}
            {e.query && <><dt>{t('events.query')}</dt><dd><HostText text={e.query} mono /> <Link className="dim" to={`/events?query=${part(e.query)}`}>{t('events.ofquery')}</Link></dd></>}
            {e.alert !== '' && e.alert !== undefined && e.alert !== null && (
              <><dt>{t('events.alert')}</dt><dd><Link to={`/alerts/${part(String(e.alert))}?status=all`}>{t('events.toalert')}</Link></dd></>
            )}
            {(e.attack ?? []).length > 0 && <><dt>{t('panel.attack')}</dt><dd className="row wrap">{(e.attack ?? []).map((id) => <Technique key={id} id={id} />)}</dd></>}
            {e.entity && <><dt>{t('panel.entity')}</dt><dd><HostText text={e.entity} mono /></dd></>}
          </dl>
        </section>
        {p && (
          <section>
            <h3>{t('events.process')}</h3>
            <div className="codebox" style={{ marginBottom: 8 }}><HostText text={p.cmdline || p.path} mono /><CopyButton text={p.cmdline || p.path} /></div>
            <dl className="facts">
              <dt>{t('process.name')}</dt><dd><HostText text={p.name} mono /></dd>
              <dt>{t('process.path')}</dt><dd><HostText text={p.path} mono /></dd>
              <dt>{t('process.pidname')}</dt><dd className="mono">{String(p.pid)}</dd>
              <dt>{t('process.user')}</dt><dd><HostText text={p.user || t('process.uid', { uid: String(p.uid) })} /></dd>
              <dt>{t('process.started')}</dt><dd><Time at={p.started} exact /></dd>
            </dl>
          </section>
        )}
        <section>
          <h3>{t('panel.event')} {e.table && <span className="tag mono"><HostText text={e.table} line /></span>}</h3>
          {values.length === 0 ? <p className="dim">{t('panel.noevent')}</p> : (
            <div className="fields">
              {values.map(([name, value]) => (
                <div className="field" key={name}>
                  <span><HostText text={name} /></span>
                  <span><ValueText value={value} /></span>
                </div>
              ))}
            </div>
          )}
        </section>
      </div>
    </aside>
  )
}

function Handle({ event: e }: { event: Event }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const lacks = useLacks('alerts')
  const [note, setNote] = useState('')
  const change = useMutation({
    mutationFn: (handled: boolean) => client.handleEvent(e.id, handled, note.trim()),
    onSuccess: async () => {
      setNote('')
      await queries.invalidateQueries({ queryKey: ['events'] })
    },
  })
  if (e.handled) {
    return (
      <Notice kind="ok">
        <div className="row wrap">
          <span className="grow">{t('events.handledby')} <b><HostText text={e.handled.by} most={60} /></b>, <Time at={e.handled.time} exact />{e.handled.note && <>: <HostText text={e.handled.note} /></>}</span>
          <Why reason={lacks}><Button size="compact-sm" variant="default" disabled={lacks !== null} loading={change.isPending} onClick={() => change.mutate(false)}>{t('events.unhandle')}</Button></Why>
        </div>
        {change.isError && <Failure error={change.error} />}
      </Notice>
    )
  }
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    change.mutate(true)
  }
  return (
    <form className="stack" onSubmit={submit}>
      <Textarea size="xs" label={t('events.note')} value={note} onChange={(x) => setNote(x.currentTarget.value)} maxLength={2000} autosize minRows={1} maxRows={6} disabled={lacks !== null} />
      <div><Why reason={lacks}><Button type="submit" size="compact-sm" variant="default" disabled={lacks !== null} loading={change.isPending}>{t('events.handle')}</Button></Why></div>
      {change.isError && <Failure error={change.error} />}
    </form>
  )
}
