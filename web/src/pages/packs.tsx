import { Button, Switch } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { Link, useSearchParams } from 'react-router'
import type { Pack } from '../api/types'
import { t, tn, word } from '../i18n'
import { useClient, useLacks } from '../session'
import { ConfirmButton } from '../ui/confirm'
import { Icon } from '../ui/icons'
import { Empty, Failure, Loading, Notice, useTitle, Why } from '../ui/parts'
import { GroupSelect, TargetTags } from '../ui/targets'
import { HostText } from '../ui/text'
import { PackQueries } from './packqueries'

export function PacksPage(): ReactNode {
  useTitle(t('nav.packs'))
  const client = useClient()
  const lacks = useLacks('rules')
  const [params] = useSearchParams()
  const list = useQuery({ queryKey: ['packs'], queryFn: client.packs })
  const packs = list.data?.packs ?? []
  return (
    <div className="page" tabIndex={0}>
      <div className="pagehead">
        <div>
          <h1>{t('nav.packs')}</h1>
          <div className="sub">{t('packs.sub')}</div>
        </div>
        {!lacks && (
          <div className="actions">
            <Button size="xs" variant="default" component={Link} to="/packs/new?import">{t('packs.import')}</Button>
            <Button size="xs" component={Link} to="/packs/new" leftSection={<Icon name="plus" size={15} />}>{t('packs.new')}</Button>
          </div>
        )}
      </div>
      {list.isPending && <div className="card"><Loading /></div>}
      {list.isError && <Failure error={list.error} retry={() => void list.refetch()} />}
      {list.data && packs.length === 0 && <div className="card"><Empty title={t('packs.none')} icon="packs"><p>{t('packs.nonetext')}</p></Empty></div>}
      {packs.map((p) => <One key={p.name} pack={p} first={params.get('name') === p.name} />)}
    </div>
  )
}

function One({ pack: p, first }: { pack: Pack; first: boolean }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const lacks = useLacks('rules')
  const card = useRef<HTMLElement>(null)
  useEffect(() => {
    if (first) card.current?.scrollIntoView({ block: 'start' })
  }, [first])
  const refresh = () => queries.invalidateQueries({ queryKey: ['packs'] })
  const toggle = useMutation({ mutationFn: (enabled: boolean) => client.changePack(p.name, { enabled }), onSettled: refresh })
  const part = encodeURIComponent(p.name)
  return (
    <section className="card" ref={card} aria-label={p.name}>
      <div className="cardhead" style={{ flexWrap: 'wrap' }}>
        {p.enabled !== undefined && (
          <Why reason={lacks}>
            <Switch size="xs" checked={toggle.isPending ? toggle.variables : p.enabled} disabled={lacks !== null} onChange={(e) => toggle.mutate(e.currentTarget.checked)} aria-label={t('rules.enable', { name: p.name })} />
          </Why>
        )}
        <h2><HostText text={p.name} /></h2>
        {p.platform && <span className="tag"><HostText text={p.platform} line /></span>}
        {p.source && <span className="tag">{word('rules.source', p.source)}</span>}
        <TargetTags targets={p.targets} />
        <span className="more dim num">{tn('packs.queries', p.queries.length)}</span>
        {!lacks && p.targets !== undefined && (
          <span className="row">
            {p.editable && <Button size="compact-xs" variant="default" component={Link} to={`/packs/edit/${part}`}>{t('edit.edit')}</Button>}
            <Button size="compact-xs" variant="default" component={Link} to={`/packs/new?copy=${part}`}>{t('edit.copy')}</Button>
            {p.editable && (
              <ConfirmButton size="compact-xs" label={t('edit.delete')} title={t('packs.delete')} act={() => client.removePack(p.name)} onDone={() => void refresh()}>
                <p>{t('packs.deletetext')} <b><HostText text={p.name} most={80} /></b></p>
              </ConfirmButton>
            )}
          </span>
        )}
      </div>
      {(p.error || toggle.isError || p.description) && (
        <div className="body stack">
          {p.description && <p><HostText text={p.description} /></p>}
          {p.error && <Notice kind="bad">{t('packs.brokentext')} <HostText text={p.error} /></Notice>}
          {toggle.isError && <Failure error={toggle.error} />}
        </div>
      )}
      {!lacks && p.targets !== undefined && <Given pack={p} />}
      <PackQueries pack={p} />
    </section>
  )
}

function Given({ pack: p }: { pack: Pack }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const [open, setOpen] = useState(false)
  const [targets, setTargets] = useState(p.targets ?? [])
  const save = useMutation({
    mutationFn: () => client.changePack(p.name, { targets }),
    onSuccess: () => setOpen(false),
    onSettled: () => queries.invalidateQueries({ queryKey: ['packs'] }),
  })
  if (!open) return <div className="body"><button type="button" className="linkbutton" onClick={() => { setTargets(p.targets ?? []); setOpen(true) }}>{t('groups.changetargets')}</button></div>
  return (
    <div className="body stack">
      <div className="row" style={{ alignItems: 'flex-start' }}>
        <div className="grow"><GroupSelect size="xs" value={targets} onChange={setTargets} /></div>
        <Button size="xs" variant="default" onClick={() => setOpen(false)}>{t('cancel')}</Button>
        <Button size="xs" disabled={targets.length === 0} loading={save.isPending} onClick={() => save.mutate()}>{t('save')}</Button>
      </div>
      {save.isError && <Failure error={save.error} />}
    </div>
  )
}
