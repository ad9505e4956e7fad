import { describe, expect, test, vi } from 'vitest'
import { ApiError, Client, exportURL, withParams } from '../src/api/client'

interface Call {
  url: string
  init: RequestInit
}

function serverOf(...answers: Response[]): { fetcher: typeof fetch; calls: Call[] } {
  const calls: Call[] = []
  const fetcher = (async (url: RequestInfo | URL, init?: RequestInit) => {
    calls.push({ url: String(url), init: init ?? {} })
    const answer = answers.shift()
    if (!answer) throw new TypeError('connection refused')
    return answer
  }) as typeof fetch
  return { fetcher, calls }
}

const me = { name: 'admin', role: 'admin', rights: [], classes: [], csrf: 'c0ffee' }
const json = (value: unknown, status = 200, headers: Record<string, string> = {}): Response =>
  new Response(value === null ? null : JSON.stringify(value), { status, headers })
const header = (call: Call | undefined, name: string): string | undefined =>
  (call?.init.headers as Record<string, string> | undefined)?.[name]

describe('the client', () => {
  test('sends the CSRF value of the login with what changes something, and only then', async () => {
    const { fetcher, calls } = serverOf(json(me), json({ rules: [] }), json(null, 204))
    const client = new Client(undefined, fetcher)
    await client.login('admin', 'secret')
    await client.rules()
    await client.enableRule('a/b', false)
    expect(header(calls[0], 'X-EDR-CSRF')).toBeUndefined()
    expect(header(calls[1], 'X-EDR-CSRF')).toBeUndefined()
    expect(header(calls[2], 'X-EDR-CSRF')).toBe('c0ffee')
    expect(calls[2]?.url).toBe('/api/v1/rules/a%2Fb')
    expect(calls[2]?.init).toMatchObject({ method: 'PATCH', body: '{"enabled":false}', credentials: 'same-origin' })
  })

  test('gives the server’s own words for an error', async () => {
    const { fetcher } = serverOf(json({ error: { code: 'bad_sql', message: 'near "SELEC": syntax error' } }, 400))
    const error = await new Client(undefined, fetcher).ask({ sql: 'SELEC', all: true, deadline_s: 1, max_rows: 1 }).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(ApiError)
    expect(error).toMatchObject({ status: 400, code: 'bad_sql', message: 'near "SELEC": syntax error' })
  })

  test('tells a lost session, and not a wrong password as one', async () => {
    const out = vi.fn()
    const refusal = { error: { code: 'unauthenticated', message: 'log in' } }
    const { fetcher } = serverOf(json(refusal, 401), json(refusal, 401))
    const client = new Client(out, fetcher)
    await expect(client.login('x', 'y')).rejects.toMatchObject({ status: 401 })
    expect(out).not.toHaveBeenCalled()
    await expect(client.overview()).rejects.toMatchObject({ status: 401 })
    expect(out).toHaveBeenCalledOnce()
  })

  test('says how long to wait', async () => {
    const { fetcher } = serverOf(json({ error: { code: 'throttled', message: 'wait' } }, 429, { 'Retry-After': '17' }))
    await expect(new Client(undefined, fetcher).login('x', 'y')).rejects.toMatchObject({ status: 429, retryAfter: 17 })
  })

  test('is not confused by what a proxy says, or by silence', async () => {
    const { fetcher } = serverOf(new Response('<html>bad gateway', { status: 502, statusText: 'Bad Gateway' }), new Response('<html>', { status: 200 }))
    const client = new Client(undefined, fetcher)
    await expect(client.hosts()).rejects.toMatchObject({ status: 502, code: 'error' })
    await expect(client.hosts()).rejects.toMatchObject({ code: 'not_json' })
    await expect(client.hosts()).rejects.toMatchObject({ status: 0, code: 'unreachable' })
  })

  test('sends a start time as the number that it is', async () => {
    const { fetcher, calls } = serverOf(json({ id: 'r-1' }, 202))
    await new Client(undefined, fetcher).respond({
      host: 'h-1', action: 'terminate_process', args: { pid: 7, start_time_ns: 18742158213144639n }, reason: 'x', dry_run: false, alert: 3,
    })
    expect(calls[0]?.init.body).toContain('"args":{"pid":7,"start_time_ns":18742158213144639}')
  })

  test('keeps ids inside their part of an address', () => {
    expect(exportURL('../users?x', 'csv')).toBe('/api/v1/queries/..%2Fusers%3Fx/export?format=csv')
    expect(withParams('/hosts', { q: 'a&b=c', status: '', limit: undefined })).toBe('/hosts?q=a%26b%3Dc')
  })
})
