import { Button, Checkbox, MultiSelect, Popover, SegmentedControl, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import type { Host, HostStatus } from '../api/types'
import { t, tn } from '../i18n'
import { count } from '../lib/format'
import { useClient } from '../session'
import { HostState } from '../ui/badges'
import { Icon } from '../ui/icons'
import { everybody, useGroupNames } from '../ui/targets'
import { HostText } from '../ui/text'

export interface Chosen {
  id: string
  hostname: string
  status: HostStatus
}
/** All hosts, or those chosen and those of the chosen groups. */
export type Target = { all: true } | { all: false; hosts: Chosen[]; groups?: string[] }

export const chosen = (h: Host): Chosen => ({ id: h.id, hostname: h.hostname, status: h.status })

export function Targets({ value, onChange }: { value: Target; onChange: (t: Target) => void }): ReactNode {
  const client = useClient()
  const [kept, setKept] = useState<Chosen[]>(value.all ? [] : value.hosts)
  const [keptGroups, setKeptGroups] = useState<string[]>(value.all ? [] : (value.groups ?? []))
  const known = useGroupNames().filter((n) => n !== everybody)
  const groups = value.all ? keptGroups : (value.groups ?? [])
  const kind = value.all ? 'all' : value.groups !== undefined ? 'groups' : 'chosen'
  const overview = useQuery({ queryKey: ['overview', '24h'], queryFn: () => client.overview('24h') })
  const picked = value.all ? kept : value.hosts
  const online = value.all ? overview.data?.hosts.online : picked.filter((h) => h.status === 'online').length
  const offline = value.all ? overview.data?.hosts.offline : picked.filter((h) => h.status !== 'online').length
  const set = (hosts: Chosen[]): void => {
    setKept(hosts)
    onChange({ all: false, hosts })
  }
  const choose = (v: string): void =>
    onChange(v === 'all' ? { all: true } : v === 'groups' ? { all: false, hosts: [], groups: keptGroups } : { all: false, hosts: kept })
  const kinds = [{ value: 'all', label: t('targets.all') }, { value: 'chosen', label: t('targets.chosen') }]
  if (known.length > 0 || kind === 'groups') kinds.push({ value: 'groups', label: t('nav.groups') })
  return (
    <>
      <SegmentedControl size="xs" aria-label={t('targets.label')} value={kind} onChange={choose} data={kinds} />
      {kind === 'chosen' && <Picker picked={picked} onChange={set} />}
      {kind === 'groups' && (
        <MultiSelect size="xs" miw={180} aria-label={t('targets.groups')} placeholder={groups.length === 0 ? t('targets.groups') : undefined} value={groups} searchable
          data={[...new Set([...known, ...groups])]} onChange={(names) => { setKeptGroups(names); onChange({ all: false, hosts: [], groups: names }) }} />
      )}
      <span className="dim num nowrap">
        {online === undefined || kind === 'groups' ? '' : t('targets.counts', { online: count(online), offline: count(offline ?? 0) })}
      </span>
    </>
  )
}

function Picker({ picked, onChange }: { picked: Chosen[]; onChange: (hosts: Chosen[]) => void }): ReactNode {
  const client = useClient()
  const [open, setOpen] = useState(picked.length === 0)
  const [find, setFind] = useState('')
  const [q] = useDebouncedValue(find, 200)
  const hosts = useQuery({
    queryKey: ['hosts', 'pick', q],
    queryFn: () => client.hosts({ q, limit: 200 }),
    placeholderData: keepPreviousData,
    enabled: open,
  })
  const ids = new Set(picked.map((h) => h.id))
  const list = (hosts.data?.hosts ?? []).filter((h) => h.status !== 'pending')
  const toggle = (h: Host): void => onChange(ids.has(h.id) ? picked.filter((x) => x.id !== h.id) : [...picked, chosen(h)])
  return (
    <Popover opened={open} onChange={setOpen} width={340} position="bottom-start" shadow="md" trapFocus withinPortal>
      <Popover.Target>
        <Button size="xs" variant="default" onClick={() => setOpen(!open)}>{tn('targets.picked', picked.length)}</Button>
      </Popover.Target>
      <Popover.Dropdown p={10} aria-label={t('targets.pick')}>
        <TextInput size="xs" value={find} onChange={(e) => setFind(e.currentTarget.value)} placeholder={t('hosts.search')}
          aria-label={t('hosts.search')} leftSection={<Icon name="search" size={14} />} mb={8} data-autofocus />
        <div style={{ height: 230, overflow: 'auto' }}>
          {list.map((h) => (
            <label key={h.id} className="row" style={{ padding: '4px 2px', cursor: 'pointer' }}>
              <Checkbox size="xs" checked={ids.has(h.id)} onChange={() => toggle(h)} aria-label={h.hostname} />
              <span className="grow clip"><HostText text={h.hostname} line /></span>
              <HostState status={h.status} />
            </label>
          ))}
          {hosts.data && list.length === 0 && <p className="dim">{t('hosts.nomatch')}</p>}
        </div>
        {hosts.data && hosts.data.total > hosts.data.hosts.length && <p className="dim" style={{ fontSize: 12 }}>{t('targets.toomany', { n: hosts.data.total })}</p>}
        <div className="row" style={{ marginTop: 8 }}>
          <Button size="compact-xs" variant="default" disabled={picked.length === 0} onClick={() => onChange([])}>{t('targets.clear')}</Button>
          <span className="grow" />
          <Button size="compact-xs" onClick={() => setOpen(false)}>{t('done')}</Button>
        </div>
      </Popover.Dropdown>
    </Popover>
  )
}
