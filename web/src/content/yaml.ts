import { HighlightStyle, StreamLanguage, syntaxHighlighting } from '@codemirror/language'
import { tags } from '@lezer/highlight'

// Enough of YAML and JSON to colour rules and packs; the server alone decides
// what a text means.
const scalar = /^(true|false|null|~)(?=\s*([,\]}#]|$))/
const number = /^-?\d+(\.\d+)?(?=\s*([,\]}#]|$))/
const words = /^(and|or|not|in|contains|startswith|endswith|matches|exists|between)\b/i

export const yaml = StreamLanguage.define<{ condition: boolean }>({
  name: 'yaml',
  startState: () => ({ condition: false }),
  token(stream, state) {
    if (stream.sol()) state.condition = false
    if (stream.eatSpace()) return null
    if (stream.match(/^#.*/) || stream.match(/^\/\/.*/)) return 'comment'
    if (stream.match(/^[\w.$-]+(?=\s*:(\s|$))/) || stream.match(/^"(?:[^"\\]|\\.)*"(?=\s*:)/)) return 'typeName'
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/) || stream.match(/^'(?:[^']|'')*'?/)) return 'string'
    if (stream.match(scalar) || stream.match(number)) return 'number'
    if (stream.match(words)) return 'keyword'
    if (stream.match(/^[\w./-]+/)) return null
    stream.next()
    return null
  },
})

// Classes instead of a theme's own colours, so that both schemes share them.
export const colours = syntaxHighlighting(HighlightStyle.define([
  { tag: tags.keyword, class: 'tok-keyword' },
  { tag: tags.string, class: 'tok-string' },
  { tag: tags.number, class: 'tok-number' },
  { tag: tags.comment, class: 'tok-comment' },
  { tag: tags.typeName, class: 'tok-type' },
]))
