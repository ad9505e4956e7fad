import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { sql, SQLite, type SQLNamespace } from '@codemirror/lang-sql'
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
  return sql({ dialect: SQLite, schema, upperCaseKeywords: true })
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
          Prec.highest(keymap.of([{ key: 'Mod-Enter', run: () => (handlers.current.onRun(), true) }])),
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
  }))

  return <div ref={parent} className="cm" />
}
