import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import { t, tn } from '../i18n'
import { duration } from '../lib/format'
import { useClient } from '../session'
import { SeverityBadge } from '../ui/badges'
import { Empty, Failure, Loading, Notice, useTitle } from '../ui/parts'
import { HostText } from '../ui/text'

export function PacksPage(): ReactNode {
  useTitle(t('nav.packs'))
  const client = useClient()
  const list = useQuery({ queryKey: ['packs'], queryFn: client.packs })
  const packs = list.data?.packs ?? []
  return (
    <div className="page">
      <div className="pagehead">
        <div>
          <h1>{t('nav.packs')}</h1>
          <div className="sub">{t('packs.sub')}</div>
        </div>
      </div>
      {list.isPending && <div className="card"><Loading /></div>}
      {list.isError && <Failure error={list.error} retry={() => void list.refetch()} />}
      {list.data && packs.length === 0 && <div className="card"><Empty title={t('packs.none')} icon="packs"><p>{t('packs.nonetext')}</p></Empty></div>}
      {packs.map((p) => (
        <section key={p.name} className="card">
          <div className="cardhead">
            <h2><HostText text={p.name} /></h2>
            {p.platform && <span className="tag"><HostText text={p.platform} line /></span>}
            <span className="more dim num">{tn('packs.queries', p.queries.length)}</span>
          </div>
          {p.error && <div className="body"><Notice kind="bad">{t('packs.brokentext')} <HostText text={p.error} /></Notice></div>}
          <div className="tablewrap">
            <table className="list">
              <thead><tr><th style={{ width: '26%' }}>{t('packs.query')}</th><th>{t('query.sql')}</th><th>{t('packs.interval')}</th><th>{t('packs.mode')}</th><th /></tr></thead>
              <tbody>
                {p.queries.map((q) => (
                  <tr key={q.name}>
                    <td className="top">
                      <b><HostText text={q.name} /></b> {q.severity && <SeverityBadge severity={q.severity} />}
                      {q.description && <div className="dim" style={{ fontSize: 12.25 }}><HostText text={q.description} most={240} /></div>}
                    </td>
                    <td className="top"><HostText text={q.sql} mono most={400} /></td>
                    <td className="nowrap num top">{t('packs.every', { time: duration(q.interval) })}</td>
                    <td className="nowrap top">{q.snapshot ? t('packs.snapshot') : t('packs.differential')}</td>
                    <td className="right top nowrap"><Link to={`/queries?sql=${encodeURIComponent(q.sql)}`}>{t('packs.ask')}</Link></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      ))}
    </div>
  )
}
