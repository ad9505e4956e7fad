import { parse, stringify } from './json'
import type * as api from './types'

const base = '/api/v1'

/** What the server, or the way to it, answered instead of a result. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  /** Seconds to wait before trying again, where the server named them. */
  readonly retryAfter: number | null
  /** What is wrong with the text that was sent, line by line. */
  readonly problems: api.Flaw[]

  constructor(status: number, code: string, message: string, retryAfter: number | null = null, problems: api.Flaw[] = []) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.code = code
    this.retryAfter = retryAfter
    this.problems = problems
  }
}

type Params = Record<string, string | number | boolean | undefined | null>

export function withParams(path: string, params: Params = {}): string {
  const search = new URLSearchParams()
  for (const [key, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && value !== '') search.set(key, String(value))
  }
  const text = search.toString()
  return text ? `${path}?${text}` : path
}

/** One part of a path, safe to place between slashes. */
export const seg = (id: string | number): string => encodeURIComponent(String(id))

/** Whether the server does not know what was asked for, because it is older or built without it. */
export function notThere(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 404 || error.status === 405 || error.status === 501 || error.code === 'not_json')
}

export class Client {
  private csrf = ''
  private readonly fetcher: typeof fetch
  private readonly onSignedOut: () => void

  constructor(onSignedOut: () => void = () => {}, fetcher: typeof fetch = (...a) => fetch(...a)) {
    this.onSignedOut = onSignedOut
    this.fetcher = fetcher
  }

  private async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const headers: Record<string, string> = { Accept: 'application/json' }
    if (body !== undefined) headers['Content-Type'] = 'application/json'
    if (method !== 'GET' && this.csrf) headers['X-EDR-CSRF'] = this.csrf
    let answer: globalThis.Response
    try {
      answer = await this.fetcher(base + path, {
        method,
        headers,
        credentials: 'same-origin',
        body: body === undefined ? undefined : stringify(body),
      })
    } catch (cause) {
      throw new ApiError(0, 'unreachable', cause instanceof Error ? cause.message : String(cause))
    }
    const text = await answer.text()
    if (!answer.ok) {
      if (answer.status === 401 && path !== '/login') {
        this.csrf = ''
        this.onSignedOut()
      }
      throw errorOf(answer, text)
    }
    if (text === '') return undefined as T
    try {
      return parse(text) as T
    } catch {
      throw new ApiError(answer.status, 'not_json', `${method} ${path}: the answer is not JSON`)
    }
  }

  private get<T>(path: string, params?: Params): Promise<T> {
    return this.call<T>('GET', withParams(path, params))
  }

  private async signIn(answer: Promise<api.Me>): Promise<api.Me> {
    const me = await answer
    this.csrf = me.csrf
    return me
  }

  login = (name: string, password: string) =>
    this.signIn(this.call<api.Me>('POST', '/login', { name, password }))
  me = () => this.signIn(this.get<api.Me>('/me'))
  logout = () => this.call<void>('POST', '/logout')
  // A new password begins a new session, with a CSRF value of its own.
  changePassword = (old: string, fresh: string) =>
    this.signIn(this.call<api.Me>('POST', '/me/password', { old, new: fresh }))

  overview = (range?: api.Range) => this.get<api.Overview>('/overview', { range })

  hosts = (p: { q?: string; status?: string; group?: string; label?: string; limit?: number; offset?: number } = {}) =>
    this.get<api.HostList>('/hosts', p)
  host = (id: string) => this.get<api.Host>(`/hosts/${seg(id)}`)
  admitHost = (id: string) => this.call<void>('POST', `/hosts/${seg(id)}/admit`)
  removeHost = (id: string) => this.call<void>('DELETE', `/hosts/${seg(id)}`)
  setLabels = (id: string, labels: string[]) => this.call<api.Host>('PATCH', `/hosts/${seg(id)}`, { labels })

  alerts = (p: api.AlertFilter & { limit?: number; before?: string } = {}) => this.get<api.AlertList>('/alerts', { ...p })
  alert = (id: api.ID) => this.get<api.Alert>(`/alerts/${seg(id)}`)
  changeAlert = (id: api.ID, change: { status?: api.AlertStatus; assignee?: string; verdict?: api.Verdict }) =>
    this.call<void>('PATCH', `/alerts/${seg(id)}`, change)
  notes = (id: api.ID) => this.get<{ notes: api.Note[] | null }>(`/alerts/${seg(id)}/notes`)
  addNote = (id: api.ID, text: string) => this.call<api.Note>('POST', `/alerts/${seg(id)}/notes`, { text })
  people = () => this.get<{ people: string[] | null }>('/people')

  events = (p: api.EventFilter & { limit?: number; before?: string } = {}) => this.get<api.EventPage>('/events', { ...p })
  handleEvent = (id: api.ID, handled: boolean, note: string) =>
    this.call<api.Event>('PATCH', `/events/${seg(id)}`, { handled, ...(note ? { note } : {}) })

  respond = (request: api.ResponseRequest) => this.call<api.Response>('POST', '/responses', request)
  responses = (p: { host?: string; alert?: api.ID } = {}) =>
    this.get<{ responses: api.Response[] | null }>('/responses', p)
  response = (id: string) => this.get<api.Response>(`/responses/${seg(id)}`)

  tables = async (): Promise<api.TableSchema[]> => {
    const answer = await this.get<api.TableSchema[] | { tables: api.TableSchema[] | null } | null>('/tables')
    return Array.isArray(answer) ? answer : (answer?.tables ?? [])
  }
  ask = (request: api.QueryRequest) => this.call<api.Query>('POST', '/queries', request)
  queries = (limit = 50) => this.get<{ queries: api.Query[] | null }>('/queries', { limit })
  query = (id: string) => this.get<api.Query>(`/queries/${seg(id)}`)
  stopQuery = (id: string) => this.call<void>('POST', `/queries/${seg(id)}/stop`)
  queryRows = (id: string, after: number, limit = 5000) =>
    this.get<{ rows: api.QueryRow[] | null; next: number; done: boolean }>(`/queries/${seg(id)}/rows`, {
      after,
      limit,
    })

  rules = () => this.get<{ rules: api.Rule[] | null }>('/rules')
  approveRule = (id: string | number, version: string) =>
    this.call<void>('POST', `/rules/${seg(id)}/approve`, { version })
  withdrawRule = (id: string | number) => this.call<void>('DELETE', `/rules/${seg(id)}/approve`)
  enableRule = (id: string | number, enabled: boolean) =>
    this.call<void>('PATCH', `/rules/${seg(id)}`, { enabled })
  rule = (id: string | number) => this.get<api.Rule>(`/rules/${seg(id)}`)
  ruleSchema = () => this.get<api.RuleSchema>('/rules/schema')
  checkRules = (text: string) => this.call<api.Check>('POST', '/rules/check', { text })
  createRules = (r: { text: string; targets?: string[]; enabled?: boolean }) =>
    this.call<{ rules: api.Rule[] | null }>('POST', '/rules', r)
  replaceRule = (id: string | number, text: string) => this.call<api.Rule>('PUT', `/rules/${seg(id)}`, { text })
  changeRule = (id: string | number, change: { enabled?: boolean; targets?: string[] }) =>
    this.call<void>('PATCH', `/rules/${seg(id)}`, change)
  removeRule = (id: string | number) => this.call<void>('DELETE', `/rules/${seg(id)}`)

  packs = () => this.get<{ packs: api.Pack[] | null }>('/packs')
  pack = (name: string) => this.get<api.Pack>(`/packs/${seg(name)}`)
  checkPack = (text: string, name?: string) => this.call<api.Check>('POST', '/packs/check', { text, ...(name ? { name } : {}) })
  createPack = (p: { name: string; text: string; targets?: string[]; enabled?: boolean }) => this.call<api.Pack>('POST', '/packs', p)
  importPacks = (p: { name?: string; text: string; targets?: string[]; enabled?: boolean }) =>
    this.call<{ packs: api.Pack[] | null; problems?: api.Flaw[] | null }>('POST', '/packs/import', p)
  replacePack = (name: string, text: string) => this.call<api.Pack>('PUT', `/packs/${seg(name)}`, { text })
  changePack = (name: string, change: { enabled?: boolean; targets?: string[] }) =>
    this.call<void>('PATCH', `/packs/${seg(name)}`, change)
  removePack = (name: string) => this.call<void>('DELETE', `/packs/${seg(name)}`)
  approvePackQuery = (pack: string, query: string, version: string) =>
    this.call<void>('POST', `/packs/${seg(pack)}/queries/${seg(query)}/approve`, { version })
  withdrawPackQuery = (pack: string, query: string) =>
    this.call<void>('DELETE', `/packs/${seg(pack)}/queries/${seg(query)}/approve`)
  checkSQL = (sql: string) => this.call<api.Check>('POST', '/queries/check', { sql })

  groups = () => this.get<{ groups: api.Group[] | null }>('/groups')
  group = (name: string) => this.get<api.Group>(`/groups/${seg(name)}`)
  createGroup = (g: api.GroupChange) => this.call<api.Group>('POST', '/groups', g)
  changeGroup = (name: string, g: api.GroupChange) => this.call<api.Group>('PATCH', `/groups/${seg(name)}`, g)
  removeGroup = (name: string) => this.call<void>('DELETE', `/groups/${seg(name)}`)
  changeMembers = (name: string, change: { add?: string[]; remove?: string[] }) =>
    this.call<api.Group>('POST', `/groups/${seg(name)}/hosts`, change)
  previewGroup = (g: { match: string; conditions: api.Condition[] }) => this.call<api.GroupPreview>('POST', '/groups/check', g)

  settings = () => this.get<api.ServerSettings>('/settings')
  changeSettings = (change: Record<string, number>) => this.call<api.ServerSettings>('PATCH', '/settings', change)
  sinks = async (): Promise<api.Sink[]> => {
    const answer = await this.get<{ sinks?: api.Sink[] | null; exports?: api.Sink[] | null }>('/sinks')
    return answer.sinks ?? answer.exports ?? []
  }

  enrolments = () => this.get<{ enrolments: api.Enrolment[] | null }>('/enrolments')
  createEnrolment = (request: { note: string; expires_in_s: number; uses: number }) =>
    this.call<api.NewEnrolment>('POST', '/enrolments', request)
  removeEnrolment = (id: string) => this.call<void>('DELETE', `/enrolments/${seg(id)}`)

  users = () => this.get<{ users: api.User[] | null }>('/users')
  createUser = (user: { name: string; password: string; role: api.Role; classes: string[]; groups?: string[] }) =>
    this.call<void>('POST', '/users', user)
  changeUser = (name: string, change: { password?: string; role?: api.Role; classes?: string[]; groups?: string[]; disabled?: boolean }) =>
    this.call<void>('PATCH', `/users/${seg(name)}`, change)
  removeUser = (name: string) => this.call<void>('DELETE', `/users/${seg(name)}`)
  createToken = (name: string) => this.call<{ token: string }>('POST', `/users/${seg(name)}/tokens`, {})

  audit = (p: { limit?: number; before?: string } = {}) =>
    this.get<{ entries: api.AuditEntry[] | null }>('/audit', p)
}

function errorOf(answer: globalThis.Response, text: string): ApiError {
  const wait = Number(answer.headers.get('Retry-After'))
  const retryAfter = Number.isFinite(wait) && wait > 0 ? wait : null
  try {
    const body = parse(text) as { error?: { code?: unknown; message?: unknown; problems?: unknown } }
    if (typeof body.error?.message === 'string') {
      const code = typeof body.error.code === 'string' ? body.error.code : 'error'
      return new ApiError(answer.status, code, body.error.message, retryAfter, Array.isArray(body.error.problems) ? (body.error.problems as api.Flaw[]) : [])
    }
  } catch {
    // What stands between may answer with something that is not ours.
  }
  return new ApiError(answer.status, 'error', `the server answered ${answer.status} ${answer.statusText}`.trim(), retryAfter)
}

export const streamURL = `${base}/stream`
export const queryStreamURL = (id: string): string => `${base}/queries/${seg(id)}/stream`
export const exportURL = (id: string, format: 'csv' | 'json'): string =>
  `${base}/queries/${seg(id)}/export?format=${format}`
