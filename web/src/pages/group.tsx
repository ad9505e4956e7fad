import { Button, Checkbox, Modal, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { Link, useNavigate, useParams } from 'react-router'
import type { Group } from '../api/types'
import { t, tn, word } from '../i18n'
import { count } from '../lib/format'
import { useClient, useLacks } from '../session'
import { HostState } from '../ui/badges'
import { ConfirmButton } from '../ui/confirm'
import { Icon } from '../ui/icons'
import { Empty, Failure, Loading, Notice, useTitle, Why } from '../ui/parts'
import { HostText } from '../ui/text'
import { PageFailure } from '../ui/unavailable'
import { GroupForm } from './groupform'
import { Conditions } from './groups'

export function GroupPage(): ReactNode {
  const { name = '' } = useParams()
  const client = useClient()
  const queries = useQueryClient()
  const navigate = useNavigate()
  const lacks = useLacks('hosts')
  const group = useQuery({ queryKey: ['group', name], queryFn: () => client.group(name) })
  useTitle(name)
  if (group.isPending) return <div className="page"><Loading lines={8} /></div>
  if (group.isError) return <div className="page"><PageFailure error={group.error} retry={() => void group.refetch()} /></div>
  const g = group.data
  const used = [...(g.rules ?? []), ...(g.packs ?? []), ...(g.users ?? [])].length
  return (
    <div className="page" tabIndex={0}>
      <div className="pagehead">
        <div className="grow">
          <h1 className="clip">{g.kind === 'all' ? t('groups.all') : <HostText text={g.name} line />}</h1>
          <div className="sub row wrap" style={{ gap: 12 }}>
            <span>{word('groups.kind', g.kind)}</span>
            {g.kind === 'rule' && <Conditions match={g.match} conditions={g.conditions ?? []} />}
            {!g.trusted && <span className="tag warn">{t('groups.untrusted')}</span>}
          </div>
        </div>
        <div className="actions">
          <Button size="xs" variant="default" component={Link} to={`/queries?group=${encodeURIComponent(g.name)}`} leftSection={<Icon name="query" size={14} />}>{t('groups.ask')}</Button>
          {g.kind !== 'all' && (
            <ConfirmButton label={t('edit.delete')} title={t('groups.delete')} reason={lacks ?? (used > 0 ? t('groups.inuse') : null)} act={() => client.removeGroup(g.name)}
              onDone={() => { void navigate('/groups'); void queries.invalidateQueries({ queryKey: ['groups'] }) }}>
              <p>{t('groups.deletetext')} <b><HostText text={g.name} /></b></p>
            </ConfirmButton>
          )}
        </div>
      </div>
      {!g.trusted && <Notice kind="warn">{t('groups.untrustedtext')}</Notice>}
      <div className="columns">
        <Members group={g} />
        <Given group={g} />
      </div>
      <section className="card">
        <div className="cardhead"><h2>{g.kind === 'all' ? t('groups.settings') : t('groups.properties')}</h2></div>
        <div className="body"><GroupForm key={g.name} group={g} onDone={() => undefined} /></div>
      </section>
    </div>
  )
}

function Members({ group: g }: { group: Group }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const lacks = useLacks('hosts')
  const [adding, setAdding] = useState(false)
  const members = useQuery({ queryKey: ['hosts', 'group', g.name], queryFn: () => client.hosts({ group: g.kind === 'all' ? undefined : g.name, limit: 200 }) })
  const remove = useMutation({
    mutationFn: (id: string) => client.changeMembers(g.name, { remove: [id] }),
    onSettled: () => Promise.all(['hosts', 'group', 'groups'].map((key) => queries.invalidateQueries({ queryKey: [key] }))),
  })
  const hosts = members.data?.hosts ?? []
  return (
    <section className="card" aria-label={t('groups.members')}>
      <div className="cardhead">
        <h2>{t('groups.members')} <span className="dim num">{count(members.data?.total ?? g.host_count)}</span></h2>
        {g.kind === 'manual' && <span className="more"><Why reason={lacks}><Button size="compact-xs" variant="default" disabled={lacks !== null} onClick={() => setAdding(true)}>{t('groups.addhosts')}</Button></Why></span>}
      </div>
      {members.isPending && <Loading />}
      {(members.isError || remove.isError) && <div className="body"><Failure error={members.error ?? remove.error} /></div>}
      {members.data && hosts.length === 0 && <Empty title={t('groups.nohosts')} icon="hosts"><p>{t(g.kind === 'rule' ? 'groups.nohostsrule' : 'groups.nohostsmanual')}</p></Empty>}
      {hosts.length > 0 && (
        <div className="tablewrap" tabIndex={0} style={{ maxHeight: 360 }}>
          <table className="list">
            <tbody>
              {hosts.map((h) => (
                <tr key={h.id}>
                  <td style={{ maxWidth: 240 }}><Link className="main-link" to={`/hosts/${encodeURIComponent(h.id)}`}><HostText text={h.hostname || h.id} line /></Link></td>
                  <td><HostState status={h.status} /></td>
                  <td className="right">{g.kind === 'manual' && !lacks && <Button size="compact-xs" variant="default" loading={remove.isPending && remove.variables === h.id} onClick={() => remove.mutate(h.id)} aria-label={t('groups.dropnamed', { name: h.hostname })}>{t('groups.drop')}</Button>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {members.data && members.data.total > hosts.length && <div className="listfoot"><Link to={`/hosts?group=${encodeURIComponent(g.name)}`}>{t('list.shown', { n: hosts.length, total: members.data.total })}</Link></div>}
      <Modal opened={adding} onClose={() => setAdding(false)} title={t('groups.addhosts')} closeButtonProps={{ 'aria-label': t('close') }}>
        {adding && <AddHosts group={g} has={new Set(hosts.map((h) => h.id))} onDone={() => setAdding(false)} />}
      </Modal>
    </section>
  )
}

function AddHosts({ group: g, has, onDone }: { group: Group; has: Set<string>; onDone: () => void }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const [find, setFind] = useState('')
  const [picked, setPicked] = useState<string[]>([])
  const [q] = useDebouncedValue(find, 200)
  const hosts = useQuery({ queryKey: ['hosts', 'pick', q], queryFn: () => client.hosts({ q, limit: 200 }), placeholderData: keepPreviousData })
  const add = useMutation({
    mutationFn: () => client.changeMembers(g.name, { add: picked }),
    onSuccess: async () => {
      await Promise.all(['hosts', 'group', 'groups'].map((key) => queries.invalidateQueries({ queryKey: [key] })))
      onDone()
    },
  })
  const list = (hosts.data?.hosts ?? []).filter((h) => !has.has(h.id))
  return (
    <div className="stack" style={{ gap: 12 }}>
      <TextInput size="xs" value={find} onChange={(e) => setFind(e.currentTarget.value)} placeholder={t('hosts.search')} aria-label={t('hosts.search')} leftSection={<Icon name="search" size={14} />} data-autofocus />
      <div style={{ maxHeight: 300, overflow: 'auto' }} tabIndex={0} role="group" aria-label={t('nav.hosts')}>
        {list.map((h) => (
          <label key={h.id} className="row" style={{ padding: '4px 2px', cursor: 'pointer' }}>
            <Checkbox size="xs" checked={picked.includes(h.id)} onChange={() => setPicked(picked.includes(h.id) ? picked.filter((x) => x !== h.id) : [...picked, h.id])} aria-label={h.hostname} />
            <span className="grow clip"><HostText text={h.hostname} line /></span>
            <HostState status={h.status} />
          </label>
        ))}
        {hosts.data && list.length === 0 && <p className="dim">{t('hosts.nomatch')}</p>}
      </div>
      {add.isError && <Failure error={add.error} />}
      <div className="row" style={{ justifyContent: 'flex-end' }}>
        <Button variant="default" onClick={onDone}>{t('cancel')}</Button>
        <Button disabled={picked.length === 0} loading={add.isPending} onClick={() => add.mutate()}>{tn('groups.addn', picked.length)}</Button>
      </div>
    </div>
  )
}

function Given({ group: g }: { group: Group }): ReactNode {
  const part = (name: string): string => encodeURIComponent(name)
  const rows: [string, string[], (name: string) => string][] = [
    [t('nav.rules'), g.rules ?? [], (n) => `/rules?id=${part(n)}`],
    [t('nav.packs'), g.packs ?? [], (n) => `/packs?name=${part(n)}`],
    [t('nav.users'), g.users ?? [], () => '/users'],
  ]
  return (
    <section className="card" aria-label={t('groups.given')}>
      <div className="cardhead"><h2>{t('groups.given')}</h2></div>
      <dl className="facts body">
        {rows.map(([title, names, to]) => (
          <div key={title} style={{ display: 'contents' }}>
            <dt>{title}</dt>
            <dd className="row wrap" style={{ gap: 4 }}>{names.length === 0 ? <span className="dim">–</span> : names.map((n) => <Link key={n} className="tag" to={to(n)}><HostText text={n} line /></Link>)}</dd>
          </div>
        ))}
      </dl>
      <div className="body dim" style={{ paddingTop: 0 }}>{t('groups.giventext')}</div>
    </section>
  )
}
