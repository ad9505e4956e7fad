import { autocompletion, closeBrackets, closeCompletion, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { sql, SQLDialect, SQLite, type SQLNamespace } from '@codemirror/lang-sql'
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language'
import { Compartment, EditorState, Prec } from '@codemirror/state'
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers, placeholder } from '@codemirror/view'
import { tags } from '@lezer/highlight'
import { useEffect, useImperativeHandle, useRef, type ReactNode, type Ref } from 'react'
import type { TableSchema } from '../api/types'
import { t } from '../i18n'

export interface EditorHandle {
  insert: (text: string) => void
  focus: () => void
  /** Ends what is offered for completion. */
  settle: () => void
}

interface Props {
  value: string
  onChange: (value: string) => void
  onRun: () => void
  tables: TableSchema[] | undefined
  ref?: Ref<EditorHandle>
}

// Classes instead of a theme's own colours, so that both schemes share them.
const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword], class: 'tok-keyword' },
  { tag: [tags.string, tags.special(tags.string)], class: 'tok-string' },
  { tag: [tags.number, tags.bool, tags.null], class: 'tok-number' },
  { tag: tags.comment, class: 'tok-comment' },
  { tag: [tags.typeName, tags.standard(tags.name)], class: 'tok-type' },
])

// The ready-made dialect counts the words of SQLite's shell as keywords, and
// with them "path", "name" and other columns of ours. These are the language's.
const dialect = SQLDialect.define({
  ...SQLite.spec,
  builtin: '',
  keywords:
    'abort action add after all alter always analyze and as asc attach autoincrement before begin between by cascade case cast check collate column commit conflict constraint create cross current current_date current_time current_timestamp database default deferrable deferred delete desc detach distinct do drop each else end escape except exclude exclusive exists explain fail filter first following for foreign from full generated glob group groups having if ignore immediate in index indexed initially inner insert instead intersect into is isnull join key last left like limit match materialized natural no not nothing notnull null nulls of offset on or order others outer over partition plan pragma preceding primary query raise range recursive references regexp reindex release rename replace restrict returning right rollback row rows savepoint select set table temp temporary then ties to transaction trigger unbounded union unique update using vacuum values view virtual when where window with without',
})

function language(tables: TableSchema[] | undefined) {
  const schema: Record<string, SQLNamespace> = {}
  for (const table of tables ?? []) {
    schema[table.name] = {
      self: { label: table.name, type: 'type', detail: table.class, info: table.doc },
      children: table.columns
        .filter((c) => !c.hidden)
        .map((c) => ({ label: c.name, type: 'property', detail: c.type, info: c.doc })),
    }
  }
  return sql({ dialect, schema, upperCaseKeywords: true })
}

export function Editor({ value, onChange, onRun, tables, ref }: Props): ReactNode {
  const parent = useRef<HTMLDivElement>(null)
  const view = useRef<EditorView | null>(null)
  const compartment = useRef(new Compartment())
  const handlers = useRef({ onChange, onRun })
  handlers.current = { onChange, onRun }

  useEffect(() => {
    if (!parent.current) return
    const editor = new EditorView({
      parent: parent.current,
      state: EditorState.create({
        doc: value,
        extensions: [
          Prec.highest(keymap.of([{ key: 'Mod-Enter', run: (v) => (closeCompletion(v), handlers.current.onRun(), true) }])),
          lineNumbers(),
          history(),
          drawSelection(),
          highlightActiveLine(),
          bracketMatching(),
          closeBrackets(),
          autocompletion({ icons: false }),
          keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap]),
          syntaxHighlighting(colours),
          placeholder(t('query.placeholder')),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': t('query.sql') }),
          compartment.current.of(language(tables)),
          EditorView.updateListener.of((u) => {
            if (u.docChanged) handlers.current.onChange(u.state.doc.toString())
          }),
        ],
      }),
    })
    view.current = editor
    return () => {
      editor.destroy()
      view.current = null
    }
    // The editor keeps its own text; later values and schemas come in below.
  }, [])

  useEffect(() => {
    view.current?.dispatch({ effects: compartment.current.reconfigure(language(tables)) })
  }, [tables])

  useEffect(() => {
    const editor = view.current
    if (!editor || editor.state.doc.toString() === value) return
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } })
  }, [value])

  useImperativeHandle(ref, () => ({
    insert: (text: string) => {
      const editor = view.current
      if (!editor) return
      editor.dispatch(editor.state.replaceSelection(text))
      editor.focus()
    },
    focus: () => view.current?.focus(),
    settle: () => {
      if (view.current) closeCompletion(view.current)
    },
  }))

  return <div ref={parent} className="cm" />
}
