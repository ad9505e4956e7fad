import { Button } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import type { Condition, Group } from '../api/types'
import { t, tn, word } from '../i18n'
import { count } from '../lib/format'
import { useClient, useLacks } from '../session'
import { Icon } from '../ui/icons'
import { Loading, useTitle, Why } from '../ui/parts'
import { HostText } from '../ui/text'
import { PageFailure } from '../ui/unavailable'

export function GroupsPage(): ReactNode {
  useTitle(t('nav.groups'))
  const client = useClient()
  const lacks = useLacks('hosts')
  const list = useQuery({ queryKey: ['groups'], queryFn: client.groups, refetchInterval: 30_000 })
  const groups = list.data?.groups ?? []
  return (
    <div className="page" tabIndex={0}>
      <div className="pagehead">
        <div>
          <h1>{t('nav.groups')}</h1>
          <div className="sub">{t('groups.sub')}</div>
        </div>
        <div className="actions">
          {!list.isError && <Why reason={lacks}><Button size="xs" component={Link} to="/groups/new" data-disabled={lacks !== null || undefined} leftSection={<Icon name="plus" size={15} />}>{t('groups.new')}</Button></Why>}
        </div>
      </div>
      {list.isError && <PageFailure error={list.error} retry={() => void list.refetch()} />}
      {!list.isError && (
        <div className="card">
          {list.isPending && <Loading />}
          {groups.length > 0 && (
            <div className="tablewrap" tabIndex={0}>
              <table className="list">
                <thead><tr><th>{t('groups.name')}</th><th>{t('groups.members')}</th><th className="right">{t('nav.hosts')}</th><th className="right">{t('groups.priority')}</th><th className="right">{t('nav.rules')}</th><th className="right">{t('nav.packs')}</th><th>{t('groups.settings')}</th></tr></thead>
                <tbody>{groups.map((g) => <Row key={g.name} group={g} />)}</tbody>
              </table>
            </div>
          )}
        </div>
      )}
    </div>
  )
}

function Row({ group: g }: { group: Group }): ReactNode {
  const part = encodeURIComponent(g.name)
  const settings = Object.values(g.settings ?? {}).filter((v) => v !== null && v !== undefined).length
  return (
    <tr>
      <td style={{ maxWidth: 320 }}>
        <Link className="main-link" to={`/groups/${part}`}>{g.kind === 'all' ? t('groups.all') : <HostText text={g.name} line />}</Link>
        {g.description && <div className="dim clip" style={{ fontSize: 12.25 }}><HostText text={g.description} line /></div>}
      </td>
      <td style={{ maxWidth: 380 }}>
        {g.kind === 'rule' ? <Conditions match={g.match} conditions={g.conditions ?? []} /> : <span className="dim">{word('groups.kind', g.kind)}</span>}
        {!g.trusted && <div><span className="tag warn">{t('groups.untrusted')}</span></div>}
      </td>
      <td className="right num"><Link to={g.kind === 'all' ? '/hosts' : `/hosts?group=${part}`}>{count(g.host_count)}</Link></td>
      <td className="right num">{g.kind === 'all' ? <span className="dim">–</span> : count(g.priority)}</td>
      <td className="right num">{count((g.rules ?? []).length)}</td>
      <td className="right num">{count((g.packs ?? []).length)}</td>
      <td>{settings > 0 ? tn('groups.settingcount', settings) : <span className="dim">{t('groups.nosettings')}</span>}</td>
    </tr>
  )
}

export function Conditions({ match, conditions }: { match: string; conditions: Condition[] }): ReactNode {
  return (
    <span className="row wrap" style={{ gap: 4 }}>
      {conditions.map((c, i) => (
        <span key={i} className="row" style={{ gap: 4 }}>
          {i > 0 && <span className="dim">{t(match === 'any' ? 'groups.or' : 'groups.and')}</span>}
          <span>{word('groups.field', c.field)} <span className="dim">{word('groups.op', c.op)}</span> <HostText text={c.value} mono most={80} /></span>
        </span>
      ))}
    </span>
  )
}
