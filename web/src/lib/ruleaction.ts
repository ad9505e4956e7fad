import { stringify } from '../api/json'
import type { ActionState, Alert, Response } from '../api/types'

/** The same text for the same arguments, in whatever order they stand. */
function named(action: string, args: unknown): string {
  const members = Object.entries((args ?? {}) as Record<string, unknown>).sort(([a], [b]) => (a < b ? -1 : 1))
  return stringify([action, members.map(([name, value]) => [name, typeof value === 'number' || typeof value === 'bigint' ? String(value) : value])])
}

/** A rule's action in the form of a person's response, so that it is taken back in the same way. */
export function asResponse(alert: Alert, done: ActionState): Response {
  const undo = done.undo ?? null
  const by = undo === null ? undefined : (alert.responses ?? []).find((r) => r.state === 'done' && !r.dry_run && named(r.action, r.args) === named(undo.action, undo.args))
  return {
    id: String(alert.rule.id), host: alert.host.id, action: done.action, args: null, by: '', reason: '', dry_run: false, alert: alert.id,
    created_at: alert.last_seen, expires_at: alert.last_seen, state: done.state === 'done' ? 'done' : 'failed',
    plan: '', seen: done.detail ?? '', error: '', finished_at: null, undo, undone_by: by?.id ?? null,
  }
}
