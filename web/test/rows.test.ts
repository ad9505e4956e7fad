import { describe, expect, test } from 'vitest'
import type { Query, QueryHost, QueryRow } from '../src/api/types'
import { countOutcomes, LiveRows, outcomeOf } from '../src/lib/rows'

const row = (seq: number, values: QueryRow['values'] = { pid: seq }): QueryRow => ({ seq, host: 'h', hostname: 'web', values })
const host = (id: string, state: QueryHost['state']): QueryHost => ({
  id, hostname: id, state, rows: 0, error: '', warnings: null, truncated: false, wall_ms: 0, cpu_ms: 0,
})
const query = (more: Partial<Query>): Query => ({
  id: 'q', sql: 'SELECT 1', by: 'admin', created_at: '', deadline_at: '', done: false, stopped: false, columns: [], rows: 0, hosts: [], counts: {}, ...more,
})
const seqs = (live: LiveRows): number[] => live.state.rows.map((r) => r.seq)

describe('rows of a live query', () => {
  test('come once, whether by page, by stream or by both', () => {
    const live = new LiveRows()
    live.apply({ type: 'page', rows: [row(1), row(2)], next: 2 })
    live.apply({ type: 'rows', rows: [row(2), row(3)] })
    live.apply({ type: 'rows', rows: [row(3)] })
    expect(seqs(live)).toEqual([1, 2, 3])
  })

  test('that were missed during a pause fall into their place', () => {
    const live = new LiveRows()
    live.apply({ type: 'rows', rows: [row(1), row(5)] })
    expect(live.state.caughtUp).toBe(1) // what lies between has to be fetched
    live.apply({ type: 'page', rows: [row(1), row(2), row(3), row(4), row(5)], next: 5 })
    expect(seqs(live)).toEqual([1, 2, 3, 4, 5])
    expect(live.state.caughtUp).toBe(5)
  })

  test('may differ in their columns: the union is shown, in the order of arrival', () => {
    const live = new LiveRows()
    live.apply({ type: 'query', query: query({ columns: ['pid'] }) })
    live.apply({ type: 'rows', rows: [row(1, { pid: 1, name: 'a' }), row(2, { pid: 2, path: '/b' })] })
    expect(live.state.columns).toEqual(['pid', 'name', 'path'])
  })

  test('a hundred thousand are one list', () => {
    const live = new LiveRows()
    for (let from = 0; from < 100_000; from += 500) {
      live.apply({ type: 'rows', rows: Array.from({ length: 500 }, (_, i) => row(from + i + 1)) })
    }
    expect(live.state.rows.length).toBe(100_000)
    expect(live.state.rows[99_999]?.seq).toBe(100_000)
  })
})

describe('hosts of a live query', () => {
  test('are told apart five ways', () => {
    const all = (['pending', 'sent', 'rows', 'none', 'error', 'offline', 'expired', 'stopped'] as const).map((s, i) => host(`h${i}`, s))
    expect(countOutcomes(all)).toEqual({ rows: 1, none: 1, error: 3, offline: 1, pending: 2 })
  })

  test('that let the deadline pass have not answered “none”', () => {
    expect(outcomeOf('expired')).toBe('error')
  })

  test('take the newest state, and the end tells it is done', () => {
    const live = new LiveRows()
    live.apply({ type: 'query', query: query({ hosts: [host('a', 'sent'), host('b', 'offline')] }) })
    live.apply({ type: 'host', host: host('a', 'rows') })
    expect(live.state.hosts.get('a')?.state).toBe('rows')
    expect(live.state.done).toBe(false)
    live.apply({ type: 'done', query: query({ done: true, hosts: [host('a', 'rows'), host('b', 'offline')] }) })
    expect(live.state.done).toBe(true)
  })
})
