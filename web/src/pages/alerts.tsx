import { Button, SegmentedControl, Select, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useEffect, useMemo, useRef, type KeyboardEvent, type ReactNode } from 'react'
import { Link, useNavigate, useParams, useSearchParams } from 'react-router'
import { severities, type Alert, type AlertStatus } from '../api/types'
import { t, tn, word } from '../i18n'
import { count } from '../lib/format'
import { bounds, rangeOf } from '../lib/timerange'
import { useClient } from '../session'
import { AlertState, SeverityBadge, severityClass } from '../ui/badges'
import { Icon } from '../ui/icons'
import { Empty, Failure, Loading, Time, useTitle } from '../ui/parts'
import { HostText } from '../ui/text'
import { TimeRangePicker } from '../ui/timerange'
import { AlertPanel } from './alertpanel'
import { NoAlerts } from './overview'
import { PersonSelect } from './triage'

const page = 100
const statuses: (AlertStatus | 'all')[] = ['open', 'acknowledged', 'closed', 'all']

export function AlertsPage(): ReactNode {
  useTitle(t('nav.alerts'))
  const client = useClient()
  const navigate = useNavigate()
  const { id } = useParams()
  const [params, setParams] = useSearchParams()
  const status = params.get('status') ?? 'open'
  const severity = params.get('severity') ?? ''
  const host = params.get('host') ?? ''
  const q = params.get('q') ?? ''
  const [search] = useDebouncedValue(q, 250)
  const assignee = params.get('assignee') ?? ''
  const rule = params.get('rule') ?? ''
  const technique = params.get('technique') ?? ''
  const range = rangeOf(params, 'all')
  const limits = useMemo(() => bounds(range, Date.now()), [`${range.span} ${range.from} ${range.to}`])
  const filter = { status: status === 'all' ? '' : status, severity, host, q: search, assignee, rule, technique, ...limits }
  const alerts = useInfiniteQuery({
    queryKey: ['alerts', 'list', filter],
    queryFn: ({ pageParam }) => client.alerts({ ...filter, limit: page, before: pageParam }),
    initialPageParam: '',
    getNextPageParam: (last) => (last.alerts.length < page ? undefined : String(last.alerts.at(-1)?.id)),
    placeholderData: keepPreviousData,
    refetchInterval: 60_000,
  })
  const overview = useQuery({ queryKey: ['overview', '24h'], queryFn: () => client.overview('24h'), refetchInterval: 30_000 })
  const hostInfo = useQuery({ queryKey: ['host', host], queryFn: () => client.host(host), enabled: host !== '' })
  const search_ = params.toString()
  const suffix = search_ ? `?${search_}` : ''
  const change = (values: Record<string, string>): void => {
    const next = new URLSearchParams(params)
    for (const [key, value] of Object.entries(values)) {
      if (value) next.set(key, value)
      else next.delete(key)
    }
    setParams(next, { replace: true })
  }
  const set = (key: string, value: string): void => change({ [key]: value })
  const close = (): void => {
    void navigate(`/alerts${suffix}`)
    // The row that was open takes the focus back.
    requestAnimationFrame(() => document.getElementById(`alert-${id}`)?.focus())
  }
  const list = alerts.data?.pages.flatMap((p) => p.alerts) ?? []
  const first = alerts.data?.pages[0]
  const filtered = severity !== '' || host !== '' || search !== '' || assignee !== '' || rule !== '' || technique !== '' || range.span !== 'all'
  return (
    <div className="page full">
      <div className="pagehead">
        <h1>{t('nav.alerts')}</h1>
        <OpenCounts counts={first?.counts} chosen={severity} onChoose={(s) => set('severity', s === severity ? '' : s)} />
      </div>
      <div className="toolbar">
        <TextInput size="xs" w={260} value={q} onChange={(e) => set('q', e.currentTarget.value)} placeholder={t('alerts.search')}
          aria-label={t('alerts.search')} leftSection={<Icon name="search" size={14} />} />
        <SegmentedControl size="xs" value={status} onChange={(v) => set('status', v)} aria-label={t('alerts.status')}
          data={statuses.map((s) => ({ value: s, label: word('alert.status', s) }))} />
        <Select size="xs" w={150} value={severity || null} onChange={(v) => set('severity', v ?? '')} clearable placeholder={t('alerts.anyseverity')}
          aria-label={t('alerts.severity')} data={severities.map((s) => ({ value: s, label: word('severity', s) }))} />
        <TimeRangePicker value={range} onChange={(r) => change({ range: r.span === 'between' || r.span === 'all' ? '' : r.span, from: r.from, to: r.to })} />
        <PersonSelect value={assignee} onChange={(v) => set('assignee', v)} placeholder={t('alerts.anyone')} />
        {host && <Chip name={t('alerts.onhost')} text={hostInfo.data?.hostname ?? host} drop={t('alerts.anyhost')} onDrop={() => set('host', '')} />}
        {rule && <Chip name={t('panel.rule')} text={rule} drop={t('alerts.anyrule')} onDrop={() => set('rule', '')} />}
        {technique && <Chip name={t('panel.attack')} text={technique} drop={t('alerts.anytechnique')} onDrop={() => set('technique', '')} />}
      </div>
      {alerts.isError && <Failure error={alerts.error} retry={() => void alerts.refetch()} />}
      <div className={`split${id ? ' open' : ''}`}>
        <div className="card listpane">
          {alerts.isPending && <Loading lines={9} />}
          {alerts.data && list.length === 0 && !filtered && status !== 'closed' && status !== 'acknowledged' && <NoAlerts overview={overview.data} />}
          {alerts.data && list.length === 0 && (filtered || status === 'closed' || status === 'acknowledged') && (
            <Empty title={t('alerts.nomatch')} icon="search"><p>{t('alerts.nomatchtext')}</p></Empty>
          )}
          {list.length > 0 && <AlertRows alerts={list} current={id} suffix={suffix} />}
          {first && list.length > 0 && (
            <div className="listfoot num">
              {t('list.shown', { n: list.length, total: Math.max(first.total, list.length) })}
              {alerts.hasNextPage && (
                <Button size="compact-sm" variant="default" loading={alerts.isFetchingNextPage} onClick={() => void alerts.fetchNextPage()}>{t('list.more')}</Button>
              )}
            </div>
          )}
        </div>
        {id && <AlertPanel key={id} id={id} onClose={close} />}
      </div>
    </div>
  )
}

function Chip({ name, text, drop, onDrop }: { name: string; text: string; drop: string; onDrop: () => void }): ReactNode {
  return (
    <span className="tag info" style={{ maxWidth: 260 }}>
      {name} <HostText text={text} line />
      <button type="button" className="linkbutton" onClick={onDrop} aria-label={drop}><Icon name="close" size={12} /></button>
    </span>
  )
}

function OpenCounts({ counts, chosen, onChoose }: {
  counts: Partial<Record<string, number>> | undefined
  chosen: string
  onChoose: (s: string) => void
}): ReactNode {
  return (
    <div className="actions" aria-label={t('alerts.opencounts')} role="group">
      {severities.map((s) => (
        <button key={s} type="button" className="countbutton num" aria-pressed={chosen === s} onClick={() => onChoose(s)}>
          <SeverityBadge severity={s} /> {counts ? count(counts[s] ?? 0) : '–'}
        </button>
      ))}
    </div>
  )
}

function AlertRows({ alerts, current, suffix }: { alerts: Alert[]; current: string | undefined; suffix: string }): ReactNode {
  const list = useRef<HTMLDivElement>(null)
  // What was there when the page opened is not news; what comes later is.
  const known = useRef<Set<string> | null>(null)
  const fresh = useRef(new Set<string>())
  if (known.current === null) known.current = new Set(alerts.map((a) => String(a.id)))
  const opened = useRef(Date.now())
  for (const a of alerts) {
    const id = String(a.id)
    if (known.current.has(id)) continue
    known.current.add(id)
    if (Date.parse(a.last_seen) > opened.current - 60_000) fresh.current.add(id)
  }
  useEffect(() => {
    if (current) document.getElementById(`alert-${current}`)?.scrollIntoView({ block: 'nearest' })
  }, [current])
  const move = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowDown' || event.key === 'j' ? 1 : event.key === 'ArrowUp' || event.key === 'k' ? -1 : 0
    if (step === 0 || event.ctrlKey || event.metaKey || event.altKey) return
    const rows = [...(list.current?.querySelectorAll<HTMLAnchorElement>('a.alertrow') ?? [])]
    const at = rows.indexOf(document.activeElement as HTMLAnchorElement)
    const next = rows[at + step]
    if (at < 0 || !next) return
    event.preventDefault()
    next.focus()
  }
  return (
    <div ref={list} onKeyDown={move}>
      <div className="alerthead" aria-hidden="true">
        <span />
        <span>{t('alerts.severity')}</span>
        <span>{t('alerts.what')}</span>
        <span className="c-host">{t('alerts.host')}</span>
        <span className="when">{t('alerts.last')}</span>
        <span className="c-status">{t('alerts.status')}</span>
      </div>
      {alerts.map((a) => {
        const id = String(a.id)
        return (
          <Link key={id} id={`alert-${id}`} to={`/alerts/${encodeURIComponent(id)}${suffix}`} data-alert={id}
            className={`alertrow${fresh.current.has(id) ? ' fresh' : ''}`} aria-current={current === id ? 'true' : undefined}>
            <span className={`edge ${severityClass(a.severity)}`} />
            <span><SeverityBadge severity={a.severity} /></span>
            <span className="grow">
              <span className="row" style={{ gap: 8 }}>
                <span className="title clip"><HostText text={a.title} line /></span>
                {a.count > 1 && <span className="tag num">{tn('alert.times', a.count)}</span>}
                {a.assignee && <span className="tag info" style={{ maxWidth: 120 }}><HostText text={a.assignee} line /></span>}
                {a.verdict && <span className="tag">{word('verdict', a.verdict)}</span>}
              </span>
              <span className="entity clip" style={{ display: 'block' }}><HostText text={a.process?.cmdline || a.entity} mono line /></span>
            </span>
            <span className="c-host clip"><HostText text={a.host.hostname} line /></span>
            <span className="when"><Time at={a.last_seen} /></span>
            <span className="c-status"><AlertState status={a.status} /></span>
          </Link>
        )
      })}
    </div>
  )
}
