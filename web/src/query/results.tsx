import { Button, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useDeferredValue, useState, type KeyboardEvent, type ReactNode } from 'react'
import { Link } from 'react-router'
import { exportURL } from '../api/client'
import type { QueryHost } from '../api/types'
import { t, tn, word } from '../i18n'
import { count, parseTime } from '../lib/format'
import { countOutcomes, outcomeOf, outcomes } from '../lib/rows'
import { useClient, useMe } from '../session'
import { Icon } from '../ui/icons'
import { CopyButton, Empty, Failure, Loading, Notice, Time, useNow } from '../ui/parts'
import { HostText } from '../ui/text'
import { Grid } from './grid'
import { useLiveQuery, type Live } from './live'

const tabs = ['results', 'errors', 'hosts'] as const
type Tab = (typeof tabs)[number]

export function Results({ id }: { id: string }): ReactNode {
  const live = useLiveQuery(id)
  const [tab, setTab] = useState<Tab>('results')
  const [filter, setFilter] = useState('')
  const slow = useDeferredValue(filter)
  const { state } = live
  if (live.error !== null && !state.query) return <div className="card results" style={{ padding: 14 }}><Failure error={live.error} /></div>
  if (!state.query) return <div className="card results"><Loading lines={6} /></div>
  const hosts = [...state.hosts.values()]
  const troubled = hosts.filter((h) => outcomeOf(h.state) === 'error' || (h.warnings ?? []).length > 0)
  const numbers: Record<Tab, number> = { results: state.rows.length, errors: troubled.length, hosts: hosts.length }
  const keys = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0
    if (step === 0) return
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length] ?? 'results'
    setTab(next)
    document.getElementById(`tab-${next}`)?.focus()
  }
  return (
    <section className="card results" aria-label={t('query.results')} data-done={state.done} data-rows={state.rows.length}>
      <Summary id={id} live={live} hosts={hosts} />
      {live.error !== null && <div style={{ padding: '8px 12px' }}><Failure error={live.error} /></div>}
      <div className="resulttabs">
        <div role="tablist" onKeyDown={keys}>
          {tabs.map((x) => (
            <button key={x} id={`tab-${x}`} type="button" role="tab" aria-selected={tab === x} tabIndex={tab === x ? 0 : -1} aria-controls="resultpanel" onClick={() => setTab(x)}>
              {t(`query.tab.${x}`)} <span className="num dim">{count(numbers[x])}</span>
            </button>
          ))}
        </div>
        <div className="tools">
          {tab === 'results' && (
            <TextInput size="xs" w={190} value={filter} onChange={(e) => setFilter(e.currentTarget.value)} placeholder={t('query.filter')} aria-label={t('query.filter')} />
          )}
          <Button size="compact-sm" variant="default" component="a" href={exportURL(id, 'csv')} download leftSection={<Icon name="download" size={13} />}>CSV</Button>
          <Button size="compact-sm" variant="default" component="a" href={exportURL(id, 'json')} download leftSection={<Icon name="download" size={13} />}>JSON</Button>
          <CopyButton text={`${location.origin}/queries/${encodeURIComponent(id)}`} label={t('query.copylink')} />
        </div>
      </div>
      <div id="resultpanel" role="tabpanel" aria-labelledby={`tab-${tab}`} className="resultpanel">
        {tab === 'results' && state.rows.length === 0 && <NoRows live={live} hosts={hosts} />}
        {tab === 'results' && state.rows.length > 0 && <Grid rows={state.rows} columns={state.columns} version={live.version} filter={slow} />}
        {tab === 'errors' && <Errors hosts={troubled} />}
        {tab === 'hosts' && <Hosts hosts={hosts} />}
      </div>
    </section>
  )
}

function Summary({ id, live, hosts }: { id: string; live: Live; hosts: QueryHost[] }): ReactNode {
  const client = useClient()
  const me = useMe()
  const now = useNow()
  const stop = useMutation({ mutationFn: () => client.stopQuery(id) })
  const q = live.state.query
  if (!q) return null
  const counts = countOutcomes(hosts)
  const total = hosts.length || 1
  const deadline = parseTime(q.deadline_at)
  const left = deadline ? Math.max(0, Math.round((deadline.getTime() - now) / 1000)) : 0
  const truncated = hosts.filter((h) => h.truncated).length
  // Green is only what every host has answered.
  const answered = live.state.done && counts.rows + counts.none === hosts.length
  const status = q.stopped ? 'stopped' : live.state.done ? 'done' : 'running'
  return (
    <div className="summary">
      <span className={`tag ${status === 'running' ? 'warn' : answered ? 'ok' : ''}`} role="status" data-query-state={status}>
        {t(`query.state.${status}`)}
      </span>
      <div className="progress" aria-hidden="true">
        {outcomes.map((o) => <span key={o} className={`o-${o}`} style={{ width: `${(counts[o] / total) * 100}%` }} />)}
      </div>
      {outcomes.map((o) => (
        <span key={o} className={`outcome num${counts[o] === 0 ? ' zero' : ''}`} data-outcome={o} data-count={counts[o]}>
          <i className={`o-${o}`} /> {count(counts[o])} {t(`outcome.${o}`)}
        </span>
      ))}
      <span className="grow" />
      {truncated > 0 && <span className="tag warn">{q.max_rows ? tn('query.truncatedat', truncated, { cap: q.max_rows }) : tn('query.truncated', truncated)}</span>}
      <span className="dim num nowrap">
        {status === 'running' ? <>{t('query.left', { n: left })}</> : <><HostText text={q.by} line /> · <Time at={q.created_at} /></>}
      </span>
      {status === 'running' && (
        <Button size="compact-sm" variant="default" loading={stop.isPending} disabled={!(me.rights ?? []).includes('query')} leftSection={<Icon name="stop" size={12} />} onClick={() => stop.mutate()}>
          {t('query.stop')}
        </Button>
      )}
      {stop.isError && <Failure error={stop.error} />}
    </div>
  )
}

/** No rows is an answer only where every host gave it. */
function NoRows({ live, hosts }: { live: Live; hosts: QueryHost[] }): ReactNode {
  const counts = countOutcomes(hosts)
  if (live.loading) return <Loading />
  if (!live.state.done) return <Empty title={t('query.waiting')} icon="clock"><p>{tn('query.waitingfor', counts.pending)}</p></Empty>
  if (hosts.length === 0) return <Empty title={t('query.notargets')} />
  const silent = counts.error + counts.offline + counts.pending
  const warned = hosts.filter((h) => (h.warnings ?? []).length > 0).length
  if (counts.none === 0) return <Empty title={t('query.unknown')} icon="warn"><p>{tn('query.unknowntext', silent)}</p></Empty>
  return (
    <Empty title={tn('query.nomatch', counts.none)} icon="check">
      {silent > 0 && <p className="tag warn">{tn('query.silent', silent)}</p>}
      {warned > 0 && <p className="tag warn">{tn('query.warned', warned)}</p>}
    </Empty>
  )
}

function Errors({ hosts }: { hosts: QueryHost[] }): ReactNode {
  if (hosts.length === 0) return <Empty title={t('query.noerrors')} icon="check" />
  return (
    <div className="tablewrap fill">
      <table className="list">
        <thead><tr><th>{t('query.host')}</th><th>{t('query.outcome')}</th><th>{t('query.message')}</th></tr></thead>
        <tbody>
          {hosts.map((h) => (
            <tr key={h.id}>
              <td className="top" style={{ maxWidth: 200 }}><Link to={`/hosts/${encodeURIComponent(h.id)}`}><HostText text={h.hostname} line /></Link></td>
              <td className="top"><State host={h} /></td>
              <td>
                {h.error && <div><HostText text={h.error} mono /></div>}
                {h.state === 'expired' && !h.error && t('query.expired')}
                {(h.warnings ?? []).map((w, i) => <div key={i} className="dim"><HostText text={w} mono /></div>)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Hosts({ hosts }: { hosts: QueryHost[] }): ReactNode {
  const shown = hosts.slice(0, 1000)
  return (
    <div className="tablewrap fill">
      <table className="list">
        <thead>
          <tr>
            <th>{t('query.host')}</th><th>{t('query.outcome')}</th><th className="right">{t('query.rows')}</th>
            <th className="right">{t('query.wall')}</th><th className="right">{t('query.cpu')}</th><th>{t('query.notes')}</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((h) => (
            <tr key={h.id}>
              <td style={{ maxWidth: 240 }}><Link to={`/hosts/${encodeURIComponent(h.id)}`}><HostText text={h.hostname} line /></Link></td>
              <td><State host={h} /></td>
              <td className="right num">{count(h.rows)}{h.truncated && <> <span className="tag warn">{t('query.cut')}</span></>}</td>
              <td className="right num">{h.wall_ms > 0 ? t('ms', { n: Math.round(h.wall_ms) }) : '–'}</td>
              <td className="right num">{h.cpu_ms > 0 ? t('ms', { n: Math.round(h.cpu_ms) }) : '–'}</td>
              <td>{h.error ? <HostText text={h.error} most={160} /> : (h.warnings ?? []).length > 0 ? tn('query.warnings', (h.warnings ?? []).length) : ''}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {hosts.length > shown.length && <div className="listfoot"><Notice>{t('list.shown', { n: shown.length, total: hosts.length })}</Notice></div>}
    </div>
  )
}

function State({ host }: { host: QueryHost }): ReactNode {
  return <span className="outcome"><i className={`o-${outcomeOf(host.state)}`} /> {word('querystate', host.state)}</span>
}
