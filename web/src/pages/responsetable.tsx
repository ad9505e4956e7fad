import { SegmentedControl } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link, useSearchParams } from 'react-router'
import type { Response } from '../api/types'
import { t, word } from '../i18n'
import { useClient } from '../session'
import { ResponseBadge } from '../ui/badges'
import { Empty, Failure, Loading, Time, useTitle } from '../ui/parts'
import { HostText } from '../ui/text'
import { targetText, UndoButton, undoOf } from './undo'

const views = ['all', 'waiting', 'failed', 'quarantine', 'blocks'] as const
type View = (typeof views)[number]

/** Which actions a view shows; what was taken back is no longer in quarantine or blocked. */
export function shownIn(view: View, r: Response): boolean {
  switch (view) {
    case 'all':
      return true
    case 'waiting':
      return r.state === 'pending' || r.state === 'sent'
    case 'failed':
      return r.state === 'failed' || r.state === 'refused' || r.state === 'expired'
    case 'quarantine':
      return r.action === 'quarantine_file' && undoOf(r) !== null
    case 'blocks':
      return r.action === 'block_connection' && undoOf(r) !== null
  }
}

/** What was done on the hosts, and what of it can be taken back. */
export function ResponsesPage(): ReactNode {
  useTitle(t('nav.responses'))
  const client = useClient()
  const [params, setParams] = useSearchParams()
  const view = views.find((v) => v === params.get('show')) ?? 'all'
  const list = useQuery({ queryKey: ['responses', 'all'], queryFn: () => client.responses(), refetchInterval: 15_000 })
  const hosts = useQuery({ queryKey: ['hosts', 'names'], queryFn: () => client.hosts({ limit: 500 }), staleTime: 60_000 })
  const names = new Map((hosts.data?.hosts ?? []).map((h) => [h.id, h.hostname]))
  const shown = (list.data?.responses ?? []).filter((r) => shownIn(view, r))
  return (
    <div className="page" tabIndex={0}>
      <div className="pagehead">
        <div>
          <h1>{t('nav.responses')}</h1>
          <div className="sub">{t('responses.sub')}</div>
        </div>
      </div>
      <div className="toolbar">
        <SegmentedControl size="xs" aria-label={t('responses.show')} value={view} onChange={(v) => setParams(v === 'all' ? {} : { show: v }, { replace: true })}
          data={views.map((v) => ({ value: v, label: word('responses.view', v) }))} />
      </div>
      {list.isError && <Failure error={list.error} retry={() => void list.refetch()} />}
      <div className="card">
        {list.isPending && <Loading />}
        {list.data && shown.length === 0 && <Empty title={t('responses.none')} icon="responses"><p>{word('responses.nonetext', view)}</p></Empty>}
        {shown.length > 0 && <ResponseTable responses={shown} host={(id) => names.get(id) ?? id} />}
      </div>
    </div>
  )
}

export function ResponseTable({ responses, host }: { responses: Response[]; host?: (id: string) => string }): ReactNode {
  return (
    <div className="tablewrap" tabIndex={0}>
      <table className="list">
        <thead>
          <tr>
            <th>{t('response.when')}</th>{host && <th>{t('panel.host')}</th>}<th>{t('response.action')}</th><th>{t('response.target')}</th><th>{t('response.statecol')}</th>
            <th>{t('response.by')}</th><th>{t('response.reason')}</th><th>{t('response.outcome')}</th><th><span className="sr">{t('packs.more')}</span></th>
          </tr>
        </thead>
        <tbody>
          {responses.map((r) => (
            <tr key={r.id} data-response={r.id}>
              <td className="top"><Time at={r.created_at} /></td>
              {host && <td className="top" style={{ maxWidth: 170 }}><Link to={`/hosts/${encodeURIComponent(r.host)}?tab=responses`}><HostText text={host(r.host)} line /></Link></td>}
              <td className="top nowrap">{r.alert ? <Link to={`/alerts/${encodeURIComponent(String(r.alert))}?status=all`}>{word('action', r.action)}</Link> : word('action', r.action)}{r.dry_run ? ` (${t('response.dryrun')})` : ''}</td>
              <td className="top" style={{ maxWidth: 260 }}><Target response={r} /></td>
              <td className="top"><ResponseBadge state={r.state} /></td>
              <td className="top" style={{ maxWidth: 130 }}><HostText text={r.by} line /></td>
              <td className="top"><HostText text={r.reason} most={120} /></td>
              <td className="top"><HostText text={r.error || r.seen || r.plan} most={200} /></td>
              <td className="top right"><UndoButton response={r} /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Target({ response: r }: { response: Response }): ReactNode {
  const pid = (r.args as { pid?: unknown } | null)?.pid
  const text = targetText(r)
  if (text) return <HostText text={text} mono most={120} />
  return pid === undefined ? <span className="dim">–</span> : <span className="dim num">{t('process.pid', { pid: String(pid) })}</span>
}
