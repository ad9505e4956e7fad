import type { Integer } from './json'
import type { Response, Severity } from './types'

// Groups of hosts, the server's settings, and the whole at a glance.

export const conditionFields = ['hostname', 'os', 'platform', 'arch', 'kernel', 'agent_version', 'label'] as const
export const conditionOps = ['is', 'is_not', 'contains', 'startswith', 'endswith', 'matches'] as const

export interface Condition {
  field: string
  op: string
  value: string
}

/** What a group sets on its hosts; what is absent is left to the host. */
export interface GroupSettings {
  interval_s?: number
  monitor_dirs?: string[]
  cpu_limit?: number
  recorder_mib?: number
  recorder_hours?: number
}

export interface Group {
  name: string
  description: string
  kind: 'all' | 'manual' | 'rule'
  match: 'all' | 'any' | ''
  conditions: Condition[] | null
  /** Only of one group. */
  hosts?: string[] | null
  host_count: number
  trusted: boolean
  priority: number
  settings: GroupSettings | null
  rules: string[] | null
  packs: string[] | null
  users?: string[] | null
}

export interface GroupChange {
  name?: string
  description?: string
  kind?: string
  match?: string
  conditions?: Condition[]
  hosts?: string[]
  priority?: number
  settings?: GroupSettings
}

export interface GroupPreview {
  hosts: { id: string; hostname: string }[] | null
  total: number
  trusted: boolean
}

export type Range = '24h' | '7d' | '30d'
export const ranges: readonly Range[] = ['24h', '7d', '30d']

export interface Bucket {
  time: string
  counts: Partial<Record<Severity, number>> | null
}

export interface SensorTotal {
  name: string
  running: number
  degraded: number
  failed: number
  off: number
  lost: Integer
}

export interface Overview {
  hosts: { online: number; offline: number; pending: number }
  alerts: { open_by_severity: Partial<Record<Severity, number>>; over_time?: Bucket[] | null }
  failed_responses: number
  sensors: { healthy: number; degraded: number; failed: number; lost_events: Integer; by_name?: SensorTotal[] | null }
  rules: { enabled: number; total: number }
  range?: string
  bucket_s?: number
  top_techniques?: { id: string; count: number }[] | null
  top_rules?: { id: string; name: string; count: number }[] | null
  top_hosts?: { id: string; hostname: string; count: number }[] | null
  failed?: Response[] | null
  hosts_over_quota?: number
}

export interface Limit {
  min: number
  max: number
  default: number
  unit: string
  doc: string
}

export interface ServerSettings {
  settings: Record<string, number>
  limits: Record<string, Limit>
  last_run: {
    time: string
    deleted: Record<string, number> | null
    held_back: number
    error: string
  } | null
}

/** Where hits and results flow to besides this server, and how far each has come. */
export interface Sink {
  name: string
  type: string
  target: string
  kinds?: string[] | null
  format?: string
  state: string
  last_ok?: string | null
  error?: string
  error_at?: string | null
  failures?: number
  sent: Integer
  dead_lettered?: Integer
  withheld?: Integer
  missed?: Integer
  lag_records: Integer
  lag_seconds?: number
  dead_letter_file?: string
}
