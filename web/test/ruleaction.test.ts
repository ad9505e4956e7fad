import { expect, test } from 'vitest'
import type { ActionState, Alert, Response } from '../src/api/types'
import { asResponse } from '../src/lib/ruleaction'
import { undoOf } from '../src/pages/undo'

const block: ActionState = {
  action: 'block_connection', state: 'done', detail: 'blocked',
  undo: { action: 'unblock_connection', args: { remote_address: '192.0.2.1', remote_port: 443, protocol: 'tcp' } },
}
const response = (more: Partial<Response>): Response => ({
  id: 'r-1', host: 'h', action: 'unblock_connection', args: { protocol: 'tcp', remote_port: 443n, remote_address: '192.0.2.1' }, by: 'a', reason: '', dry_run: false,
  alert: 1, created_at: '', expires_at: '', state: 'done', plan: '', seen: '', error: '', finished_at: null, ...more,
})
const alertWith = (responses: Response[]): Alert => ({
  id: 1, host: { id: 'h', hostname: 'web', status: 'online' }, rule: { id: 'beacon', name: 'Beacon', version: 'v' }, severity: 'high', title: 't', description: '',
  attack: [], status: 'open', count: 1, first_seen: '', last_seen: '', table: 'socket_events', entity: '', event: [], process: null, ancestry: [], actions: [block], responses,
})

test('an action of a rule is taken back as a person\'s is', () => {
  expect(undoOf(asResponse(alertWith([]), block))).toEqual(block.undo)
})

test('what failed, or was never to be taken back, offers nothing', () => {
  expect(undoOf(asResponse(alertWith([]), { ...block, state: 'failed' }))).toBeNull()
  expect(undoOf(asResponse(alertWith([]), { action: 'terminate_process', state: 'done' }))).toBeNull()
})

test('what was taken back is not offered again, in whatever order its arguments stand', () => {
  expect(asResponse(alertWith([response({})]), block).undone_by).toBe('r-1')
  for (const other of [response({ state: 'failed' }), response({ dry_run: true }), response({ args: { remote_address: '192.0.2.2', remote_port: 443, protocol: 'tcp' } })]) {
    expect(asResponse(alertWith([other]), block).undone_by).toBeNull()
  }
})
