import type { Integer } from './json'
import type { ActionNote, Hit, Note, Verdict } from './types_detect'

export * from './types_detect'
export * from './types_fleet'

// The shapes of the server's API, as /api/v1/openapi.json has them. Times are
// RFC 3339 texts.

export type Severity = 'informational' | 'low' | 'medium' | 'high' | 'critical'
export const severities: readonly Severity[] = ['critical', 'high', 'medium', 'low', 'informational']

export type Role = 'admin' | 'responder' | 'analyst' | 'viewer'
export const roles: readonly Role[] = ['admin', 'responder', 'analyst', 'viewer']
export const dataClasses = ['inventory', 'personal', 'secret', 'content', 'network'] as const

export interface Me {
  name: string
  role: Role
  rights: string[]
  classes: string[]
  csrf: string
  must_change_password?: boolean
  groups?: string[] | null
}

export type HostStatus = 'online' | 'offline' | 'pending'

export interface Sensor {
  name: string
  table: string
  state: string
  mechanism: string
  detail?: string
  events: Integer
  lost: Integer
  gaps: Integer
  last_event?: string
}

export interface Health {
  time: string
  version: string
  uptime_s: number
  cpu_percent: number
  cpu_limit: number
  capture_cpu: number
  rss_bytes: number
  outbox_records: number
  outbox_dropped: number
  respond: string
  config_serial: Integer
  sensors: Sensor[] | null
  refused: number
}

export interface Problem {
  time: string
  source: string
  error: string
  count: number
}

export interface Host {
  id: string
  hostname: string
  status: HostStatus
  os: string
  platform: string
  arch: string
  kernel: string
  cpu: string
  memory_bytes: number
  agent_version: string
  uuid: string
  address: string
  enrolled_at: string
  last_seen: string
  key_fingerprint: string
  labels: string[] | null
  groups?: string[] | null
  /** What the server wants the host to have; health.config_serial is what it has. */
  config_serial?: Integer
  health: Health | null
  open_alerts: number
  problems: Problem[] | null
}

export interface HostList {
  hosts: Host[]
  total: number
  counts: { online: number; offline: number; pending: number }
}

export interface Process {
  pid: Integer
  start_time_ns: Integer
  parent: Integer
  name: string
  path: string
  cmdline: string
  uid: Integer
  user?: string
  container_id?: string
  started?: string
}

/** A SQL value: wire.Value in JSON. */
export type Value = null | string | number | bigint | { base64: string }

export interface Field {
  name: string
  value: Value
}

export interface ActionState {
  action: string
  state: string
  detail?: string
  /** What takes it back, where something does. */
  undo?: ActionNote | null
}

export type AlertStatus = 'open' | 'acknowledged' | 'closed'

/** As the server gives it; goes back unchanged. */
export type ID = string | number

export interface Alert {
  id: ID
  host: { id: string; hostname: string; status: HostStatus }
  rule: { id: string; name: string; version: string; pack?: string }
  severity: Severity
  title: string
  description: string
  attack: string[] | null
  status: AlertStatus
  count: number
  first_seen: string
  last_seen: string
  table: string
  entity: string
  event: Field[] | null
  process: Process | null
  ancestry: Process[] | null
  actions: ActionState[] | null
  responses: Response[] | null
  reason?: string
  assignee?: string
  verdict?: Verdict
  notes_count?: number
  /** Only of one alert, newest first. */
  hits?: Hit[] | null
  hits_total?: number
  notes?: Note[] | null
}

export interface AlertFilter {
  status?: string
  severity?: string
  host?: string
  group?: string
  assignee?: string
  rule?: string
  technique?: string
  q?: string
  from?: string
  to?: string
}

export interface AlertList {
  alerts: Alert[]
  total: number
  counts: Partial<Record<Severity, number>>
}

export type ResponseState = 'pending' | 'sent' | 'done' | 'failed' | 'refused' | 'planned' | 'expired'

export interface Response {
  id: string
  host: string
  action: string
  args: unknown
  by: string
  reason: string
  dry_run: boolean
  alert: ID | null
  created_at: string
  expires_at: string
  state: ResponseState
  plan: string
  seen: string
  error: string
  finished_at: string | null
  /** What takes a done action back, where it can be. */
  undo?: ActionNote | null
  /** Files that it holds, connections that it blocks: ended once they are not. */
  undone_by?: string | null
}

export interface ResponseRequest {
  host: string
  action: string
  args: unknown
  reason: string
  dry_run: boolean
  alert?: ID
}

export type OutcomeState = 'pending' | 'sent' | 'rows' | 'none' | 'error' | 'offline' | 'expired' | 'stopped'

export interface QueryHost {
  id: string
  hostname: string
  state: OutcomeState
  rows: number
  error: string
  warnings: string[] | null
  truncated: boolean
  wall_ms: number
  cpu_ms: number
}

export interface Query {
  id: string
  sql: string
  by: string
  created_at: string
  deadline_at: string
  done: boolean
  stopped: boolean
  max_rows?: number
  columns: string[] | null
  rows: number
  hosts: QueryHost[] | null
  counts: Partial<Record<OutcomeState, number>> | null
}

export interface QueryRow {
  seq: number
  host: string
  hostname: string
  values: Record<string, Value>
}

export interface QueryRequest {
  sql: string
  hosts?: string[]
  groups?: string[]
  all?: boolean
  deadline_s: number
  max_rows: number
}

export interface TableSchema {
  name: string
  doc: string
  platforms: string[] | null
  class: string
  evented?: boolean
  require_any?: string[]
  examples?: string[]
  columns: { name: string; type: string; doc: string; index?: boolean; required?: boolean; hidden?: boolean }[]
}

export interface Enrolment {
  id: string
  note: string
  by?: string
  created_at?: string
  expires_at: string
  uses?: number
  used?: number
}

export interface NewEnrolment {
  token: string
  expires_at: string
  command: string
}

export interface User {
  name: string
  role: Role
  classes: string[] | null
  disabled?: boolean
  created_at?: string
  last_login?: string | null
  tokens?: number
  groups?: string[] | null
  must_change_password?: boolean
}

export interface AuditEntry {
  id: Integer
  time: string
  user: string
  address: string
  action: string
  object: string
  detail: unknown
}
