import { TextInput } from '@mantine/core'
import { useState, type ReactNode } from 'react'
import type { TableSchema } from '../api/types'
import { t, word } from '../i18n'
import { Icon } from '../ui/icons'

interface Props {
  tables: TableSchema[] | undefined
  onInsert: (text: string) => void
  onExample: (sql: string) => void
}

/** The tables that can be asked, found by the name of a table or a column. */
export function SchemaPane({ tables, onInsert, onExample }: Props): ReactNode {
  const [find, setFind] = useState('')
  const [open, setOpen] = useState<string | null>(null)
  const word_ = find.trim().toLowerCase()
  const hits = (tables ?? []).filter(
    (x) => word_ === '' || x.name.includes(word_) || x.columns.some((c) => c.name.toLowerCase().includes(word_)),
  )
  return (
    <aside className="card schema" aria-label={t('schema.title')}>
      <div className="find">
        <TextInput size="xs" value={find} onChange={(e) => setFind(e.currentTarget.value)} placeholder={t('schema.find')}
          aria-label={t('schema.find')} leftSection={<Icon name="search" size={14} />} />
      </div>
      <div className="scroll">
        {hits.length === 0 && <p className="dim" style={{ padding: '8px 12px' }}>{tables ? t('schema.none') : t('loading')}</p>}
        {hits.map((x) => (
          <Table key={x.name} table={x} open={open === x.name || (word_ !== '' && hits.length <= 3)} find={word_}
            onToggle={() => setOpen(open === x.name ? null : x.name)} onInsert={onInsert} onExample={onExample} />
        ))}
      </div>
    </aside>
  )
}

function Table({ table: x, open, find, onToggle, onInsert, onExample }: {
  table: TableSchema
  open: boolean
  find: string
  onToggle: () => void
  onInsert: (text: string) => void
  onExample: (sql: string) => void
}): ReactNode {
  return (
    <div>
      <button type="button" className="tablebutton" aria-expanded={open} onClick={onToggle}>
        <Icon name="chevron" size={11} />
        <span className="mono clip grow">{x.name}</span>
        {x.evented && <span className="tag" title={t('schema.events')}>{t('schema.event')}</span>}
      </button>
      {open && (
        <>
          <div className="about">
            <span>{x.doc}</span>
            <span>{[word('class', x.class), (x.platforms ?? []).join(', ')].filter(Boolean).join(' · ')}</span>
            {x.examples?.[0] && (
              <span><button type="button" className="linkbutton" onClick={() => onExample(x.examples?.[0] ?? '')}>{t('schema.example')}</button></span>
            )}
          </div>
          {x.columns.filter((c) => !c.hidden).map((c) => (
            <button key={c.name} type="button" className="col" title={c.doc} onClick={() => onInsert(c.name)}>
              <span className="mono clip" style={{ fontWeight: find !== '' && c.name.toLowerCase().includes(find) ? 700 : undefined }}>
                {c.name}{c.required ? ' *' : ''}
              </span>
              <span className="type">{c.type}</span>
            </button>
          ))}
        </>
      )}
    </div>
  )
}
