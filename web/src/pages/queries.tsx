import { Button } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link, useNavigate, useParams, useSearchParams } from 'react-router'
import type { Query } from '../api/types'
import { t, tn } from '../i18n'
import { count } from '../lib/format'
import Workbench from '../query/workbench'
import { chosen } from '../query/targets'
import { useClient } from '../session'
import { Icon } from '../ui/icons'
import { Empty, Failure, Loading, Time, useTitle } from '../ui/parts'
import { everybody } from '../ui/targets'
import { HostText } from '../ui/text'

export default function QueriesPage(): ReactNode {
  useTitle(t('nav.queries'))
  const { id } = useParams()
  const client = useClient()
  const navigate = useNavigate()
  const [params] = useSearchParams()
  const hostID = params.get('host') ?? ''
  const group = params.get('group') ?? ''
  const host = useQuery({ queryKey: ['host', hostID], queryFn: () => client.host(hostID), enabled: hostID !== '' })
  if (hostID !== '' && host.isPending) return <div className="page"><Loading /></div>
  return (
    <div className="page full">
      <div className="pagehead">
        <h1>{t('nav.queries')}</h1>
        {id && (
          <div className="actions">
            <Button component={Link} to="/queries" size="xs" variant="default" leftSection={<Icon name="clock" size={14} />}>{t('query.history')}</Button>
          </div>
        )}
      </div>
      <Workbench id={id} onOpen={(run) => void navigate(`/queries/${encodeURIComponent(run)}`)}
        first={{ sql: params.get('sql') ?? undefined, target: host.data ? { all: false, hosts: [chosen(host.data)] } : group && group !== everybody ? { all: false, hosts: [], groups: [group] } : undefined }}>
        <History />
      </Workbench>
    </div>
  )
}

function History(): ReactNode {
  const client = useClient()
  const list = useQuery({ queryKey: ['queries'], queryFn: () => client.queries(50), refetchInterval: 15_000 })
  const queries = list.data?.queries ?? []
  return (
    <section className="card results">
      <div className="summary"><h2>{t('query.history')}</h2></div>
      {list.isPending && <Loading />}
      {list.isError && <div style={{ padding: 12 }}><Failure error={list.error} /></div>}
      {list.data && queries.length === 0 && <Empty title={t('query.first')} icon="query"><p>{t('query.firsttext')}</p></Empty>}
      {queries.length > 0 && (
        <div className="tablewrap fill">
          <table className="list">
            <thead><tr><th>{t('query.sql')}</th><th>{t('query.statecol')}</th><th className="right">{t('query.rows')}</th><th>{t('query.hosts')}</th><th>{t('query.by')}</th><th>{t('query.when')}</th></tr></thead>
            <tbody>{queries.map((q) => <Row key={q.id} query={q} />)}</tbody>
          </table>
        </div>
      )}
    </section>
  )
}

function Row({ query: q }: { query: Query }): ReactNode {
  const c = q.counts ?? {}
  const bad = (c.error ?? 0) + (c.expired ?? 0)
  const total = Object.values(c).reduce((a, b) => a + b, 0)
  return (
    <tr>
      <td style={{ maxWidth: 420 }}><Link to={`/queries/${encodeURIComponent(q.id)}`} className="clip" style={{ display: 'block' }}><HostText text={q.sql} mono line /></Link></td>
      <td>{q.stopped ? t('query.state.stopped') : q.done ? t('query.state.done') : <span className="tag warn">{t('query.state.running')}</span>}</td>
      <td className="right num">{count(q.rows)}</td>
      <td className="nowrap">
        <span className="row num">
          {tn('query.hostcount', total)}
          {bad > 0 && <span className="tag bad">{tn('query.errorcount', bad)}</span>}
          {(c.offline ?? 0) > 0 && <span className="tag">{t('query.offlinecount', { n: c.offline ?? 0 })}</span>}
        </span>
      </td>
      <td style={{ maxWidth: 130 }}><HostText text={q.by} line /></td>
      <td><Time at={q.created_at} /></td>
    </tr>
  )
}
