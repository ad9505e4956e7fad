import { Button } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { Link } from 'react-router'
import type { Alert, AlertStatus, Process } from '../api/types'
import { t, tn, word } from '../i18n'
import { useClient, useLacks } from '../session'
import { AlertState, HostState, SeverityBadge } from '../ui/badges'
import { Icon } from '../ui/icons'
import { CopyButton, Failure, Loading, Notice, Time, Why } from '../ui/parts'
import { Technique } from '../ui/technique'
import { HostText, ValueText } from '../ui/text'
import { Ancestry } from './ancestry'
import { blockTarget, fileTarget, RespondDialog, type Wanted } from './respond'
import { Hits } from './hits'
import { KillDialog } from './kill'
import { Responses } from './responses'
import { Notes, Triage } from './triage'

const waiting = ['pending', 'sent']

export function AlertPanel({ id, onClose }: { id: string; onClose: () => void }): ReactNode {
  const client = useClient()
  const alert = useQuery({
    queryKey: ['alert', id],
    queryFn: () => client.alert(id),
    // The stream says when a response moves; asking as well is for a stream that is down.
    refetchInterval: (q) => (q.state.data?.responses?.some((r) => waiting.includes(r.state)) ? 2000 : 30_000),
  })
  const panel = useRef<HTMLElement>(null)
  const heading = useRef<HTMLHeadingElement>(null)
  const loaded = alert.data !== undefined
  useEffect(() => {
    if (loaded) heading.current?.focus({ preventScroll: true })
  }, [loaded])
  return (
    <aside
      ref={panel}
      className="card panel"
      aria-label={t('panel.label')}
      onKeyDown={(e) => {
        if (e.key === 'Escape' && panel.current?.contains(e.target as Node)) onClose()
      }}
    >
      {alert.isPending && <Loading lines={9} />}
      {alert.isError && <div style={{ padding: 14 }}><Failure error={alert.error} retry={() => void alert.refetch()} /><Button mt={10} size="xs" variant="default" onClick={onClose}>{t('close')}</Button></div>}
      {alert.data && (
        <>
          <Top alert={alert.data} onClose={onClose} heading={heading} />
          <Body alert={alert.data} />
        </>
      )}
    </aside>
  )
}

function Top({ alert: a, onClose, heading }: { alert: Alert; onClose: () => void; heading: React.RefObject<HTMLHeadingElement | null> }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const lacks = useLacks('alerts')
  const change = useMutation({
    mutationFn: (status: AlertStatus) => client.changeAlert(a.id, { status }),
    onSettled: () => Promise.all([
      queries.invalidateQueries({ queryKey: ['alert', String(a.id)] }),
      queries.invalidateQueries({ queryKey: ['alerts'] }),
      queries.invalidateQueries({ queryKey: ['overview'] }),
    ]),
  })
  const button = (status: AlertStatus, label: string): ReactNode => (
    <Why reason={lacks}>
      <Button size="compact-sm" variant="default" disabled={lacks !== null} loading={change.isPending && change.variables === status}
        onClick={() => change.mutate(status)}>{label}</Button>
    </Why>
  )
  return (
    <div className="top">
      <div className="row" style={{ alignItems: 'flex-start' }}>
        <h2 className="grow" tabIndex={-1} ref={heading}><HostText text={a.title} /></h2>
        <button type="button" className="iconbutton" onClick={onClose} aria-label={t('close')} title={t('close')}><Icon name="close" /></button>
      </div>
      <div className="row wrap">
        <SeverityBadge severity={a.severity} />
        <AlertState status={a.status} />
        {a.count > 1 && <span className="tag num">{tn('alert.times', a.count)}</span>}
        <span className="row" style={{ marginLeft: 'auto' }}>
          {a.status === 'open' && button('acknowledged', t('alert.acknowledge'))}
          {a.status !== 'closed' && button('closed', t('alert.close'))}
          {a.status !== 'open' && button('open', t('alert.reopen'))}
        </span>
      </div>
      {change.isError && <Failure error={change.error} />}
    </div>
  )
}

function Body({ alert: a }: { alert: Alert }): ReactNode {
  const [target, setTarget] = useState<Process | null>(null)
  const [wanted, setWanted] = useState<Wanted | null>(null)
  const lacks = useLacks('respond')
  const event = a.event ?? []
  const file = fileTarget(a)
  const connection = blockTarget(a)
  return (
    <div className="scroll" tabIndex={0} role="group" aria-label={t('panel.label')}>
      {a.host.status !== 'online' && <Notice kind="warn">{t('panel.hostaway', { status: word('host.status', a.host.status) })}</Notice>}
      <section>
        {a.description && <p style={{ marginBottom: 10 }}><HostText text={a.description} /></p>}
        <dl className="facts">
          <dt>{t('panel.host')}</dt>
          <dd className="row wrap" style={{ gap: 12 }}>
            <Link to={`/hosts/${encodeURIComponent(a.host.id)}`}><HostText text={a.host.hostname} /></Link>
            <HostState status={a.host.status} />
          </dd>
          <dt>{t('panel.rule')}</dt>
          <dd>
            <Link to={`/rules?id=${encodeURIComponent(String(a.rule.id))}`}><HostText text={a.rule.name || String(a.rule.id)} /></Link>
            {a.rule.pack && <> <span className="tag"><HostText text={a.rule.pack} line /></span></>}
            <span className="dim mono"> {String(a.rule.id)}</span>
          </dd>
          {(a.attack ?? []).length > 0 && (
            <>
              <dt>{t('panel.attack')}</dt>
              <dd className="row wrap">{(a.attack ?? []).map((id) => <Technique key={id} id={id} />)}</dd>
            </>
          )}
          <dt>{t('panel.first')}</dt><dd><Time at={a.first_seen} exact /></dd>
          {a.count > 1 && <><dt>{t('panel.last')}</dt><dd><Time at={a.last_seen} exact /></dd></>}
          {a.reason && <><dt>{t('panel.why')}</dt><dd><HostText text={a.reason} /></dd></>}
        </dl>
      </section>
      <Triage alert={a} />
      <section>
        <h3>{t('panel.process')}</h3>
        {a.process ? <Ancestry alert={a} onKill={setTarget} /> : <p className="dim">{t('panel.noprocess')}</p>}
      </section>
      {(file || connection) && (
        <section className="row wrap" aria-label={t('respond.label')}>
          {file && <Why reason={lacks}><Button size="compact-sm" variant="default" disabled={lacks !== null} onClick={() => setWanted(file)}>{t('respond.quarantine')}</Button></Why>}
          {connection && <Why reason={lacks}><Button size="compact-sm" variant="default" disabled={lacks !== null} onClick={() => setWanted(connection)}>{t('respond.block')}</Button></Why>}
        </section>
      )}
      <Responses alert={a} />
      <Hits alert={a} onKill={setTarget} />
      <Notes alert={a} />
      <section>
        <h3>{t('panel.event')} <span className="tag mono"><HostText text={a.table} line /></span></h3>
        {event.length === 0 ? <p className="dim">{t('panel.noevent')}</p> : (
          <div className="fields">
            {event.map((f, i) => (
              <div className="field" key={i}>
                <span><HostText text={f.name} /></span>
                <span><ValueText value={f.value} /></span>
              </div>
            ))}
          </div>
        )}
      </section>
      <section>
        <dl className="facts">
          <dt>{t('panel.entity')}</dt><dd><HostText text={a.entity} mono /></dd>
          <dt>{t('panel.version')}</dt><dd className="mono">{a.rule.version}</dd>
          <dt>{t('panel.id')}</dt><dd className="row"><span className="mono">{String(a.id)}</span><CopyButton text={String(a.id)} /></dd>
        </dl>
      </section>
      <KillDialog alert={a} process={target} onClose={() => setTarget(null)} />
      <RespondDialog host={a.host} alert={a.id} wanted={wanted} onClose={() => setWanted(null)} />
    </div>
  )
}
