import { Button, Modal, Tabs } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { lazy, Suspense, useState, type ReactNode } from 'react'
import { Link, useNavigate, useParams, useSearchParams } from 'react-router'
import type { Host } from '../api/types'
import { t, tn, word } from '../i18n'
import { bytes, count, duration } from '../lib/format'
import { sensorSummary, stateOf } from '../lib/health'
import { useClient, useLacks } from '../session'
import { AlertState, HostState, SeverityBadge, severityClass } from '../ui/badges'
import { CopyButton, Empty, Failure, Loading, Notice, Time, useTitle, Why } from '../ui/parts'
import { HostText } from '../ui/text'
import { Labels } from './labels'
import { ResponseTable } from './responsetable'

const Workbench = lazy(() => import('../query/workbench'))

export function HostPage(): ReactNode {
  const { id = '' } = useParams()
  const client = useClient()
  const [params, setParams] = useSearchParams()
  const host = useQuery({ queryKey: ['host', id], queryFn: () => client.host(id), refetchInterval: 20_000 })
  useTitle(host.data?.hostname || t('nav.hosts'))
  if (host.isPending) return <div className="page"><Loading lines={8} /></div>
  if (host.isError) return <div className="page"><Failure error={host.error} retry={() => void host.refetch()} /></div>
  const h = host.data
  const tab = params.get('tab') ?? 'about'
  const choose = (value: string | null): void => {
    const next = new URLSearchParams(params)
    next.set('tab', value ?? 'about')
    setParams(next, { replace: true })
  }
  return (
    <div className={`page${tab === 'query' ? ' full' : ''}`}>
      <div className="pagehead">
        <div className="grow">
          <h1 className="clip"><HostText text={h.hostname || h.id} line /></h1>
          <div className="sub row wrap" style={{ gap: 14 }}>
            <HostState status={h.status} />
            <span>{t('host.lastseen')} <Time at={h.last_seen} /></span>
            <span className="clip"><HostText text={h.os} line /></span>
          </div>
        </div>
        <Link to={`/events?host=${encodeURIComponent(h.id)}`}>{t('host.events')}</Link>
        <HostActions host={h} />
      </div>
      {h.status === 'pending' && <Pending host={h} />}
      {h.status === 'offline' && <Notice kind="warn">{t('host.offline')} <Time at={h.last_seen} exact />. {t('host.offline2')}</Notice>}
      <Tabs value={tab} onChange={choose} keepMounted={false} className={tab === 'query' ? 'filltabs' : undefined}>
        <Tabs.List>
          <Tabs.Tab value="about">{t('host.tab.about')}</Tabs.Tab>
          <Tabs.Tab value="alerts">{t('host.tab.alerts')} <span className="dim num">{count(h.open_alerts)}</span></Tabs.Tab>
          <Tabs.Tab value="responses">{t('host.tab.responses')}</Tabs.Tab>
          <Tabs.Tab value="query">{t('host.tab.query')}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="about" pt={14}><About host={h} /></Tabs.Panel>
        <Tabs.Panel value="alerts" pt={14}><HostAlerts host={h} /></Tabs.Panel>
        <Tabs.Panel value="responses" pt={14}><HostResponses host={h} /></Tabs.Panel>
        <Tabs.Panel value="query" pt={14}>
          <Suspense fallback={<Loading />}>
            <Workbench
              id={params.get('run') ?? undefined}
              host={h}
              onOpen={(run) => setParams({ tab: 'query', run }, { replace: false })}
            >
              <div className="card results"><Empty title={t('host.query')} icon="query"><p>{t('host.querytext')}</p></Empty></div>
            </Workbench>
          </Suspense>
        </Tabs.Panel>
      </Tabs>
    </div>
  )
}

function HostActions({ host }: { host: Host }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const navigate = useNavigate()
  const lacks = useLacks('hosts')
  const [asking, setAsking] = useState(false)
  const remove = useMutation({
    mutationFn: () => client.removeHost(host.id),
    onSuccess: async () => {
      await navigate('/hosts')
      await queries.invalidateQueries({ queryKey: ['hosts'] })
    },
  })
  return (
    <div className="actions">
      <Why reason={lacks}>
        <Button size="xs" variant="default" disabled={lacks !== null} onClick={() => setAsking(true)}>{t('host.remove')}</Button>
      </Why>
      <Modal opened={asking} onClose={() => setAsking(false)} title={t('host.remove')} closeButtonProps={{ 'aria-label': t('close') }}>
        <div className="stack" style={{ gap: 14 }}>
          <p>{t('host.removetext')}</p>
          <p><b><HostText text={host.hostname} /></b> <span className="mono dim">{host.id}</span></p>
          {remove.isError && <Failure error={remove.error} />}
          <div className="row" style={{ justifyContent: 'flex-end' }}>
            <Button variant="default" onClick={() => setAsking(false)}>{t('cancel')}</Button>
            <Button color="red.8" loading={remove.isPending} onClick={() => remove.mutate()}>{t('host.remove')}</Button>
          </div>
        </div>
      </Modal>
    </div>
  )
}

function Pending({ host }: { host: Host }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const lacks = useLacks('hosts')
  const admit = useMutation({
    mutationFn: () => client.admitHost(host.id),
    onSuccess: () => Promise.all([
      queries.invalidateQueries({ queryKey: ['host', host.id] }),
      queries.invalidateQueries({ queryKey: ['hosts'] }),
    ]),
  })
  return (
    <Notice kind="warn">
      <div className="row wrap">
        <div className="grow">
          <b>{t('host.pending')}</b> {t('host.pendingtext')}{' '}
          <span className="mono">{host.key_fingerprint}</span>
        </div>
        <Why reason={lacks}>
          <Button size="xs" disabled={lacks !== null} loading={admit.isPending} onClick={() => admit.mutate()}>{t('host.admit')}</Button>
        </Why>
      </div>
      {admit.isError && <Failure error={admit.error} />}
    </Notice>
  )
}

function About({ host: h }: { host: Host }): ReactNode {
  const health = h.health
  return (
    <div className="stack" style={{ gap: 14 }}>
      <div className="columns">
        <section className="card">
          <div className="cardhead"><h2>{t('host.identity')}</h2></div>
          <dl className="facts body">
            <dt>{t('host.id')}</dt><dd className="row"><span className="mono">{h.id}</span><CopyButton text={h.id} /></dd>
            <dt>{t('host.uuid')}</dt><dd><HostText text={h.uuid} mono /></dd>
            <dt>{t('host.fingerprint')}</dt><dd className="mono">{h.key_fingerprint}</dd>
            <dt>{t('host.address')}</dt><dd><HostText text={h.address} mono /></dd>
            <dt>{t('host.os')}</dt><dd><HostText text={h.os} /></dd>
            <dt>{t('host.kernel')}</dt><dd><HostText text={h.kernel} /> <span className="dim"><HostText text={h.arch} /></span></dd>
            <dt>{t('host.cpu')}</dt><dd><HostText text={h.cpu} /></dd>
            <dt>{t('host.memory')}</dt><dd className="num">{bytes(h.memory_bytes)}</dd>
            <dt>{t('host.enrolled')}</dt><dd><Time at={h.enrolled_at} exact /></dd>
            <dt>{t('host.labels')}</dt><dd><Labels host={h} /></dd>
            {h.groups && (
              <>
                <dt>{t('nav.groups')}</dt>
                <dd className="row wrap" style={{ gap: 4 }}>{h.groups.map((g) => <Link key={g} className="tag info" to={`/groups/${encodeURIComponent(g)}`}><HostText text={g} line /></Link>)}</dd>
              </>
            )}
          </dl>
        </section>
        <section className="card">
          <div className="cardhead"><h2>{t('host.agent')}</h2>{health && <span className="more dim">{t('host.reported')} <Time at={health.time} /></span>}</div>
          {!health && <Empty title={t('host.nohealth')}><p>{t('host.nohealthtext')}</p></Empty>}
          {health && (
            <dl className="facts body">
              <dt>{t('host.version')}</dt><dd><HostText text={health.version || h.agent_version} /></dd>
              <dt>{t('host.uptime')}</dt><dd className="num">{duration(health.uptime_s)}</dd>
              <dt>{t('host.cpuuse')}</dt>
              <dd className="num">{t('host.cpuvalue', { used: health.cpu_percent.toFixed(1), limit: health.cpu_limit.toFixed(1), capture: health.capture_cpu.toFixed(1) })}</dd>
              <dt>{t('host.rss')}</dt><dd className="num">{bytes(health.rss_bytes)}</dd>
              <dt>{t('host.outbox')}</dt>
              <dd className="num">
                {tn('host.outboxrecords', health.outbox_records)}{' '}
                {health.outbox_dropped > 0 && <span className="tag bad">{t('host.dropped', { n: health.outbox_dropped })}</span>}
              </dd>
              <dt>{t('host.respond')}</dt><dd>{word('respond', health.respond)}</dd>
              <dt>{t('host.config')}</dt><dd className="num">
                {String(health.config_serial)}{' '}
                {h.config_serial !== undefined && h.config_serial !== null && BigInt(h.config_serial) !== BigInt(health.config_serial) && <span className="tag warn">{t('host.configbehind', { n: h.config_serial })}</span>}
              </dd>
              <dt>{t('host.refused')}</dt>
              <dd>{health.refused > 0 ? <span className="tag bad">{tn('host.refusedn', health.refused)}</span> : <span className="dim num">0</span>}</dd>
            </dl>
          )}
        </section>
      </div>
      <Sensors host={h} />
      <Problems host={h} />
    </div>
  )
}

function Sensors({ host: h }: { host: Host }): ReactNode {
  const sensors = h.health?.sensors ?? []
  const kinds = { healthy: 'ok', degraded: 'warn', failed: 'bad', unknown: 'hollow' }
  return (
    <section className="card">
      <div className="cardhead"><h2>{t('host.sensors')}</h2></div>
      {sensors.length === 0 ? (
        <Empty title={t('host.nosensors')}><p>{t('host.nosensorstext')}</p></Empty>
      ) : (
        <div className="tablewrap" tabIndex={0}>
          <table className="list">
            <thead>
              <tr>
                <th>{t('sensor.name')}</th><th>{t('sensor.state')}</th><th>{t('sensor.mechanism')}</th><th>{t('sensor.table')}</th>
                <th className="right">{t('sensor.events')}</th><th className="right">{t('sensor.lost')}</th><th className="right">{t('sensor.gaps')}</th><th>{t('sensor.last')}</th>
              </tr>
            </thead>
            <tbody>
              {sensors.map((s) => (
                <tr key={s.name}>
                  <td style={{ fontWeight: 560 }}><HostText text={s.name} line /></td>
                  <td style={{ maxWidth: 320 }}>
                    <span className="state"><span className={`dot ${h.status === 'online' ? kinds[stateOf(s)] : 'hollow'}`} /><HostText text={s.state} line /></span>
                    {s.detail && <div className="dim" style={{ fontSize: 12.25 }}><HostText text={s.detail} most={160} /></div>}
                  </td>
                  <td><HostText text={s.mechanism} mono line /></td>
                  <td>{s.table ? <HostText text={s.table} mono line /> : <span className="dim">–</span>}</td>
                  <td className="right num">{count(s.events)}</td>
                  <td className="right num">{BigInt(s.lost) > 0n ? <span className="tag warn">{count(s.lost)}</span> : '0'}</td>
                  <td className="right num">{count(s.gaps)}</td>
                  <td><Time at={s.last_event} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

function Problems({ host: h }: { host: Host }): ReactNode {
  const problems = h.problems ?? []
  return (
    <section className="card">
      <div className="cardhead"><h2>{t('host.problems')}</h2></div>
      {problems.length === 0 ? (
        <div className="body dim">{h.health ? t('host.noproblems') : t('host.problemsunknown')}</div>
      ) : (
        <div className="tablewrap" tabIndex={0}>
          <table className="list">
            <thead><tr><th>{t('problem.time')}</th><th>{t('problem.source')}</th><th>{t('problem.error')}</th><th className="right">{t('problem.count')}</th></tr></thead>
            <tbody>
              {problems.map((p, i) => (
                <tr key={i}>
                  <td className="top"><Time at={p.time} /></td>
                  <td className="top" style={{ maxWidth: 260 }}><HostText text={p.source} /></td>
                  <td><HostText text={p.error} mono most={300} /></td>
                  <td className="right num top">{count(p.count)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

function HostAlerts({ host: h }: { host: Host }): ReactNode {
  const client = useClient()
  const alerts = useQuery({ queryKey: ['alerts', 'host', h.id], queryFn: () => client.alerts({ host: h.id, limit: 50 }) })
  const sensors = sensorSummary(h.health)
  if (alerts.isPending) return <div className="card"><Loading /></div>
  if (alerts.isError) return <Failure error={alerts.error} />
  return (
    <div className="card">
      {alerts.data.alerts.length === 0 && (
        <Empty title={t('host.noalerts')} icon="alerts">
          <p>{h.status === 'online' && sensors.state === 'healthy' && sensors.lost === 0n ? t('host.noalerts.watched') : t('host.noalerts.unknown', { state: word('host.status', h.status), sensors: word('sensors.state', sensors.state), lost: sensors.lost })}</p>
        </Empty>
      )}
      {alerts.data.alerts.map((a) => (
        <Link key={String(a.id)} to={`/alerts/${encodeURIComponent(String(a.id))}?host=${encodeURIComponent(h.id)}`} className="alertrow">
          <span className={`edge ${severityClass(a.severity)}`} />
          <span><SeverityBadge severity={a.severity} /></span>
          <span className="grow">
            <span className="title clip" style={{ display: 'block' }}><HostText text={a.title} line /></span>
            <span className="entity clip" style={{ display: 'block' }}><HostText text={a.entity} mono line /></span>
          </span>
          <span className="c-host dim num">{a.count > 1 ? tn('alert.times', a.count) : ''}</span>
          <span className="when"><Time at={a.last_seen} /></span>
          <span className="c-status"><AlertState status={a.status} /></span>
        </Link>
      ))}
    </div>
  )
}

function HostResponses({ host: h }: { host: Host }): ReactNode {
  const client = useClient()
  const list = useQuery({ queryKey: ['responses', 'host', h.id], queryFn: () => client.responses({ host: h.id }), refetchInterval: 10_000 })
  if (list.isPending) return <div className="card"><Loading /></div>
  if (list.isError) return <Failure error={list.error} />
  const responses = list.data.responses ?? []
  return (
    <div className="card">
      {responses.length === 0 ? (
        <Empty title={t('host.noresponses')}><p>{t('host.noresponsestext')}</p></Empty>
      ) : (
        <ResponseTable responses={responses} />
      )}
    </div>
  )
}
