import type { Rule } from '../api/types'

export const newRule = `id: my_rule
name: What was seen
description: Why it matters, and what to look at next.
type: process
severity: medium
attack: [T1059]
conditions:
  - name in ('nc', 'ncat') and command contains ' -e '
actions: [alert]
`

export const newPack = `description: What this pack is for.
platform: linux
queries:
  deleted_programs:
    description: Processes whose program is gone from the disk.
    query: SELECT pid, name, path, cmdline FROM processes WHERE on_disk = 0
    interval: 300
    severity: medium
`

export const importHint = `{
  "queries": {
    "listening": {
      "query": "SELECT pid, port, address FROM listening_ports;",
      "interval": 600
    }
  }
}
`

/**
 * The text of a rule under an id of its own. Only what names the rule changes;
 * the rest stays as somebody wrote it.
 */
export function copyText(text: string, id: string): string {
  const fresh = `${id}_copy`
  const escaped = id.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const places = [
    new RegExp(`^(\\s*(?:-\\s+)?id:\\s*)(["']?)${escaped}\\2(\\s*(?:#.*)?)$`, 'm'),
    new RegExp(`("id"\\s*:\\s*)(")${escaped}"()`),
  ]
  for (const place of places) if (place.test(text)) return text.replace(place, `$1$2${fresh}$2$3`)
  return text
}

/** A rule as YAML, for a server that does not give the text it was typed as. */
export function textOf(r: Rule): string {
  const quoted = (x: string): string => JSON.stringify(x)
  const list = (xs: readonly string[] | null | undefined): string => `[${(xs ?? []).map(quoted).join(', ')}]`
  return [
    `id: ${quoted(String(r.id))}`, `name: ${quoted(r.name)}`, `description: ${quoted(r.description)}`, `type: ${r.type}`, `severity: ${r.severity}`,
    `attack: ${list(r.attack)}`, ...(r.match === 'all' ? ['match: all'] : []),
    'conditions:', ...(r.conditions ?? []).map((c) => `  - ${quoted(c)}`), `actions: ${list(r.actions)}`, '',
  ].join('\n')
}
