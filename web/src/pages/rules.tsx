import { Button, Modal, Switch, TextInput } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { Link, useSearchParams } from 'react-router'
import type { Rule } from '../api/types'
import { t, tn, word } from '../i18n'
import { useClient, useLacks } from '../session'
import { SeverityBadge } from '../ui/badges'
import { ConfirmButton } from '../ui/confirm'
import { Icon } from '../ui/icons'
import { Empty, Failure, Loading, Notice, Time, useTitle, Why } from '../ui/parts'
import { GroupSelect, TargetTags } from '../ui/targets'
import { HostText } from '../ui/text'

/** Actions that only tell; the others change something on a host. */
const telling = new Set(['alert', 'log'])
const acting = (r: Rule): string[] => (r.actions ?? []).filter((a) => !telling.has(a))

export function RulesPage(): ReactNode {
  useTitle(t('nav.rules'))
  const client = useClient()
  const [params, setParams] = useSearchParams()
  const id = params.get('id')
  const [find, setFind] = useState('')
  const lacks = useLacks('rules')
  const list = useQuery({ queryKey: ['rules'], queryFn: client.rules })
  const rules = list.data?.rules ?? []
  const text = find.trim().toLowerCase()
  const shown = rules.filter((r) =>
    text === '' || [String(r.id), r.name, r.description, r.type, ...(r.attack ?? [])].some((x) => (x ?? '').toLowerCase().includes(text)))
  const open = rules.find((r) => String(r.id) === id)
  const choose = (value: string | null): void => setParams(value === null ? {} : { id: value }, { replace: true })
  return (
    <div className="page">
      <div className="pagehead">
        <div>
          <h1>{t('nav.rules')}</h1>
          <div className="sub">{t('rules.sub')}</div>
        </div>
        <div className="actions">
          <Why reason={lacks}><Button size="xs" component={Link} to="/rules/new" data-disabled={lacks !== null || undefined} leftSection={<Icon name="plus" size={15} />}>{t('rules.new')}</Button></Why>
        </div>
      </div>
      <div className="toolbar">
        <TextInput size="xs" w={280} value={find} onChange={(e) => setFind(e.currentTarget.value)} placeholder={t('rules.search')}
          aria-label={t('rules.search')} leftSection={<Icon name="search" size={14} />} />
        {list.data && <span className="dim num">{t('rules.count', { enabled: rules.filter((r) => r.enabled).length, total: rules.length })}</span>}
      </div>
      {list.isError && <Failure error={list.error} retry={() => void list.refetch()} />}
      <div className="card">
        {list.isPending && <Loading lines={8} />}
        {list.data && shown.length === 0 && <Empty title={rules.length === 0 ? t('rules.none') : t('rules.nomatch')} icon="rules">{rules.length === 0 && <p>{t('rules.nonetext')}</p>}</Empty>}
        {shown.length > 0 && (
          <div className="tablewrap">
            <table className="list">
              <thead><tr><th>{t('rules.enabled')}</th><th>{t('rules.name')}</th><th>{t('rules.severity')}</th><th>{t('rules.type')}</th><th>{t('rules.attack')}</th><th>{t('rules.actions')}</th><th>{t('groups.targets')}</th></tr></thead>
              <tbody>{shown.map((r) => <Row key={String(r.id)} rule={r} onOpen={() => choose(String(r.id))} />)}</tbody>
            </table>
          </div>
        )}
      </div>
      <Modal opened={open !== undefined} onClose={() => choose(null)} size="xl" title={open?.name ?? ''} closeButtonProps={{ 'aria-label': t('close') }}>
        {open && <Detail rule={open} onGone={() => choose(null)} />}
      </Modal>
    </div>
  )
}

function Row({ rule: r, onOpen }: { rule: Rule; onOpen: () => void }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const lacks = useLacks('rules')
  const toggle = useMutation({
    mutationFn: (enabled: boolean) => client.enableRule(r.id, enabled),
    onSettled: () => Promise.all([queries.invalidateQueries({ queryKey: ['rules'] }), queries.invalidateQueries({ queryKey: ['overview'] })]),
  })
  const acts = acting(r)
  return (
    <tr className="go" onClick={(e) => { if (!(e.target as Element).closest('a,button,input,label')) onOpen() }}>
      <td>
        <Why reason={lacks}>
          <Switch size="xs" checked={toggle.isPending ? toggle.variables : r.enabled} disabled={lacks !== null} onChange={(e) => toggle.mutate(e.currentTarget.checked)} aria-label={t('rules.enable', { name: r.name })} />
        </Why>
        {toggle.isError && <Failure error={toggle.error} />}
      </td>
      <td style={{ maxWidth: 440 }}>
        <button type="button" className="linkbutton main-link" onClick={onOpen} style={{ textAlign: 'left' }}><HostText text={r.name} most={120} /></button>
        <div className="dim clip" style={{ fontSize: 12.25 }}><HostText text={r.description} line /></div>
        {r.error && <span className="tag bad">{t('rules.broken')}</span>} {r.source === 'console' && <span className="tag info">{t('rules.source.console')}</span>}
      </td>
      <td><SeverityBadge severity={r.severity} /></td>
      <td className="nowrap">{word('rules.type', r.type)}{(r.platform ?? []).length > 0 && <div className="dim" style={{ fontSize: 12 }}>{(r.platform ?? []).join(', ')}</div>}</td>
      <td><span className="row wrap" style={{ gap: 4 }}>{(r.attack ?? []).map((a) => <span key={a} className="tag mono"><HostText text={a} line /></span>)}</span></td>
      <td>
        {acts.length === 0 ? <span className="dim">{t('rules.tells')}</span> : (
          <span className="row wrap" style={{ gap: 4 }}>
            {acts.map((a) => <span key={a} className="tag">{word('action', a)}</span>)}
            {r.approved ? <span className="tag ok">{t('rules.approved')}</span> : <span className="tag warn">{t('rules.notapproved')}</span>}
          </span>
        )}
      </td>
      <td><TargetTags targets={r.targets} /></td>
    </tr>
  )
}

function Detail({ rule: r, onGone }: { rule: Rule; onGone: () => void }): ReactNode {
  return (
    <div className="stack" style={{ gap: 16 }}>
      <p><HostText text={r.description} /></p>
      {r.error && <Notice kind="bad">{t('rules.brokentext')} <HostText text={r.error} /></Notice>}
      <dl className="facts">
        <dt>{t('rules.severity')}</dt><dd><SeverityBadge severity={r.severity} /></dd>
        <dt>{t('rules.id')}</dt><dd className="mono">{String(r.id)}</dd>
        <dt>{t('rules.version')}</dt><dd className="mono">{r.version}</dd>
        <dt>{t('rules.source')}</dt><dd>{word('rules.source', r.source)}</dd>
        <dt>{t('rules.actions')}</dt><dd>{(r.actions ?? []).map((a) => word('action', a)).join(', ') || '–'}</dd>
      </dl>
      <section className="stack">
        <h3>{(r.conditions ?? []).length > 1 ? (r.match === 'all' ? t('rules.allof') : t('rules.anyof')) : t('rules.condition')}</h3>
        {(r.conditions ?? []).map((c, i) => <div key={i} className="codebox"><HostText text={c} mono most={4000} /></div>)}
      </section>
      {r.targets !== undefined && <Given rule={r} />}
      <Approval rule={r} />
      <Manage rule={r} onGone={onGone} />
    </div>
  )
}

/** The groups that a rule is given to; another choice ends its approval. */
function Given({ rule: r }: { rule: Rule }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const lacks = useLacks('rules')
  const [targets, setTargets] = useState(r.targets ?? [])
  const save = useMutation({ mutationFn: () => client.changeRule(r.id, { targets }), onSettled: () => queries.invalidateQueries({ queryKey: ['rules'] }) })
  const changed = targets.toSorted().join() !== (r.targets ?? []).toSorted().join()
  return (
    <section className="stack">
      <h3>{t('groups.targets')}</h3>
      <div className="row" style={{ alignItems: 'flex-start' }}>
        <div className="grow"><GroupSelect size="xs" value={targets} onChange={setTargets} disabled={lacks !== null} /></div>
        {changed && <Button size="xs" disabled={targets.length === 0} loading={save.isPending} onClick={() => save.mutate()}>{t('save')}</Button>}
      </div>
      {changed && r.approved && <p className="dim">{t('rules.targetsapproval')}</p>}
      {save.isError && <Failure error={save.error} />}
    </section>
  )
}

function Manage({ rule: r, onGone }: { rule: Rule; onGone: () => void }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const lacks = useLacks('rules')
  const part = encodeURIComponent(String(r.id))
  if (lacks) return null
  return (
    <div className="row wrap">
      {r.editable && <Button size="xs" variant="default" component={Link} to={`/rules/edit/${part}`}>{t('edit.edit')}</Button>}
      <Button size="xs" variant="default" component={Link} to={`/rules/new?copy=${part}`}>{t('edit.copy')}</Button>
      {r.editable && (
        <ConfirmButton label={t('edit.delete')} title={t('rules.delete')} act={() => client.removeRule(r.id)}
          onDone={() => { onGone(); void queries.invalidateQueries({ queryKey: ['rules'] }) }}>
          <p>{t('rules.deletetext')} <b><HostText text={r.name} most={120} /></b></p>
        </ConfirmButton>
      )}
      {!r.editable && <span className="dim">{t('edit.readonly')}</span>}
    </div>
  )
}

function Approval({ rule: r }: { rule: Rule }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const lacks = useLacks('respond')
  const refresh = () => queries.invalidateQueries({ queryKey: ['rules'] })
  const approve = useMutation({ mutationFn: () => client.approveRule(r.id, r.version), onSettled: refresh })
  const withdraw = useMutation({ mutationFn: () => client.withdrawRule(r.id), onSettled: refresh })
  const acts = acting(r)
  if (acts.length === 0) return <Notice>{t('rules.onlytells')}</Notice>
  const names = acts.map((a) => word('action', a)).join(', ')
  return (
    <section className="stack">
      <h3>{t('rules.approval')}</h3>
      {r.approved ? (
        <Notice kind="ok">
          <div className="row wrap">
            <span className="grow">{t('rules.approvedby', { names })} <b><HostText text={r.approved.by} most={60} /></b>, <Time at={r.approved.time} exact />.</span>
            <Why reason={lacks}><Button size="xs" variant="default" disabled={lacks !== null} loading={withdraw.isPending} onClick={() => withdraw.mutate()}>{t('rules.withdraw')}</Button></Why>
          </div>
        </Notice>
      ) : (
        <Notice kind="warn">
          <div className="row wrap">
            <span className="grow">{tn('rules.approvetext', acts.length, { names })}</span>
            <Why reason={lacks}><Button size="xs" disabled={lacks !== null} loading={approve.isPending} onClick={() => approve.mutate()}>{t('rules.approve')}</Button></Why>
          </div>
        </Notice>
      )}
      {(approve.isError || withdraw.isError) && <Failure error={approve.error ?? withdraw.error} />}
    </section>
  )
}
