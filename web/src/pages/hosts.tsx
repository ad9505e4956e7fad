import { Button, SegmentedControl, Select, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { Link, useNavigate, useSearchParams } from 'react-router'
import type { Host } from '../api/types'
import { t, tn, word } from '../i18n'
import { count } from '../lib/format'
import { sensorSummary } from '../lib/health'
import { useClient, useLacks } from '../session'
import { HostState, SensorHealth } from '../ui/badges'
import { Icon } from '../ui/icons'
import { Empty, Failure, Loading, Time, useTitle, Why } from '../ui/parts'
import { everybody, useGroupNames } from '../ui/targets'
import { HostText } from '../ui/text'
import { EnrolDialog, EnrolForm } from './enrol'

const page = 100

export function HostsPage(): ReactNode {
  useTitle(t('nav.hosts'))
  const client = useClient()
  const [params, setParams] = useSearchParams()
  const q = params.get('q') ?? ''
  const status = params.get('status') ?? ''
  const group = params.get('group') ?? ''
  const label = params.get('label') ?? ''
  const sensors = params.get('sensors') ?? ''
  const [enrolling, setEnrolling] = useState(false)
  const [search] = useDebouncedValue(q, 250)
  const lacks = useLacks('hosts')
  const hosts = useInfiniteQuery({
    queryKey: ['hosts', 'list', search, status, group, label],
    queryFn: ({ pageParam }) => client.hosts({ q: search, status, group, label, limit: page, offset: pageParam }),
    initialPageParam: 0,
    getNextPageParam: (last, pages) => (last.hosts.length < page ? undefined : pages.length * page),
    placeholderData: keepPreviousData,
    refetchInterval: 30_000,
  })
  const set = (key: string, value: string): void => {
    const next = new URLSearchParams(params)
    if (value) next.set(key, value)
    else next.delete(key)
    setParams(next, { replace: true })
  }
  const first = hosts.data?.pages[0]
  const loaded = hosts.data?.pages.flatMap((p) => p.hosts) ?? []
  const list = sensors ? loaded.filter((h) => sensorsAre(h, sensors)) : loaded
  const counts = first?.counts
  const all = counts ? counts.online + counts.offline + counts.pending : 0
  const noneAtAll = first !== undefined && all === 0 && search === '' && status === '' && group === '' && label === ''
  const labels: [string, string, number | undefined][] = [
    ['', t('hosts.all'), all],
    ['online', t('host.status.online'), counts?.online],
    ['offline', t('host.status.offline'), counts?.offline],
    ['pending', t('host.status.pending'), counts?.pending],
  ]
  return (
    <div className="page">
      <div className="pagehead">
        <h1>{t('nav.hosts')}</h1>
        <div className="actions">
          <Why reason={lacks}>
            <Button leftSection={<Icon name="plus" size={15} />} disabled={lacks !== null} onClick={() => setEnrolling(true)} size="xs">
              {t('hosts.enrol')}
            </Button>
          </Why>
        </div>
      </div>
      {!noneAtAll && (
        <div className="toolbar">
          <TextInput
            size="xs" w={280} value={q} onChange={(e) => set('q', e.currentTarget.value)}
            placeholder={t('hosts.search')} aria-label={t('hosts.search')} leftSection={<Icon name="search" size={14} />} />
          <SegmentedControl
            size="xs" value={status} onChange={(v) => set('status', v)} aria-label={t('hosts.status')}
            data={labels.map(([value, label, n]) => ({ value, label: n === undefined ? label : `${label} ${count(n)}` }))} />
          <GroupFilter value={group} onChange={(v) => set('group', v)} />
          <Select size="xs" w={190} value={sensors || null} onChange={(v) => set('sensors', v ?? '')} clearable placeholder={t('hosts.anysensors')} aria-label={t('hosts.sensors')}
            data={sensorFilters.map((s) => ({ value: s, label: word('hosts.sensorfilter', s) }))} />
          {label && (
            <span className="tag info">{t('host.labels')}: <HostText text={label} line />
              <button type="button" className="linkbutton" onClick={() => set('label', '')} aria-label={t('hosts.anylabel')}><Icon name="close" size={12} /></button>
            </span>
          )}
        </div>
      )}
      {hosts.isError && <Failure error={hosts.error} retry={() => void hosts.refetch()} />}
      <div className="card">
        {hosts.isPending && <Loading lines={8} />}
        {noneAtAll && (
          <div className="teach">
            <Icon name="hosts" size={32} />
            <h2>{t('hosts.none')}</h2>
            <p className="dim">{t('hosts.teach')}</p>
            {lacks ? <p className="dim">{lacks}</p> : <EnrolForm />}
          </div>
        )}
        {first && !noneAtAll && list.length === 0 && (
          <Empty title={t('hosts.nomatch')} icon="search">
            <p>{tn('hosts.nomatchtext', all)}</p>
          </Empty>
        )}
        {list.length > 0 && <HostTable hosts={list} />}
        {first && (loaded.length < first.total || list.length < loaded.length) && (
          <div className="listfoot">
            {t('list.shown', { n: list.length, total: first.total })}
            {hosts.hasNextPage && <Button size="compact-sm" variant="default" loading={hosts.isFetchingNextPage} onClick={() => void hosts.fetchNextPage()}>{t('list.more')}</Button>}
          </div>
        )}
      </div>
      <EnrolDialog open={enrolling} onClose={() => setEnrolling(false)} />
    </div>
  )
}

const sensorFilters = ['healthy', 'degraded', 'failed', 'lost', 'unknown'] as const

function sensorsAre(h: Host, wanted: string): boolean {
  const s = sensorSummary(h.health)
  switch (wanted) {
    case 'lost':
      return s.lost > 0n
    case 'degraded':
      return s.degraded > 0
    case 'failed':
      return s.failed > 0
    default:
      return s.state === wanted
  }
}

function GroupFilter({ value, onChange }: { value: string; onChange: (group: string) => void }): ReactNode {
  const names = useGroupNames().filter((n) => n !== everybody)
  if (names.length === 0 && value === '') return null
  const options = [...new Set([...names, ...(value ? [value] : [])])]
  return <Select size="xs" w={170} value={value || null} onChange={(v) => onChange(v ?? '')} clearable searchable placeholder={t('hosts.anygroup')} aria-label={t('hosts.group')} data={options} />
}

function HostTable({ hosts }: { hosts: Host[] }): ReactNode {
  const navigate = useNavigate()
  return (
    <div className="tablewrap">
      <table className="list">
        <thead>
          <tr>
            <th>{t('hosts.hostname')}</th>
            <th>{t('hosts.status')}</th>
            <th>{t('hosts.os')}</th>
            <th>{t('hosts.agent')}</th>
            <th>{t('hosts.lastseen')}</th>
            <th>{t('hosts.sensors')}</th>
            <th className="right">{t('hosts.alerts')}</th>
          </tr>
        </thead>
        <tbody>
          {hosts.map((h) => {
            const to = `/hosts/${encodeURIComponent(h.id)}`
            return (
              <tr key={h.id} className="go" onClick={(e) => {
                if (!(e.target as Element).closest('a,button')) void navigate(to)
              }}>
                <td style={{ maxWidth: 260 }}>
                  <Link className="main-link" to={to}><HostText text={h.hostname} line /></Link>
                  <div className="dim clip" style={{ fontSize: 12 }}><HostText text={h.address} line /></div>
                </td>
                <td><HostState status={h.status} /></td>
                <td style={{ maxWidth: 230 }}>
                  <HostText text={h.os} line />
                  <div className="dim clip" style={{ fontSize: 12 }}><HostText text={h.arch} line /></div>
                </td>
                <td className="nowrap" style={{ maxWidth: 130 }}><HostText text={h.agent_version} line /></td>
                <td><Time at={h.last_seen} /></td>
                <td><SensorHealth health={h.health} status={h.status} /></td>
                <td className="right num">
                  {h.open_alerts > 0 ? (
                    <Link to={`/alerts?status=open&host=${encodeURIComponent(h.id)}`} className="tag bad">{count(h.open_alerts)}</Link>
                  ) : (
                    <span className="dim">0</span>
                  )}
                </td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}
