import { SegmentedControl } from '@mantine/core'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link, useSearchParams } from 'react-router'
import { ranges, severities, type Host, type Overview } from '../api/types'
import { t, tn, word } from '../i18n'
import { count } from '../lib/format'
import { sensorSummary } from '../lib/health'
import { useClient } from '../session'
import { HostState, SensorHealth, SeverityBadge, severityClass } from '../ui/badges'
import { Empty, Failure, Loading, Time, useTitle } from '../ui/parts'
import { HostText } from '../ui/text'
import { AlertsOverTime, FailedResponses, SensorTable, TopHosts, TopRules, TopTechniques } from './overviewparts'

export function OverviewPage(): ReactNode {
  useTitle(t('nav.overview'))
  const client = useClient()
  const [params, setParams] = useSearchParams()
  const asked = params.get('range')
  const range = ranges.find((r) => r === asked) ?? '24h'
  const overview = useQuery({
    queryKey: ['overview', range],
    queryFn: () => client.overview(range),
    placeholderData: keepPreviousData,
    refetchInterval: 30_000,
  })
  const o = overview.data
  return (
    <div className="page" tabIndex={0}>
      <div className="pagehead">
        <h1>{t('nav.overview')}</h1>
        <div className="actions">
          <SegmentedControl size="xs" aria-label={t('range.label')} value={range} onChange={(v) => setParams(v === '24h' ? {} : { range: v }, { replace: true })}
            data={ranges.map((r) => ({ value: r, label: word('range', r) }))} />
        </div>
      </div>
      {overview.isError && <Failure error={overview.error} retry={() => void overview.refetch()} />}
      <Tiles overview={o} />
      {o?.alerts.over_time && (
        <div className="columns wide">
          <AlertsOverTime overview={o} />
          <TopTechniques overview={o} range={range} />
        </div>
      )}
      <div className="columns">
        <LatestAlerts overview={o} />
        <HostsToLookAt />
      </div>
      {o && (
        <div className="columns">
          {o.sensors.by_name && <SensorTable overview={o} />}
          {o.failed && <FailedResponses overview={o} />}
          {o.top_rules && <TopRules overview={o} range={range} />}
          {o.top_hosts && <TopHosts overview={o} range={range} />}
        </div>
      )}
    </div>
  )
}

function Tiles({ overview: o }: { overview: Overview | undefined }): ReactNode {
  const open = Object.values(o?.alerts.open_by_severity ?? {}).reduce((a, b) => a + b, 0)
  const hosts = o ? o.hosts.online + o.hosts.offline : 0
  const sensors = o ? o.sensors.healthy + o.sensors.degraded + o.sensors.failed : 0
  const wait = <span className="dim">–</span>
  return (
    <div className="tiles">
      <section className="card tile" aria-label={t('overview.alerts')}>
        <span className="name">{t('overview.alerts')}</span>
        <span className="big">{o ? <Link to="/alerts?status=open">{count(open)}</Link> : wait}</span>
        <span className="parts">
          {o && open === 0 && <span className="dim">{t('overview.noopen')}</span>}
          {severities.map((s) => {
            const n = o?.alerts.open_by_severity[s] ?? 0
            return n > 0 ? (
              <Link key={s} to={`/alerts?status=open&severity=${s}`} className="row num" style={{ gap: 5 }}>
                <SeverityBadge severity={s} /> {count(n)}
              </Link>
            ) : null
          })}
        </span>
      </section>
      <section className="card tile" aria-label={t('overview.hosts')}>
        <span className="name">{t('overview.hosts')}</span>
        <span className="big">
          {o ? <Link to="/hosts?status=online">{count(o.hosts.online)}</Link> : wait}
          {o && <small>{t('overview.online', { n: hosts })}</small>}
        </span>
        <span className="parts num">
          {o && (
            <>
              <Link to="/hosts?status=offline">{tn('overview.offline', o.hosts.offline)}</Link>
              {o.hosts.pending > 0 && <Link to="/hosts?status=pending" className="tag warn">{tn('overview.pending', o.hosts.pending)}</Link>}
              {(o.hosts_over_quota ?? 0) > 0 && <span className="tag warn">{tn('overview.overquota', o.hosts_over_quota ?? 0)}</span>}
            </>
          )}
        </span>
      </section>
      <section className="card tile" aria-label={t('overview.sensors')}>
        <span className="name">{t('overview.sensors')}</span>
        <span className="big">
          {o ? <Link to="/hosts?sensors=healthy">{count(o.sensors.healthy)}</Link> : wait}
          {o && <small>{sensors === 0 ? t('overview.nosensors') : t('overview.healthy', { n: sensors })}</small>}
        </span>
        <span className="parts num">
          {o && o.sensors.degraded > 0 && <Link to="/hosts?sensors=degraded" className="tag warn">{t('overview.degraded', { n: o.sensors.degraded })}</Link>}
          {o && o.sensors.failed > 0 && <Link to="/hosts?sensors=failed" className="tag bad">{t('overview.failed', { n: o.sensors.failed })}</Link>}
          {o && sensors > 0 && <Link to="/hosts?sensors=lost" className={BigInt(o.sensors.lost_events) > 0n ? 'tag warn' : 'dim'}>{t('overview.lost', { n: o.sensors.lost_events })}</Link>}
        </span>
      </section>
      <section className="card tile" aria-label={t('overview.responses')}>
        <span className="name">{t('overview.responses')}</span>
        <span className="big">{o ? <Link to="/responses?show=failed">{count(o.failed_responses)}</Link> : wait}</span>
        <span className="parts num">
          {o && (
            <Link to="/rules">{t('overview.rules', { enabled: o.rules.enabled, total: o.rules.total })}</Link>
          )}
        </span>
      </section>
    </div>
  )
}

function LatestAlerts({ overview }: { overview: Overview | undefined }): ReactNode {
  const client = useClient()
  const alerts = useQuery({
    queryKey: ['alerts', 'latest'],
    queryFn: () => client.alerts({ status: 'open', limit: 8 }),
    refetchInterval: 60_000,
  })
  return (
    <section className="card">
      <div className="cardhead">
        <h2>{t('overview.latest')}</h2>
        <Link className="more" to="/alerts?status=open">{t('overview.all')}</Link>
      </div>
      {alerts.isPending && <Loading />}
      {alerts.isError && <div className="body"><Failure error={alerts.error} /></div>}
      {alerts.data?.alerts.length === 0 && <NoAlerts overview={overview} />}
      {alerts.data?.alerts.map((a) => (
        <Link key={String(a.id)} to={`/alerts/${encodeURIComponent(String(a.id))}?status=open`} className="alertrow brief">
          <span className={`edge ${severityClass(a.severity)}`} />
          <span><SeverityBadge severity={a.severity} /></span>
          <span className="grow">
            <span className="title clip" style={{ display: 'block' }}><HostText text={a.title} line /></span>
            <span className="entity row" style={{ gap: 8 }}>
              <span className="nowrap" style={{ maxWidth: '40%' }}><HostText text={a.host.hostname} line /></span>
              <span className="clip"><HostText text={a.process?.cmdline || a.entity} mono line /></span>
            </span>
          </span>
          <span className="when"><Time at={a.last_seen} /></span>
        </Link>
      ))}
    </section>
  )
}

/** No alerts is only good news where something was able to see. */
export function NoAlerts({ overview: o }: { overview: Overview | undefined }): ReactNode {
  if (!o) return <Loading lines={3} />
  const watched = o.hosts.online
  const blind = o.sensors.degraded + o.sensors.failed
  return (
    <Empty title={t('alerts.none')} icon="alerts">
      <p>
        {t('alerts.none.rules', { enabled: o.rules.enabled, total: o.rules.total })} {tn('alerts.none.hosts', watched)}
      </p>
      {watched === 0 && <p className="tag warn">{t('alerts.none.nobody')}</p>}
      {o.hosts.offline > 0 && <p>{tn('alerts.none.offline', o.hosts.offline)}</p>}
      {blind > 0 && <p className="tag warn">{tn('alerts.none.blind', blind)}</p>}
      {BigInt(o.sensors.lost_events) > 0n && <p className="tag warn">{t('alerts.none.lost', { n: o.sensors.lost_events })}</p>}
      {watched === 0 && o.hosts.offline + o.hosts.pending === 0 && <Link to="/hosts">{t('hosts.enrol')}</Link>}
    </Empty>
  )
}

function needsLook(h: Host): boolean {
  const s = sensorSummary(h.health).state
  return h.status !== 'online' || s !== 'healthy' || h.open_alerts > 0 || (h.problems ?? []).length > 0
}

function HostsToLookAt(): ReactNode {
  const client = useClient()
  const hosts = useQuery({
    queryKey: ['hosts', 'look'],
    queryFn: () => client.hosts({ limit: 200 }),
    refetchInterval: 60_000,
  })
  const list = (hosts.data?.hosts ?? []).filter(needsLook).slice(0, 8)
  return (
    <section className="card">
      <div className="cardhead">
        <h2>{t('overview.look')}</h2>
        <Link className="more" to="/hosts">{t('overview.allhosts')}</Link>
      </div>
      {hosts.isPending && <Loading />}
      {hosts.isError && <div className="body"><Failure error={hosts.error} /></div>}
      {hosts.data && hosts.data.total === 0 && (
        <Empty title={t('hosts.none')} icon="hosts">
          <Link to="/hosts">{t('hosts.enrol')}</Link>
        </Empty>
      )}
      {hosts.data && hosts.data.total > 0 && list.length === 0 && (
        <Empty title={t('overview.quiet')} icon="hosts">
          <p>{t('overview.quiettext')}</p>
        </Empty>
      )}
      {list.length > 0 && (
        <div className="tablewrap">
          <table className="list">
            <thead>
              <tr>
                <th>{t('hosts.hostname')}</th>
                <th>{t('hosts.status')}</th>
                <th>{t('hosts.sensors')}</th>
                <th className="right">{t('hosts.alerts.short')}</th>
              </tr>
            </thead>
            <tbody>
              {list.map((h) => (
                <tr key={h.id}>
                  <td style={{ maxWidth: 150 }}>
                    <Link className="main-link" to={`/hosts/${encodeURIComponent(h.id)}`}><HostText text={h.hostname} line /></Link>
                  </td>
                  <td><HostState status={h.status} /></td>
                  <td><SensorHealth health={h.health} status={h.status} /></td>
                  <td className="right num"><Link to={`/alerts?status=open&host=${encodeURIComponent(h.id)}`}>{count(h.open_alerts)}</Link></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}
