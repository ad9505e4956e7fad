import { Select, TextInput } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { t, word } from '../i18n'
import { useClient } from '../session'
import { Icon } from '../ui/icons'
import { Loading } from '../ui/parts'

/** The fields that a rule's conditions can compare, as the server knows them. */
export function FieldsHelp({ onInsert }: { onInsert: (text: string) => void }): ReactNode {
  const client = useClient()
  const [type, setType] = useState('process')
  const [find, setFind] = useState('')
  const schema = useQuery({ queryKey: ['rules', 'schema'], queryFn: client.ruleSchema, staleTime: Infinity, retry: false })
  if (schema.isError) return <aside className="card helppane"><h2>{t('edit.fields')}</h2><p className="dim">{t('edit.nofields')}</p></aside>
  const types = schema.data?.types ?? []
  const text = find.trim().toLowerCase()
  const fields = (types.find((x) => x.type === type) ?? types[0])?.fields ?? []
  const shown = fields.filter((f) => [f.name, f.doc, ...(f.aliases ?? [])].some((x) => x.toLowerCase().includes(text)))
  return (
    <aside className="card helppane" aria-label={t('edit.fields')} tabIndex={0}>
      <h2>{t('edit.fields')}</h2>
      {schema.isPending && <Loading />}
      {types.length > 0 && (
        <>
          <Select size="xs" aria-label={t('rules.type')} value={type} onChange={(v) => setType(v ?? 'process')} allowDeselect={false}
            data={types.map((x) => ({ value: x.type, label: word('rules.type', x.type) }))} />
          <TextInput size="xs" value={find} onChange={(e) => setFind(e.currentTarget.value)} placeholder={t('edit.findfield')} aria-label={t('edit.findfield')} leftSection={<Icon name="search" size={14} />} />
          <dl>
            {shown.map((f) => (
              <div key={f.name}>
                <dt>
                  <button type="button" className="linkbutton mono" onClick={() => onInsert(f.name)}>{f.name}</button>
                  <span className="dim" style={{ fontSize: 11 }}>{word('edit.kind', f.kind)}</span>
                  {(f.aliases ?? []).length > 0 && <span className="dim mono" style={{ fontSize: 11 }}>{(f.aliases ?? []).join(', ')}</span>}
                </dt>
                <dd>{f.doc}</dd>
              </div>
            ))}
          </dl>
        </>
      )}
      <p className="dim" style={{ fontSize: 12.25 }}>{t('edit.language')}</p>
    </aside>
  )
}
