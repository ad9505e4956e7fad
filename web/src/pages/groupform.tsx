import { Button, NumberInput, SegmentedControl, Select, Textarea, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState, type FormEvent, type ReactNode } from 'react'
import { Link, useNavigate } from 'react-router'
import { conditionFields, conditionOps, type Condition, type Group, type GroupChange } from '../api/types'
import { changeOf, fieldsOf, settingLimits, type SettingFields } from '../lib/group'
import { t, tn, word } from '../i18n'
import { useClient, useLacks } from '../session'
import { Icon } from '../ui/icons'
import { Failure, Notice, useTitle, Why } from '../ui/parts'
import { HostText } from '../ui/text'

export function NewGroupPage(): ReactNode {
  useTitle(t('groups.new'))
  const navigate = useNavigate()
  return (
    <div className="page" tabIndex={0}>
      <div className="pagehead"><h1>{t('groups.new')}</h1></div>
      <div className="card"><div className="body"><GroupForm onDone={(name) => void navigate(name ? `/groups/${encodeURIComponent(name)}` : '/groups')} /></div></div>
    </div>
  )
}

/** Name, members by condition, priority and settings of a group; members by hand are chosen on its page. */
export function GroupForm({ group, onDone }: { group?: Group; onDone: (name: string) => void }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const lacks = useLacks('hosts')
  const builtin = group?.kind === 'all'
  const [name, setName] = useState(group?.name ?? '')
  const [description, setDescription] = useState(group?.description ?? '')
  const [kind, setKind] = useState<string>(group?.kind ?? 'manual')
  const [match, setMatch] = useState<string>(group?.match || 'all')
  const [conditions, setConditions] = useState<Condition[]>(group?.conditions ?? [{ field: 'label', op: 'is', value: '' }])
  const [priority, setPriority] = useState<number | string>(group?.priority ?? 0)
  const [settings, setSettings] = useState<SettingFields>(fieldsOf(group?.settings))
  const change: GroupChange = {
    ...(builtin ? {} : { description, priority: Number(priority) || 0 }),
    ...(kind === 'rule' ? { match, conditions } : {}),
    settings: changeOf(settings),
  }
  const save = useMutation({
    mutationFn: () => group ? client.changeGroup(group.name, change) : client.createGroup({ name, kind, ...change }),
    onSuccess: async (g) => {
      for (const key of ['groups', 'group', 'hosts']) await queries.invalidateQueries({ queryKey: [key] })
      onDone(g?.name ?? group?.name ?? name)
    },
  })
  const incomplete = kind === 'rule' && (conditions.length === 0 || conditions.some((c) => c.value.trim() === ''))
  const reason = lacks ?? (incomplete ? t('groups.incomplete') : null)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (reason === null) save.mutate()
  }
  return (
    <form onSubmit={submit} className="stack" style={{ gap: 14, maxWidth: 860 }}>
      {!builtin && (
        <div className="row wrap" style={{ gap: 12, alignItems: 'flex-start' }}>
          <TextInput label={t('groups.name')} description={t('groups.namerule')} value={name} onChange={(e) => setName(e.currentTarget.value)} disabled={group !== undefined}
            required withAsterisk={false} pattern="[a-z0-9][a-z0-9._\-]{0,63}" maxLength={64} style={{ flex: '1 1 240px' }} />
          <NumberInput label={t('groups.priority')} description={t('groups.priorityrule')} value={priority} onChange={setPriority} allowDecimal={false} style={{ flex: '1 1 240px' }} />
        </div>
      )}
      {!builtin && <Textarea label={t('groups.description')} value={description} onChange={(e) => setDescription(e.currentTarget.value)} maxLength={1000} autosize minRows={1} maxRows={5} />}
      {!group && (
        <SegmentedControl value={kind} onChange={setKind} aria-label={t('groups.members')} data={['manual', 'rule'].map((k) => ({ value: k, label: word('groups.kind', k) }))} />
      )}
      {kind === 'manual' && !group && <p className="dim">{t('groups.manualtext')}</p>}
      {kind === 'rule' && <ConditionsForm match={match} setMatch={setMatch} conditions={conditions} setConditions={setConditions} incomplete={incomplete} />}
      <Settings value={settings} onChange={setSettings} />
      {save.isError && <Failure error={save.error} />}
      <div className="row">
        <Why reason={reason}><Button type="submit" size="xs" disabled={reason !== null} loading={save.isPending}>{t('save')}</Button></Why>
        {!group && <Button size="xs" variant="default" component={Link} to="/groups">{t('cancel')}</Button>}
        {save.isSuccess && group && <span className="tag ok" role="status">{t('saved')}</span>}
      </div>
    </form>
  )
}

function ConditionsForm({ match, setMatch, conditions, setConditions, incomplete }: {
  match: string
  setMatch: (m: string) => void
  conditions: Condition[]
  setConditions: (c: Condition[]) => void
  incomplete: boolean
}): ReactNode {
  const client = useClient()
  const [asked] = useDebouncedValue(JSON.stringify({ match, conditions }), 350)
  const preview = useQuery({
    queryKey: ['groups', 'preview', asked],
    queryFn: () => client.previewGroup(JSON.parse(asked) as { match: string; conditions: Condition[] }),
    enabled: !incomplete, placeholderData: keepPreviousData, retry: false,
  })
  const set = (i: number, change: Partial<Condition>): void => setConditions(conditions.map((c, n) => (n === i ? { ...c, ...change } : c)))
  const hosts = preview.data?.hosts ?? []
  return (
    <fieldset className="conditions" style={{ border: 0, padding: 0, margin: 0 }}>
      <legend className="row wrap" style={{ padding: 0, marginBottom: 4 }}>
        {t('groups.whichhosts')}
        <Select size="xs" w={170} value={match} onChange={(v) => setMatch(v ?? 'all')} allowDeselect={false} aria-label={t('groups.match')}
          data={['all', 'any'].map((m) => ({ value: m, label: word('groups.match', m) }))} />
      </legend>
      {conditions.map((c, i) => (
        <div key={i} className="condition">
          <Select size="xs" aria-label={t('groups.fieldlabel')} value={c.field} onChange={(v) => set(i, { field: v ?? 'label' })} allowDeselect={false} data={conditionFields.map((f) => ({ value: f, label: word('groups.field', f) }))} />
          <Select size="xs" aria-label={t('groups.oplabel')} value={c.op} onChange={(v) => set(i, { op: v ?? 'is' })} allowDeselect={false} data={conditionOps.map((o) => ({ value: o, label: word('groups.op', o) }))} />
          <TextInput size="xs" aria-label={t('groups.valuelabel')} value={c.value} onChange={(e) => set(i, { value: e.currentTarget.value })} maxLength={200} />
          <button type="button" className="iconbutton" aria-label={t('groups.dropcondition')} onClick={() => setConditions(conditions.filter((_, n) => n !== i))}><Icon name="close" size={14} /></button>
        </div>
      ))}
      <div><Button size="compact-xs" variant="default" onClick={() => setConditions([...conditions, { field: 'label', op: 'is', value: '' }])}>{t('groups.addcondition')}</Button></div>
      {!incomplete && preview.isError && <Failure error={preview.error} />}
      {!incomplete && preview.data && (
        <Notice kind={preview.data.trusted ? 'info' : 'warn'}>
          {tn('groups.preview', preview.data.total)} {hosts.slice(0, 8).map((h, i) => <span key={h.id}>{i > 0 && ', '}<HostText text={h.hostname || h.id} most={60} /></span>)}{preview.data.total > 8 && ' …'}
          {!preview.data.trusted && <div>{t('groups.untrustedtext')}</div>}
        </Notice>
      )}
    </fieldset>
  )
}

function Settings({ value, onChange }: { value: SettingFields; onChange: (v: SettingFields) => void }): ReactNode {
  return (
    <fieldset style={{ border: 0, padding: 0, margin: 0 }} className="stack">
      <legend style={{ padding: 0 }}><h3>{t('groups.settings')}</h3><span className="dim">{t('groups.settingstext')}</span></legend>
      <div className="row wrap" style={{ gap: 12, alignItems: 'flex-end' }}>
        {settingLimits.map(({ key, max }) => (
          <NumberInput key={key} size="xs" style={{ flex: '1 1 170px' }} label={t(`groups.setting.${key}`)} value={value[key]} min={0} max={max} placeholder={t('groups.hostsown')}
            onChange={(v) => onChange({ ...value, [key]: v === '' ? '' : String(v) })} />
        ))}
      </div>
      <Textarea size="xs" label={t('groups.setting.monitor_dirs')} description={t('groups.dirsrule')} placeholder={t('groups.hostsown')} value={value.monitor_dirs} autosize minRows={2} maxRows={8}
        classNames={{ input: 'mono' }} onChange={(e) => onChange({ ...value, monitor_dirs: e.currentTarget.value })} />
    </fieldset>
  )
}
