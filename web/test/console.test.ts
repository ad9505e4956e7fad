import { describe, expect, test } from 'vitest'
import { ApiError, Client, notThere } from '../src/api/client'
import type { Alert, Bucket, Response } from '../src/api/types'
import { copyText, textOf } from '../src/content/templates'
import { bars, roundUp } from '../src/lib/chart'
import { changeOf, fieldsOf } from '../src/lib/group'
import { bounds, inputValue, localInput, rangeOf } from '../src/lib/timerange'
import { blockTarget, fileTarget } from '../src/pages/respond'
import { shownIn } from '../src/pages/responsetable'
import { targetText, undoOf } from '../src/pages/undo'

describe('alerts over time', () => {
  const buckets: Bucket[] = [
    { time: '2026-11-22T10:00:00Z', counts: { low: 2, critical: 1 } },
    { time: '2026-11-22T11:00:00Z', counts: {} },
    { time: '2026-11-22T12:00:00Z', counts: null },
  ]

  test('are bars that touch, the gravest first', () => {
    const all = bars(buckets, 3600)
    expect(all.map((b) => b.total)).toEqual([3, 0, 0])
    expect(all[0]).toMatchObject({ from: '2026-11-22T10:00:00Z', to: '2026-11-22T11:00:00Z', parts: [{ severity: 'critical', n: 1 }, { severity: 'low', n: 2 }] })
    expect(all[2]?.to).toBe('2026-11-22T13:00:00.000Z')
  })

  test('stand on an axis that ends at a round number', () => {
    expect([0, 1, 2, 3, 7, 11, 99, 100, 101].map(roundUp)).toEqual([1, 1, 2, 5, 10, 20, 100, 100, 200])
  })
})

describe('a range of time', () => {
  const at = (query: string) => rangeOf(new URLSearchParams(query), '24h')
  const now = Date.parse('2026-11-22T12:00:00Z')

  test('goes back from now, or lies between two points', () => {
    expect(bounds(at('range=7d'), now)).toEqual({ from: '2026-11-15T12:00:00.000Z' })
    expect(bounds(at('range=all'), now)).toEqual({})
    expect(bounds(at('from=2026-11-01T00:00:00Z&to=2026-11-02T00:00:00Z'), now)).toEqual({ from: '2026-11-01T00:00:00.000Z', to: '2026-11-02T00:00:00.000Z' })
  })

  test('is the usual one where the address makes no sense', () => {
    expect(at('range=constructor').span).toBe('24h')
    expect(bounds(at('from=yesterday'), now)).toEqual({ from: undefined, to: undefined })
    expect(inputValue('yesterday')).toBe('')
  })

  test('survives the input that shows it', () => {
    const time = new Date(2026, 10, 22, 9, 5)
    expect(localInput(time)).toBe('2026-11-22T09:05')
    expect(inputValue(time.toISOString())).toBe('2026-11-22T09:05')
  })
})

describe('settings of a group', () => {
  test('are absent where nothing was written, not zero', () => {
    expect(changeOf(fieldsOf(null))).toEqual({})
    expect(changeOf({ ...fieldsOf({ interval_s: 60 }), cpu_limit: ' 5 ', monitor_dirs: '/etc\n\n  /root \n' })).toEqual({ interval_s: 60, cpu_limit: 5, monitor_dirs: ['/etc', '/root'] })
    expect(changeOf(fieldsOf({ recorder_hours: 0 }))).toEqual({ recorder_hours: 0 })
  })
})

describe('what an alert lets one do', () => {
  const alert = (table: string, event: [string, string | number][], path = ''): Alert => ({
    id: 1, host: { id: 'h', hostname: 'web', status: 'online' }, rule: { id: 'r', name: 'r', version: 'v' }, severity: 'high', title: 't', description: '', attack: [], status: 'open', count: 1,
    first_seen: '', last_seen: '', table, entity: '', event: event.map(([name, value]) => ({ name, value })), ancestry: [], actions: [], responses: [],
    process: path ? { pid: 7, start_time_ns: 9, parent: 1, name: 'x', path, cmdline: '', uid: 0 } : null,
  })

  test('quarantines the file that changed, or the program that ran', () => {
    expect(fileTarget(alert('file_events', [['target_path', '/etc/cron.d/x']], '/usr/bin/vi'))).toEqual({ action: 'quarantine_file', path: '/etc/cron.d/x' })
    expect(fileTarget(alert('process_events', [], '/tmp/xmrig'))).toEqual({ action: 'quarantine_file', path: '/tmp/xmrig' })
    expect(fileTarget(alert('socket_events', [], '/usr/bin/curl'))).toBeNull()
    expect(fileTarget(alert('process_events', [], '[kworker]'))).toBeNull()
  })

  test('blocks the other end, never this machine', () => {
    expect(blockTarget(alert('socket_events', [['remote_address', '203.0.113.7'], ['remote_port', 3333], ['protocol', 17]]))).toMatchObject({ address: '203.0.113.7', port: 3333, protocol: 'udp' })
    for (const own of ['127.0.0.1', '::1', '0.0.0.0', '::', '']) expect(blockTarget(alert('socket_events', [['remote_address', own]]))).toBeNull()
  })

  const done = (action: string, args: unknown, more: Partial<Response> = {}): Response => ({
    id: 'r', host: 'h', action, args, by: '', reason: '', dry_run: false, alert: null, created_at: '', expires_at: '', state: 'done', plan: '', seen: '', error: '', finished_at: null, ...more,
  })

  test('and takes it back, once', () => {
    const file = done('quarantine_file', { path: '/tmp/x' }, { undo: { action: 'restore_file', args: { id: 'q1' } } })
    expect(undoOf(file)).toEqual({ action: 'restore_file', args: { id: 'q1' } })
    expect([shownIn('quarantine', file), shownIn('quarantine', { ...file, undone_by: 'r-2' }), shownIn('failed', file)]).toEqual([true, false, false])
    expect(undoOf({ ...file, state: 'failed' })).toBeNull()
    expect(targetText(done('block_connection', { remote_address: '2001:db8::9', remote_port: 443 }))).toBe('[2001:db8::9]:443')
  })
})

describe('a copy of a rule', () => {
  test('has another id, and is else as somebody wrote it', () => {
    expect(copyText('# why\n- id: miner # a\n  name: miner\n', 'miner')).toBe('# why\n- id: miner_copy # a\n  name: miner\n')
    expect(copyText('{"id": "a.b", "name": "a.b"}', 'a.b')).toBe('{"id": "a.b_copy", "name": "a.b"}')
    expect(copyText('name: no id', 'x')).toBe('name: no id')
  })

  test('is written out where the server has no text', () => {
    const text = textOf({ id: 'a', name: 'A: b', description: '', type: 'process', severity: 'low', enabled: true, conditions: ["name = 'x\\y'"], match: 'all', actions: ['alert'], attack: ['T1059'], version: '', approved: null, source: 'builtin' })
    expect(text).toContain('name: "A: b"\n')
    expect(text).toContain(`  - "name = 'x\\\\y'"\n`)
    expect(text).toContain('match: all\n')
  })
})

describe('a server', () => {
  const answering = (status: number, body: unknown) => new Client(undefined, (async () => new Response(JSON.stringify(body), { status })) as typeof fetch)

  test('that lacks something is told from one that fails', async () => {
    const missing = await answering(404, { error: { code: 'not_found', message: 'no such address' } }).groups().catch((e: unknown) => e)
    const broken = await answering(500, { error: { code: 'internal', message: 'x' } }).groups().catch((e: unknown) => e)
    expect([notThere(missing), notThere(broken), notThere(new Error('x'))]).toEqual([true, false, false])
  })

  test('names each problem of a text with its place', async () => {
    const problems = [{ line: 3, column: 7, message: 'unknown field', next: 'see the fields', warning: false }]
    const error = await answering(400, { error: { code: 'invalid_content', message: 'unknown field', problems } }).createRules({ text: 'x' }).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(ApiError)
    expect((error as ApiError).problems).toEqual(problems)
  })
})
