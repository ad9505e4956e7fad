import { Button, Switch } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useRef, useState, type ReactNode } from 'react'
import { Link, useNavigate, useParams, useSearchParams } from 'react-router'
import { problemsOf, useCheck } from '../content/check'
import { FieldsHelp } from '../content/help'
import { Problems } from '../content/problems'
import { copyText, newRule, textOf } from '../content/templates'
import TextEditor, { type TextEditorHandle } from '../content/texteditor'
import { t, tn } from '../i18n'
import { useClient, useLacks } from '../session'
import { Failure, Loading, Notice, useTitle, Why } from '../ui/parts'
import { everybody, GroupSelect } from '../ui/targets'
import { PageFailure } from '../ui/unavailable'

/** A new rule, a copy of one, or one that was made here. */
export default function RuleEditPage(): ReactNode {
  const { id } = useParams()
  const [params] = useSearchParams()
  const from = id ?? params.get('copy') ?? ''
  const client = useClient()
  const rule = useQuery({ queryKey: ['rule', from], queryFn: () => client.rule(from), enabled: from !== '', staleTime: 0, gcTime: 0 })
  const title = id ? t('rules.edit') : t('rules.new')
  useTitle(title)
  if (from !== '' && rule.isPending) return <div className="page"><Loading lines={8} /></div>
  if (rule.isError) return <div className="page"><PageFailure error={rule.error} retry={() => void rule.refetch()} /></div>
  const given = rule.data ? (rule.data.text ?? textOf(rule.data)) : newRule
  return <Form key={from} id={id} title={title} first={id || !rule.data ? given : copyText(given, String(rule.data.id))} targets={rule.data?.targets ?? [everybody]} acts={rule.data?.approved !== null && rule.data !== undefined} />
}

function Form({ id, title, first, targets, acts }: { id: string | undefined; title: string; first: string; targets: string[]; acts: boolean }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const navigate = useNavigate()
  const lacks = useLacks('rules')
  const editor = useRef<TextEditorHandle>(null)
  const [text, setText] = useState(first)
  const [groups, setGroups] = useState(targets)
  const [enabled, setEnabled] = useState(true)
  const checked = useCheck('rules', text, client.checkRules)
  const save = useMutation({
    mutationFn: async () => {
      if (id) return String((await client.replaceRule(id, text))?.id ?? id)
      return String((await client.createRules({ text, targets: groups, enabled })).rules?.[0]?.id ?? '')
    },
    onSuccess: async (saved) => {
      await queries.invalidateQueries({ queryKey: ['rules'] })
      await navigate(saved ? `/rules?id=${encodeURIComponent(saved)}` : '/rules')
    },
  })
  const problems = problemsOf(save.error, checked)
  const wrong = checked.current && !checked.ok
  const reason = lacks ?? (text.trim() === '' ? t('edit.empty') : groups.length === 0 ? t('groups.nobody') : wrong ? t('edit.wrong') : id && text === first ? t('edit.same') : null)
  return (
    <div className="page full">
      <div className="pagehead">
        <div>
          <h1>{title}</h1>
          <div className="sub">{id ? t('rules.editsub') : t('rules.newsub')}</div>
        </div>
        <div className="actions">
          <Button component={Link} to={id ? `/rules?id=${encodeURIComponent(id)}` : '/rules'} size="xs" variant="default">{t('cancel')}</Button>
          <Why reason={reason}><Button size="xs" disabled={reason !== null} loading={save.isPending} onClick={() => save.mutate()}>{t('save')}</Button></Why>
        </div>
      </div>
      {acts && <Notice kind="warn">{t('rules.editapproval')}</Notice>}
      {save.isError && <Failure error={save.error} />}
      {!id && (
        <div className="toolbar" style={{ alignItems: 'flex-end' }}>
          <div style={{ minWidth: 260 }}><GroupSelect size="xs" label={t('groups.targets')} value={groups} onChange={setGroups} /></div>
          <Switch size="xs" label={t('edit.enabled')} checked={enabled} onChange={(e) => setEnabled(e.currentTarget.checked)} mb={6} />
        </div>
      )}
      <div className="contentedit">
        <div className="card editor content">
          <TextEditor ref={editor} label={t('edit.ruletext')} value={text} problems={problems} onChange={(v) => { setText(v); save.reset() }} />
          <Problems checked={checked} problems={problems} found={tn('edit.rulesfound', checked.found?.rules?.length ?? 0)} onGo={(p) => editor.current?.goTo(p.line, p.column)} />
        </div>
        <FieldsHelp onInsert={(name) => editor.current?.insert(name)} />
      </div>
    </div>
  )
}
