import type { ReactNode } from 'react'
import { Link } from 'react-router'
import type { Overview, Range } from '../api/types'
import { t, word } from '../i18n'
import { bars } from '../lib/chart'
import { count } from '../lib/format'
import { ResponseBadge } from '../ui/badges'
import { SeverityBars, Share } from '../ui/chart'
import { Empty, Time } from '../ui/parts'
import { HostText } from '../ui/text'

const part = encodeURIComponent

export function AlertsOverTime({ overview: o }: { overview: Overview }): ReactNode {
  const seconds = o.bucket_s ?? 3600
  return (
    <section className="card">
      <div className="cardhead"><h2>{t('overview.overtime')}</h2></div>
      <SeverityBars bars={bars(o.alerts.over_time ?? [], seconds)} bucketSeconds={seconds}
        to={(b) => `/alerts?status=all&from=${part(b.from)}&to=${part(b.to)}`} />
    </section>
  )
}

export function TopTechniques({ overview: o, range }: { overview: Overview; range: Range }): ReactNode {
  const list = o.top_techniques ?? []
  const most = Math.max(0, ...list.map((x) => x.count))
  return (
    <section className="card">
      <div className="cardhead"><h2>{t('overview.techniques')}</h2></div>
      {list.length === 0 ? <div className="body dim">{t('overview.notechniques')}</div> : (
        <div className="toplist">
          {list.slice(0, 7).map((x) => (
            <Link key={x.id} to={`/alerts?status=all&technique=${part(x.id)}&range=${range}`}>
              <span className="mono clip"><HostText text={x.id} line /></span>
              <Share n={x.count} most={most} />
              <span className="num n">{count(x.count)}</span>
            </Link>
          ))}
        </div>
      )}
    </section>
  )
}

export function TopRules({ overview: o, range }: { overview: Overview; range: Range }): ReactNode {
  const list = o.top_rules ?? []
  const most = Math.max(0, ...list.map((x) => x.count))
  return (
    <section className="card">
      <div className="cardhead"><h2>{t('overview.toprules')}</h2></div>
      {list.length === 0 ? <div className="body dim">{t('overview.noalertsthen')}</div> : (
        <div className="toplist">
          {list.slice(0, 7).map((x) => (
            <Link key={x.id} to={`/alerts?status=all&rule=${part(x.id)}&range=${range}`}>
              <span className="clip"><HostText text={x.name || x.id} line /></span>
              <Share n={x.count} most={most} />
              <span className="num n">{count(x.count)}</span>
            </Link>
          ))}
        </div>
      )}
    </section>
  )
}

export function TopHosts({ overview: o, range }: { overview: Overview; range: Range }): ReactNode {
  const list = o.top_hosts ?? []
  const most = Math.max(0, ...list.map((x) => x.count))
  return (
    <section className="card">
      <div className="cardhead"><h2>{t('overview.tophosts')}</h2></div>
      {list.length === 0 ? <div className="body dim">{t('overview.noalertsthen')}</div> : (
        <div className="toplist">
          {list.slice(0, 7).map((x) => (
            <Link key={x.id} to={`/alerts?status=all&host=${part(x.id)}&range=${range}`}>
              <span className="clip"><HostText text={x.hostname || x.id} line /></span>
              <Share n={x.count} most={most} />
              <span className="num n">{count(x.count)}</span>
            </Link>
          ))}
        </div>
      )}
    </section>
  )
}

export function SensorTable({ overview: o }: { overview: Overview }): ReactNode {
  const list = o.sensors.by_name ?? []
  return (
    <section className="card" id="sensors">
      <div className="cardhead"><h2>{t('overview.sensortable')}</h2><Link className="more" to="/hosts">{t('overview.allhosts')}</Link></div>
      {list.length === 0 ? <Empty title={t('overview.nosensors')} /> : (
        <div className="tablewrap" tabIndex={0}>
          <table className="list">
            <thead><tr><th>{t('sensor.name')}</th>{['running', 'degraded', 'failed', 'off'].map((s) => <th key={s} className="right">{word('sensorword', s)}</th>)}<th className="right">{t('sensor.lost')}</th></tr></thead>
            <tbody>
              {list.map((s) => (
                <tr key={s.name}>
                  <td style={{ fontWeight: 560 }}><HostText text={s.name} line /></td>
                  <td className="right num">{count(s.running)}</td>
                  <td className="right num">{s.degraded > 0 ? <Link to="/hosts?sensors=degraded" className="tag warn">{count(s.degraded)}</Link> : 0}</td>
                  <td className="right num">{s.failed > 0 ? <Link to="/hosts?sensors=failed" className="tag bad">{count(s.failed)}</Link> : 0}</td>
                  <td className="right num">{count(s.off)}</td>
                  <td className="right num">{BigInt(s.lost) > 0n ? <Link to="/hosts?sensors=lost" className="tag warn">{count(s.lost)}</Link> : 0}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

export function FailedResponses({ overview: o }: { overview: Overview }): ReactNode {
  const list = o.failed ?? []
  return (
    <section className="card">
      <div className="cardhead"><h2>{t('overview.failedlist')}</h2><Link className="more" to="/responses?show=failed">{t('overview.allfailed')}</Link></div>
      {list.length === 0 ? <div className="body dim">{t('overview.nofailed')}</div> : (
        <div className="tablewrap" tabIndex={0}>
          <table className="list">
            <tbody>
              {list.slice(0, 6).map((r) => (
                <tr key={r.id}>
                  <td className="nowrap top"><Link to={r.alert ? `/alerts/${part(String(r.alert))}?status=all` : `/hosts/${part(r.host)}?tab=responses`}>{word('action', r.action)}</Link></td>
                  <td className="top"><ResponseBadge state={r.state} /></td>
                  <td><HostText text={r.error || r.reason} most={120} /></td>
                  <td className="right top"><Time at={r.finished_at ?? r.created_at} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}
