import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { notThere } from '../api/client'
import type { Sink } from '../api/types'
import { t, word } from '../i18n'
import { count, duration } from '../lib/format'
import { useClient } from '../session'
import { Failure, Loading, Time } from '../ui/parts'
import { HostText } from '../ui/text'

/** Where hits and results flow to, and what each has not taken yet. */
export function Sinks(): ReactNode {
  const client = useClient()
  const sinks = useQuery({ queryKey: ['sinks'], queryFn: client.sinks, refetchInterval: 15_000, retry: false })
  const list = sinks.data ?? []
  return (
    <section className="card" aria-label={t('sinks.title')}>
      <div className="cardhead"><h2>{t('sinks.title')}</h2></div>
      {sinks.isPending && <Loading lines={3} />}
      {sinks.isError && <div className="body">{notThere(sinks.error) ? <span className="dim">{t('sinks.absent')}</span> : <Failure error={sinks.error} />}</div>}
      {sinks.data && list.length === 0 && <div className="body dim">{t('sinks.none')}</div>}
      {list.length > 0 && (
        <div className="tablewrap" tabIndex={0}>
          <table className="list">
            <thead><tr><th>{t('sinks.name')}</th><th>{t('sinks.type')}</th><th>{t('sinks.target')}</th><th>{t('response.statecol')}</th><th className="right">{t('sinks.sent')}</th><th className="right">{t('sinks.behind')}</th><th className="right">{t('sinks.dead')}</th><th>{t('sinks.lastok')}</th></tr></thead>
            <tbody>{list.map((s) => <Row key={s.name} sink={s} />)}</tbody>
          </table>
        </div>
      )}
    </section>
  )
}

function Row({ sink: s }: { sink: Sink }): ReactNode {
  const lost = BigInt(s.dead_lettered ?? 0) + BigInt(s.missed ?? 0)
  return (
    <tr>
      <td className="top"><b><HostText text={s.name} most={80} /></b></td>
      <td className="top"><HostText text={s.type} most={40} /></td>
      <td className="top" style={{ maxWidth: 260 }}><HostText text={s.target} mono most={160} /></td>
      <td style={{ maxWidth: 380 }} className="top">
        <span className={`tag ${s.state === 'failing' ? 'bad' : s.state === 'ok' ? 'ok' : ''}`}>{word('sinks.state', s.state)}</span>
        {s.error && <div><HostText text={s.error} most={240} /></div>}
      </td>
      <td className="right num top">{count(s.sent)}</td>
      <td className="right num top">{count(s.lag_records)}{(s.lag_seconds ?? 0) > 0 && <div className="dim nowrap">{duration(s.lag_seconds ?? 0)}</div>}</td>
      <td className="right num top">{lost > 0n ? <span className="tag bad">{count(lost)}</span> : 0}</td>
      <td className="top"><Time at={s.last_ok} /></td>
    </tr>
  )
}
