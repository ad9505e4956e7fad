import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { openStream, type Source } from '../src/api/stream'

class Made implements Source {
  static all: Made[] = []
  readyState = 0
  closed = false
  private readonly listeners = new Map<string, ((e: MessageEvent<string>) => void)[]>()
  constructor(readonly url: string) {
    Made.all.push(this)
  }
  addEventListener(type: string, listener: (e: MessageEvent<string>) => void): void {
    this.listeners.set(type, [...(this.listeners.get(type) ?? []), listener])
  }
  close(): void {
    this.closed = true
    this.readyState = 2
  }
  emit(type: string, data = ''): void {
    for (const l of this.listeners.get(type) ?? []) l(new MessageEvent(type, { data }))
  }
}

beforeEach(() => {
  vi.useFakeTimers()
  Made.all = []
})
afterEach(() => vi.useRealTimers())

const source = (url: string): Source => new Made(url)

describe('a stream', () => {
  test('hands events over as data, and passes over what was cut off', () => {
    const seen: unknown[] = []
    openStream('/s', { source, on: { rows: (d) => seen.push(d) } })
    Made.all[0]?.emit('rows', '{"rows":[{"seq":18742158213144639}]}')
    Made.all[0]?.emit('rows', '{"rows":[')
    expect(seen).toEqual([{ rows: [{ seq: 18742158213144639n }] }])
  })

  test('refused for good, is opened anew, each time after a longer wait', () => {
    const states: string[] = []
    openStream('/s', { source, on: {}, onState: (s) => states.push(s), backoff: (n) => 100 * 2 ** n })
    for (const wait of [100, 200, 400]) {
      const last = Made.all.at(-1)!
      const before = Made.all.length
      last.readyState = 2
      last.emit('error')
      vi.advanceTimersByTime(wait - 1)
      expect(Made.all.length).toBe(before)
      vi.advanceTimersByTime(1)
      expect(Made.all.length).toBe(before + 1)
    }
    expect(states.slice(0, 3)).toEqual(['connecting', 'waiting', 'connecting'])
  })

  test('only broken, is left to the browser', () => {
    openStream('/s', { source, on: {}, backoff: () => 1 })
    Made.all[0]!.readyState = 0
    Made.all[0]!.emit('error')
    vi.advanceTimersByTime(60_000)
    expect(Made.all.length).toBe(1)
    expect(Made.all[0]!.closed).toBe(false)
  })

  test('tells each opening, so that what was missed is fetched', () => {
    const onOpen = vi.fn()
    openStream('/s', { source, on: {}, onOpen })
    Made.all[0]!.emit('open')
    Made.all[0]!.emit('error')
    Made.all[0]!.emit('open')
    expect(onOpen).toHaveBeenCalledTimes(2)
  })

  test('closed, stays closed', () => {
    const close = openStream('/s', { source, on: {}, backoff: () => 10 })
    Made.all[0]!.readyState = 2
    Made.all[0]!.emit('error')
    close()
    vi.advanceTimersByTime(60_000)
    expect(Made.all.length).toBe(1)
  })
})
