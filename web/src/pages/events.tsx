import { Button, SegmentedControl, Select, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useMemo, type KeyboardEvent, type ReactNode } from 'react'
import { useSearchParams } from 'react-router'
import { severities, type Event, type EventKind } from '../api/types'
import { t, word } from '../i18n'
import { bounds, rangeOf, type TimeRange } from '../lib/timerange'
import { useClient } from '../session'
import { SeverityBadge, severityClass } from '../ui/badges'
import { Icon } from '../ui/icons'
import { Empty, Loading, Time, useTitle } from '../ui/parts'
import { HostText } from '../ui/text'
import { TimeRangePicker } from '../ui/timerange'
import { PageFailure } from '../ui/unavailable'
import { valueText } from '../lib/text'
import { EventPanel } from './eventpanel'

const page = 100
const kinds: ('' | EventKind)[] = ['', 'hit', 'result']

export function EventsPage(): ReactNode {
  useTitle(t('nav.events'))
  const client = useClient()
  const [params, setParams] = useSearchParams()
  const get = (key: string): string => params.get(key) ?? ''
  const range = rangeOf(params, '24h')
  const [q] = useDebouncedValue(get('q'), 300)
  const [rule] = useDebouncedValue(get('rule'), 300)
  const [query] = useDebouncedValue(get('query'), 300)
  const filter = { host: get('host'), kind: get('kind'), severity: get('severity'), handled: get('handled'), q, rule, query }
  const rangeKey = `${range.span} ${range.from} ${range.to}`
  // The bound stays where it was while pages are read, or each would be asked of another stretch.
  const limits = useMemo(() => bounds(range, Date.now()), [rangeKey])
  const list = useInfiniteQuery({
    queryKey: ['events', 'list', filter, limits],
    queryFn: ({ pageParam }) => client.events({ ...filter, ...limits, limit: page, before: pageParam }),
    initialPageParam: '',
    getNextPageParam: (last) => last.next || undefined,
    placeholderData: keepPreviousData,
  })
  const hosts = useQuery({ queryKey: ['hosts', 'names'], queryFn: () => client.hosts({ limit: 500 }), staleTime: 60_000 })
  const set = (change: Record<string, string>): void => {
    const next = new URLSearchParams(params)
    for (const [key, value] of Object.entries(change)) {
      if (value) next.set(key, value)
      else next.delete(key)
    }
    setParams(next, { replace: true })
  }
  const setRange = (r: TimeRange): void => set({ range: r.span === 'between' || r.span === '24h' ? '' : r.span, from: r.from, to: r.to })
  const events = list.data?.pages.flatMap((p) => p.events ?? []) ?? []
  const last = list.data?.pages.at(-1)
  const id = get('id')
  const current = events.find((e) => String(e.id) === id)
  const close = (): void => {
    set({ id: '' })
    requestAnimationFrame(() => document.getElementById(`event-${id}`)?.focus())
  }
  const options = (hosts.data?.hosts ?? []).map((h) => ({ value: h.id, label: h.hostname || h.id }))
  if (filter.host && !options.some((o) => o.value === filter.host)) options.push({ value: filter.host, label: filter.host })
  return (
    <div className="page full">
      <div className="pagehead">
        <div>
          <h1>{t('nav.events')}</h1>
          <div className="sub">{t('events.sub')}</div>
        </div>
      </div>
      <div className="toolbar">
        <TextInput size="xs" w={220} value={get('q')} onChange={(e) => set({ q: e.currentTarget.value })} placeholder={t('events.search')}
          aria-label={t('events.search')} leftSection={<Icon name="search" size={14} />} />
        <SegmentedControl size="xs" value={filter.kind} onChange={(v) => set({ kind: v })} aria-label={t('events.kind')}
          data={kinds.map((k) => ({ value: k, label: word('events.kind', k || 'all') }))} />
        <TimeRangePicker value={range} onChange={setRange} />
        <Select size="xs" w={170} value={filter.host || null} onChange={(v) => set({ host: v ?? '' })} clearable searchable placeholder={t('events.anyhost')}
          aria-label={t('events.host')} data={options} />
        <Select size="xs" w={140} value={filter.severity || null} onChange={(v) => set({ severity: v ?? '' })} clearable placeholder={t('alerts.anyseverity')}
          aria-label={t('alerts.severity')} data={severities.map((s) => ({ value: s, label: word('severity', s) }))} />
        <TextInput size="xs" w={150} value={get('rule')} onChange={(e) => set({ rule: e.currentTarget.value })} placeholder={t('events.rule')} aria-label={t('events.rule')} />
        <TextInput size="xs" w={150} value={get('query')} onChange={(e) => set({ query: e.currentTarget.value })} placeholder={t('events.query')} aria-label={t('events.query')} />
        <Select size="xs" w={140} value={filter.handled || null} onChange={(v) => set({ handled: v ?? '' })} clearable placeholder={t('events.anyhandled')}
          aria-label={t('events.handled')} data={['false', 'true'].map((v) => ({ value: v, label: word('events.handled', v) }))} />
      </div>
      {list.isError && <PageFailure error={list.error} retry={() => void list.refetch()} />}
      {!list.isError && (
        <div className={`split${current ? ' open' : ''}`}>
          <div className="card listpane">
            {list.isPending && <Loading lines={9} />}
            {list.data && events.length === 0 && (
              <Empty title={list.hasNextPage ? t('events.notyet') : t('events.none')} icon="events">
                <p>{list.hasNextPage ? t('events.notyettext') : t('events.nonetext')}</p>
              </Empty>
            )}
            {events.length > 0 && <Rows events={events} current={id} onOpen={(e) => set({ id: String(e.id) })} />}
            {last && (events.length > 0 || list.hasNextPage) && (
              <div className="listfoot num">
                <span>{t('events.shown', { n: events.length })}</span>
                {list.hasNextPage && last.searched_to && <span>{t('events.searched')} <Time at={last.searched_to} exact /></span>}
                {list.hasNextPage ? (
                  <Button size="compact-sm" variant="default" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t('events.more')}</Button>
                ) : <span>{t('events.end')}</span>}
              </div>
            )}
          </div>
          {current && <EventPanel key={id} event={current} onClose={close} />}
        </div>
      )}
    </div>
  )
}

/** What a row says of its event besides its title. */
export function summary(e: Event): string {
  if (e.process?.cmdline) return e.process.cmdline
  if (e.entity) return e.entity
  return Object.entries(e.values ?? {}).slice(0, 6).map(([name, value]) => `${name}=${valueText(value) ?? 'NULL'}`).join('  ')
}

function Rows({ events, current, onOpen }: { events: Event[]; current: string; onOpen: (e: Event) => void }): ReactNode {
  const move = (event: KeyboardEvent<HTMLElement>): void => {
    const step = event.key === 'ArrowDown' || event.key === 'j' ? 1 : event.key === 'ArrowUp' || event.key === 'k' ? -1 : 0
    if (step === 0 || event.ctrlKey || event.metaKey || event.altKey) return
    const rows = [...event.currentTarget.querySelectorAll<HTMLElement>('.eventrow')]
    const next = rows[rows.indexOf(document.activeElement as HTMLElement) + step]
    if (!next) return
    event.preventDefault()
    next.focus()
  }
  return (
    <div onKeyDown={move}>
      {events.map((e) => {
        const id = String(e.id)
        return (
          <button key={id} id={`event-${id}`} type="button" className="alertrow eventrow rowbutton" data-event={id} aria-current={current === id ? 'true' : undefined} onClick={() => onOpen(e)}>
            <span className={`edge ${e.severity ? severityClass(e.severity) : ''}`} />
            <span>{e.severity ? <SeverityBadge severity={e.severity} /> : <span className="kind">{word('events.kind', e.kind)}</span>}</span>
            <span className="grow">
              <span className="title clip" style={{ display: 'block' }}><HostText text={e.title || e.query} line /></span>
              <span className="entity clip" style={{ display: 'block' }}><HostText text={summary(e)} mono line /></span>
            </span>
            <span className="c-host clip"><HostText text={e.host.hostname} line /></span>
            <span className="when"><Time at={e.time} /></span>
            <span className="c-status">{e.handled ? <span className="tag ok">{t('events.handled.true')}</span> : e.action ? <span className="tag">{word('events.action', e.action)}</span> : null}</span>
          </button>
        )
      })}
    </div>
  )
}
