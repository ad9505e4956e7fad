import { Button, Switch, TextInput } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useRef, useState, type ReactNode } from 'react'
import { Link, useNavigate, useParams, useSearchParams } from 'react-router'
import { problemsOf, useCheck } from '../content/check'
import { Problems } from '../content/problems'
import { importHint, newPack } from '../content/templates'
import TextEditor, { type TextEditorHandle } from '../content/texteditor'
import { t, tn } from '../i18n'
import { useClient, useLacks } from '../session'
import { Failure, Loading, Notice, useTitle, Why } from '../ui/parts'
import { everybody, GroupSelect } from '../ui/targets'
import { PageFailure } from '../ui/unavailable'

type Mode = 'edit' | 'new' | 'import'

/** A new pack, a copy, one that was made here, or an osquery pack as it is. */
export default function PackEditPage(): ReactNode {
  const { name } = useParams()
  const [params] = useSearchParams()
  const mode: Mode = name ? 'edit' : params.has('import') ? 'import' : 'new'
  const from = name ?? params.get('copy') ?? ''
  const client = useClient()
  const pack = useQuery({ queryKey: ['pack', from], queryFn: () => client.pack(from), enabled: from !== '', staleTime: 0, gcTime: 0 })
  useTitle(t(`packs.${mode}`))
  if (from !== '' && pack.isPending) return <div className="page"><Loading lines={8} /></div>
  if (pack.isError) return <div className="page"><PageFailure error={pack.error} retry={() => void pack.refetch()} /></div>
  const first = pack.data?.text ?? (mode === 'import' ? importHint : newPack)
  return (
    <Form key={`${mode} ${from}`} mode={mode} firstName={name ?? (from ? `${from}-copy` : '')} first={first} targets={pack.data?.targets ?? [everybody]}
      approved={name !== undefined && (pack.data?.queries ?? []).some((q) => q.approved)} />
  )
}

function Form({ mode, firstName, first, targets, approved }: { mode: Mode; firstName: string; first: string; targets: string[]; approved: boolean }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const navigate = useNavigate()
  const lacks = useLacks('rules')
  const editor = useRef<TextEditorHandle>(null)
  const [name, setName] = useState(firstName)
  const [text, setText] = useState(first)
  const [groups, setGroups] = useState(targets)
  const [enabled, setEnabled] = useState(true)
  const checked = useCheck(`pack ${name}`, text, (body) => client.checkPack(body, name))
  const save = useMutation({
    mutationFn: async (): Promise<string> => {
      if (mode === 'edit') return (await client.replacePack(name, text))?.name ?? name
      if (mode === 'new') return (await client.createPack({ name, text, targets: groups, enabled })).name
      const answer = await client.importPacks({ text, targets: groups, enabled, ...(name ? { name } : {}) })
      return answer.packs?.[0]?.name ?? name
    },
    onSuccess: async (saved) => {
      await queries.invalidateQueries({ queryKey: ['packs'] })
      await navigate(`/packs?name=${encodeURIComponent(saved)}`)
    },
  })
  const problems = problemsOf(save.error, checked)
  const wrong = checked.current && !checked.ok
  const reason = lacks
    ?? (mode === 'new' && name.trim() === '' ? t('packs.noname') : text.trim() === '' ? t('edit.empty') : groups.length === 0 ? t('groups.nobody') : wrong ? t('edit.wrong') : mode === 'edit' && text === first ? t('edit.same') : null)
  const read = async (file: File | undefined): Promise<void> => {
    if (!file) return
    setText(await file.text())
    if (name === '') setName(file.name.replace(/\.(conf|json|ya?ml|sql)$/i, '').toLowerCase().replace(/[^a-z0-9._-]+/g, '-'))
  }
  return (
    <div className="page full">
      <div className="pagehead">
        <div>
          <h1>{t(`packs.${mode}`)}</h1>
          <div className="sub">{mode === 'import' ? t('packs.importsub') : t('packs.editsub')}</div>
        </div>
        <div className="actions">
          <Button component={Link} to="/packs" size="xs" variant="default">{t('cancel')}</Button>
          <Why reason={reason}><Button size="xs" disabled={reason !== null} loading={save.isPending} onClick={() => save.mutate()}>{mode === 'import' ? t('packs.doimport') : t('save')}</Button></Why>
        </div>
      </div>
      {approved && <Notice kind="warn">{t('packs.editapproval')}</Notice>}
      {save.isError && <Failure error={save.error} />}
      {mode !== 'edit' && (
        <div className="toolbar" style={{ alignItems: 'flex-end', gap: 12 }}>
          <TextInput size="xs" w={230} label={mode === 'import' ? t('packs.nameoptional') : t('packs.name')} value={name} onChange={(e) => setName(e.currentTarget.value)} maxLength={64} />
          <div style={{ minWidth: 260 }}><GroupSelect size="xs" label={t('groups.targets')} value={groups} onChange={setGroups} /></div>
          <Switch size="xs" label={t('edit.enabled')} checked={enabled} onChange={(e) => setEnabled(e.currentTarget.checked)} mb={6} />
          {mode === 'import' && (
            <label className="stack" style={{ gap: 2, fontSize: 12 }}>{t('packs.file')}
              <input type="file" accept=".conf,.json,.yaml,.yml" onChange={(e) => void read(e.currentTarget.files?.[0])} />
            </label>
          )}
        </div>
      )}
      <div className="contentedit alone">
        <div className="card editor content">
          <TextEditor ref={editor} label={t('edit.packtext')} value={text} problems={problems} onChange={(v) => { setText(v); save.reset() }} />
          <Problems checked={checked} problems={problems} found={tn('edit.packsfound', checked.found?.packs?.length ?? 0, { queries: (checked.found?.packs ?? []).reduce((n, p) => n + p.queries, 0) })}
            onGo={(p) => editor.current?.goTo(p.line, p.column)} />
        </div>
      </div>
    </div>
  )
}
