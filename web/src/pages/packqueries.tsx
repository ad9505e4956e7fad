import { Button } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import type { Pack, PackQuery } from '../api/types'
import { t, word } from '../i18n'
import { duration } from '../lib/format'
import { useClient, useLacks } from '../session'
import { SeverityBadge } from '../ui/badges'
import { Failure, Time, Why } from '../ui/parts'
import { HostText } from '../ui/text'

export function PackQueries({ pack: p }: { pack: Pack }): ReactNode {
  return (
    <div className="tablewrap" tabIndex={0}>
      <table className="list">
        <thead><tr><th style={{ width: '26%' }}>{t('packs.query')}</th><th>{t('query.sql')}</th><th>{t('packs.interval')}</th><th>{t('packs.mode')}</th><th><span className="sr">{t('packs.more')}</span></th></tr></thead>
        <tbody>{p.queries.map((q) => <Row key={q.name} pack={p} query={q} />)}</tbody>
      </table>
    </div>
  )
}

function Row({ pack: p, query: q }: { pack: Pack; query: PackQuery }): ReactNode {
  return (
    <tr>
      <td className="top">
        <b><HostText text={q.name} /></b> {q.severity && <SeverityBadge severity={q.severity} />}
        {q.description && <div className="dim" style={{ fontSize: 12.25 }}><HostText text={q.description} most={240} /></div>}
        {q.when && <div className="mono dim"><HostText text={q.when} most={240} /></div>}
        {q.error && <div style={{ color: 'var(--bad)' }}><HostText text={q.error} most={300} /></div>}
        {q.needs_approval && <Approval pack={p} query={q} />}
      </td>
      <td className="top"><HostText text={q.sql} mono most={400} /></td>
      <td className="nowrap num top">{t('packs.every', { time: duration(q.interval) })}</td>
      <td className="nowrap top">{q.snapshot ? t('packs.snapshot') : t('packs.differential')}</td>
      <td className="right top nowrap">
        <Link to={`/queries?sql=${encodeURIComponent(q.sql)}`}>{t('packs.ask')}</Link><br />
        <Link to={`/events?range=7d&query=${encodeURIComponent(q.name)}`}>{t('packs.results')}</Link>
      </td>
    </tr>
  )
}

function Approval({ pack: p, query: q }: { pack: Pack; query: PackQuery }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const lacks = useLacks('respond')
  const change = useMutation({
    mutationFn: () => q.approved ? client.withdrawPackQuery(p.name, q.name) : client.approvePackQuery(p.name, q.name, q.version ?? ''),
    onSettled: () => queries.invalidateQueries({ queryKey: ['packs'] }),
  })
  const names = (q.actions ?? []).filter((a) => a !== 'alert' && a !== 'log').map((a) => word('action', a)).join(', ')
  return (
    <div className="row wrap" style={{ marginTop: 6 }}>
      <span className={`tag ${q.approved ? 'ok' : 'warn'}`}>{names}: {q.approved ? t('rules.approved') : t('rules.notapproved')}</span>
      {q.approved && <span className="dim"><HostText text={q.approved.by} most={40} />, <Time at={q.approved.time} /></span>}
      <Why reason={lacks}>
        <Button size="compact-xs" variant="default" disabled={lacks !== null} loading={change.isPending} onClick={() => change.mutate()}>{q.approved ? t('rules.withdraw') : t('rules.approve')}</Button>
      </Why>
      {change.isError && <Failure error={change.error} />}
    </div>
  )
}
