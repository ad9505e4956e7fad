import { defaultKeymap, history, historyKeymap, indentLess, indentMore } from '@codemirror/commands'
import { bracketMatching, indentUnit } from '@codemirror/language'
import { EditorState, StateEffect, StateField } from '@codemirror/state'
import { Decoration, drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers, type DecorationSet } from '@codemirror/view'
import { useEffect, useImperativeHandle, useRef, type ReactNode, type Ref } from 'react'
import type { Flaw } from '../api/types'
import { colours, yaml } from './yaml'

export interface TextEditorHandle {
  /** Puts the cursor where a problem is; both begin at 1. */
  goTo: (line: number, column: number) => void
  insert: (text: string) => void
}

interface Props {
  label: string
  value: string
  onChange?: (value: string) => void
  problems?: Flaw[]
  readOnly?: boolean
  ref?: Ref<TextEditorHandle>
}

const setProblems = StateEffect.define<Flaw[]>()

/** Lines with a problem are coloured; the words stand in the list below the editor. */
const marks = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update: (old, change) => {
    for (const effect of change.effects) {
      if (!effect.is(setProblems)) continue
      const lines = new Map<number, boolean>()
      for (const p of effect.value) {
        if (p.line >= 1 && p.line <= change.state.doc.lines) lines.set(p.line, (lines.get(p.line) ?? true) && p.warning === true)
      }
      const sorted = [...lines].toSorted(([a], [b]) => a - b)
      return Decoration.set(sorted.map(([line, warning]) => Decoration.line({ class: warning ? 'cm-warning' : 'cm-problem' }).range(change.state.doc.line(line).from)))
    }
    return old.map(change.changes)
  },
  provide: (field) => EditorView.decorations.from(field),
})

/** An editor for YAML and JSON. Tab indents; Escape, then Tab, leaves it. */
export default function TextEditor({ label, value, onChange, problems, readOnly = false, ref }: Props): ReactNode {
  const parent = useRef<HTMLDivElement>(null)
  const view = useRef<EditorView | null>(null)
  const handler = useRef(onChange)
  handler.current = onChange
  const escaped = useRef(false)

  useEffect(() => {
    if (!parent.current) return
    const tab = (run: typeof indentMore) => (v: EditorView) => {
      if (escaped.current) return false
      return run(v)
    }
    const editor = new EditorView({
      parent: parent.current,
      state: EditorState.create({
        doc: value,
        extensions: [
          lineNumbers(), history(), drawSelection(), highlightActiveLine(), bracketMatching(), indentUnit.of('  '), yaml, colours, marks,
          keymap.of([
            { key: 'Escape', run: () => { escaped.current = true; return false } },
            { key: 'Tab', run: tab(indentMore), shift: tab(indentLess) },
            ...historyKeymap, ...defaultKeymap,
          ]),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': label }),
          EditorState.readOnly.of(readOnly),
          EditorView.updateListener.of((u) => {
            if (!u.docChanged) return
            escaped.current = false
            handler.current?.(u.state.doc.toString())
          }),
        ],
      }),
    })
    view.current = editor
    return () => {
      editor.destroy()
      view.current = null
    }
    // The editor keeps its own text; later values and problems come in below.
  }, [])

  useEffect(() => {
    const editor = view.current
    if (!editor || editor.state.doc.toString() === value) return
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } })
  }, [value])

  useEffect(() => {
    view.current?.dispatch({ effects: setProblems.of(problems ?? []) })
  }, [problems])

  useImperativeHandle(ref, () => ({
    goTo: (line, column) => {
      const editor = view.current
      if (!editor || line < 1) return
      const at = editor.state.doc.line(Math.min(line, editor.state.doc.lines))
      const anchor = Math.min(at.from + Math.max(0, column - 1), at.to)
      editor.dispatch({ selection: { anchor }, effects: EditorView.scrollIntoView(anchor, { y: 'center' }) })
      editor.focus()
    },
    insert: (text) => {
      const editor = view.current
      if (!editor) return
      editor.dispatch(editor.state.replaceSelection(text))
      editor.focus()
    },
  }))

  return <div ref={parent} className="cm" />
}
