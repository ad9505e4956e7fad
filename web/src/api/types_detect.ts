import type { ActionState, Field, ID, Process, Severity, Value } from './types'

// What is looked for, and what was found.

export interface Approval {
  by: string
  time: string
}

export interface Rule {
  id: string | number
  name: string
  description: string
  type: string
  severity: Severity
  enabled: boolean
  conditions: string[] | null
  match?: string
  actions: string[] | null
  attack: string[] | null
  version: string
  approved: Approval | null
  source: string
  platform?: string[]
  /** "all" or names of groups. */
  targets?: string[] | null
  editable?: boolean
  /** As typed; only of one rule. */
  text?: string
  /** Why a kept rule does not load; hosts do not have it then. */
  error?: string
}

export interface PackQuery {
  name: string
  sql: string
  interval: number
  snapshot?: boolean
  description?: string
  severity?: string
  title?: string
  attack?: string[] | null
  actions?: string[] | null
  when?: string
  platform?: string | string[]
  version?: string
  approved?: Approval | null
  needs_approval?: boolean
  error?: string
}

export interface Pack {
  name: string
  platform?: string
  source?: string
  description?: string
  enabled?: boolean
  targets?: string[] | null
  editable?: boolean
  discovery?: string[] | null
  text?: string
  /** Why a kept pack does not load; hosts do not have it then. */
  error?: string
  queries: readonly PackQuery[]
}

/** What is wrong with a text; line and column begin at 1, 0 is none. */
export interface Flaw {
  line: number
  column: number
  message: string
  next?: string
  warning?: boolean
}

export interface Check {
  ok: boolean
  problems: Flaw[] | null
  rules?: { id: string; name: string; type: string; severity: string }[] | null
  packs?: { name: string; queries: number }[] | null
}

/** A field that a rule of some type can compare. */
export interface RuleField {
  name: string
  aliases?: string[] | null
  kind: string
  doc: string
}

export interface RuleSchema {
  types: { type: string; doc?: string; fields: RuleField[] | null }[] | null
}

export type EventKind = 'hit' | 'result'

export interface Event {
  id: ID
  kind: EventKind
  time: string
  received?: string
  host: { id: string; hostname: string }
  title: string
  severity: Severity | ''
  query: string
  rule: { id: string; name: string; version?: string; pack?: string } | null
  alert: ID
  action: string
  table: string
  entity: string
  values: Record<string, Value> | null
  process: Process | null
  attack: string[] | null
  handled: { by: string; time: string; note?: string } | null
}

export interface EventPage {
  events: Event[] | null
  /** Empty at the end; an empty page with a cursor means that more is to be searched. */
  next: string
  searched_to: string | null
}

export interface EventFilter {
  host?: string
  group?: string
  kind?: string
  query?: string
  rule?: string
  severity?: string
  q?: string
  handled?: string
  from?: string
  to?: string
}

export type Verdict = '' | 'true_positive' | 'false_positive' | 'benign'
export const verdicts: readonly Exclude<Verdict, ''>[] = ['true_positive', 'false_positive', 'benign']

export interface Note {
  id: ID
  by: string
  time: string
  text: string
}

/** One of the events that an alert gathers. */
export interface Hit {
  id: ID
  time: string
  count?: number
  title: string
  entity: string
  event: Field[] | null
  process: Process | null
  ancestry: Process[] | null
  actions: ActionState[] | null
}

export interface ActionNote {
  action: string
  args: unknown
}
