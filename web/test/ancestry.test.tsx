import { MantineProvider } from '@mantine/core'
import { cleanup, fireEvent, render, screen } from '@testing-library/react'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Alert, Me, Process, Response } from '../src/api/types'
import { identity, killable, killState, lineage } from '../src/lib/ancestry'
import { Ancestry } from '../src/pages/ancestry'
import { MeProvider } from '../src/session'

afterEach(cleanup)
beforeAll(() => {
  // jsdom has no media queries, which Mantine asks for.
  vi.stubGlobal('matchMedia', (query: string) => ({ matches: false, media: query, addEventListener() {}, removeEventListener() {}, addListener() {}, removeListener() {} }))
})

const proc = (pid: number, parent: number, name: string, start: number | bigint = 1000): Process => ({
  pid, parent, name, start_time_ns: start, path: `/bin/${name}`, cmdline: `${name} --x`, uid: 0, user: 'root',
})
const alertOf = (process: Process | null, ancestry: Process[]): Alert => ({
  id: 1, host: { id: 'h', hostname: 'web', status: 'online' }, rule: { id: 'r', name: 'r', version: 'v' }, severity: 'high', title: 't', description: '',
  attack: [], status: 'open', count: 1, first_seen: '', last_seen: '', table: 'process_events', entity: '', event: [], process, ancestry, actions: [], responses: [],
})
const me = (rights: string[]): Me => ({ name: 'a', role: 'viewer', rights, classes: [], csrf: '' })
const show = (alert: Alert, rights: string[], onKill = vi.fn()) => {
  render(<MantineProvider><MeProvider me={me(rights)}><Ancestry alert={alert} onKill={onKill} /></MeProvider></MantineProvider>)
  return onKill
}

describe('lineage', () => {
  test('runs from the furthest ancestor down to the process', () => {
    const chain = lineage(alertOf(proc(30, 20, 'xmrig'), [proc(20, 10, 'bash'), proc(10, 1, 'sshd')]))
    expect(chain.map((a) => a.process.name)).toEqual(['sshd', 'bash', 'xmrig'])
    expect(chain.map((a) => a.subject)).toEqual([false, false, true])
    expect(chain.some((a) => a.gap)).toBe(false)
  })

  test('shows where a parent is missing', () => {
    const chain = lineage(alertOf(proc(30, 25, 'xmrig'), [proc(10, 1, 'sshd')]))
    expect(chain.map((a) => a.gap)).toEqual([false, true])
  })

  test('is empty where the event names no process', () => {
    expect(lineage(alertOf(null, []))).toEqual([])
  })
})

describe('what may be ended', () => {
  test('has a pid above 1 and a known start', () => {
    expect(killable(proc(30, 1, 'x', 18742158213144639n))).toBe(true)
    expect(killable(proc(1, 0, 'init'))).toBe(false)
    expect(killable(proc(30, 1, 'x', 0))).toBe(false)
    expect(killable(null)).toBe(false)
  })

  test('is another one when the pid comes round again', () => {
    expect(identity(proc(30, 1, 'x', 18742158213144639n))).not.toBe(identity(proc(30, 1, 'x', 18742158213144640n)))
  })
})

describe('what was asked of a process', () => {
  const p = proc(30, 20, 'xmrig', 18742158213144639n)
  const asked = (more: Partial<Response>): Response => ({
    id: 'r', host: 'h', action: 'terminate_process', args: { pid: 30, start_time_ns: 18742158213144639n }, by: 'a', reason: '', dry_run: false, alert: 1,
    created_at: '', expires_at: '', state: 'done', plan: '', seen: '', error: '', finished_at: null, ...more,
  })

  test('has ended it, or is on its way', () => {
    expect(killState(p, [asked({})])).toBe('ended')
    expect(killState(p, [asked({ state: 'sent' })])).toBe('asked')
    expect(killState(p, [asked({ state: 'sent' }), asked({})])).toBe('ended')
  })

  test('does not count where it failed, was a dry run, or meant another process of the same pid', () => {
    expect(killState(p, [asked({ state: 'failed' }), asked({ dry_run: true }), asked({ args: { pid: 30, start_time_ns: 18742158213144640n } }), asked({ args: null })])).toBeNull()
  })
})

describe('the tree', () => {
  const alert = alertOf(proc(30, 20, 'xmrig'), [proc(20, 10, 'bash')])

  test('offers Kill to who may respond', () => {
    const onKill = show(alert, ['respond'])
    fireEvent.click(screen.getByRole('button', { name: 'Kill' }))
    expect(onKill).toHaveBeenCalledExactlyOnceWith(alert.process)
  })

  test('offers it to nobody else', () => {
    const onKill = show(alert, ['query'])
    const button = screen.getByRole<HTMLButtonElement>('button', { name: 'Kill' })
    expect(button.disabled).toBe(true)
    fireEvent.click(button)
    expect(onKill).not.toHaveBeenCalled()
  })

  test('folds the middle of a long chain, and unfolds it', () => {
    const ancestors = Array.from({ length: 14 }, (_, i) => proc(100 - i, 99 - i, `p${i}`))
    show(alertOf(proc(101, 100, 'xmrig'), ancestors), ['respond'])
    expect(screen.getAllByRole('listitem').length).toBeLessThan(10)
    expect(screen.getByText('p13')).toBeTruthy() // the furthest
    expect(screen.getByText('p0')).toBeTruthy() // the nearest
    fireEvent.click(screen.getByRole('button', { name: /^Show \d+ more between$/ }))
    expect(screen.getAllByRole('listitem').length).toBe(15)
  })
})
