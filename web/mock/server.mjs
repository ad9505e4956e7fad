// A made-up server for the pages' development, and for trying the end-to-end
// test without an agent: it answers the API from memory, serves dist/ under
// the real content security policy, and with MOCK_WATCH=1 plays the agent of
// this machine: it sees processes named xmrig and ends them when told to.
import { createServer } from 'node:http'
import { readdirSync, readFileSync, existsSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as data from './data.mjs'
import { more } from './more.mjs'

const port = Number(process.env.PORT ?? 8940)
const dist = join(fileURLToPath(new URL('.', import.meta.url)), '..', 'dist')
const policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2' }
const rights = { admin: ['respond', 'query', 'alerts', 'rules', 'hosts', 'users', 'audit', 'settings'], responder: ['respond', 'query', 'alerts'], analyst: ['query', 'alerts'], viewer: [] }

const hosts = process.env.MOCK_EMPTY ? [] : [...data.hosts]
const alerts = process.env.MOCK_EMPTY ? [] : [...data.alerts]
const responses = []
const queries = new Map()
const enrolments = []
const sessions = new Map()
const streams = new Set()
let serial = 1
let failures = 0

const json = (value) => JSON.stringify(value, (_k, v) => (typeof v === 'bigint' ? `@@${v}` : v)).replace(/"@@(-?\d+)"/g, '$1')
const send = (res, status, value, headers = {}) => res.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(value === undefined ? '' : json(value))
const refuse = (res, status, code, message, headers) => send(res, status, { error: { code, message } }, headers)
const event = (res, type, value, id) => res.write(`${id ? `id: ${id}\n` : ''}event: ${type}\ndata: ${json(value)}\n\n`)
const tell = (type, value) => streams.forEach((s) => event(s, type, value))
const now = () => new Date().toISOString()
const openBySeverity = () => alerts.filter((a) => a.status === 'open').reduce((o, a) => ({ ...o, [a.severity]: (o[a.severity] ?? 0) + 1 }), {})
const hostCounts = () => ({ online: 0, offline: 0, pending: 0, ...hosts.reduce((o, h) => ({ ...o, [h.status]: (o[h.status] ?? 0) + 1 }), {}) })
const withAlerts = (h) => ({ ...h, open_alerts: alerts.filter((a) => a.status === 'open' && a.host.id === h.id).length })
const whole = (a) => ({ ...a, responses: responses.filter((r) => String(r.alert) === a.id).reverse() })

function processes() {
  return readdirSync('/proc').filter((d) => /^\d+$/.test(d)).flatMap((d) => {
    try {
      const stat = readFileSync(`/proc/${d}/stat`, 'utf8')
      const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
      const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const cmdline = readFileSync(`/proc/${d}/cmdline`, 'utf8').split('\0').slice(0, -1).join(' ')
      return [{ pid: Number(d), parent: Number(rest[1]), state: rest[0], name, cmdline, path: cmdline.split(' ')[0] ?? '', start_time_ns: Number(rest[19]) * 10_000_000, uid: 0, user: 'root', started: now() }]
    } catch {
      return [] // gone meanwhile
    }
  })
}

function watch() {
  const me = { ...data.hosts[0], id: 'h-self', hostname: hostname() }
  hosts.unshift(me)
  const seen = new Set()
  setInterval(() => {
    const all = processes()
    for (const p of all.filter((x) => x.name === 'xmrig')) {
      const key = `${p.pid}@${p.start_time_ns}`
      if (seen.has(key)) continue
      seen.add(key)
      const ancestry = []
      for (let up = all.find((x) => x.pid === p.parent); up; up = all.find((x) => x.pid === up.parent)) ancestry.push(up)
      const a = data.alert(me, 'Known cryptocurrency miner started', 'critical', p, ancestry, { first_seen: now(), last_seen: now() })
      alerts.unshift(a)
      tell('alert', a)
    }
  }, 300).unref()
}

function respond(body, user) {
  const alert = alerts.find((a) => a.id === String(body.alert))
  const r = { id: `r-${serial++}`, ...body, by: user.name, created_at: now(), expires_at: new Date(Date.now() + 3_600_000).toISOString(), state: 'pending', plan: body.action === 'terminate_process' ? `SIGKILL to pid ${body.args.pid} (${alert?.process?.name ?? '?'})` : `${body.action} ${body.args.path ?? body.args.remote_address ?? body.args.id}`, undo: null, undone_by: null, seen: '', error: '', finished_at: null }
  responses.push(r)
  const step = (state, more) => { Object.assign(r, { state }, more); tell('response', r) }
  setTimeout(() => step('sent'), 400)
  setTimeout(() => {
    if (body.dry_run) return step('planned', { finished_at: now(), args: body.action === 'quarantine_file' ? { ...body.args, inode: 4242, sha256: '9f'.repeat(32) } : body.args })
    if (body.action !== 'terminate_process') return other(r, body, step)
    if (body.host !== 'h-self') return step('done', { seen: `pid ${body.args.pid} is gone`, finished_at: now() })
    const p = processes().find((x) => x.pid === body.args.pid && x.start_time_ns === Number(body.args.start_time_ns))
    if (!p || p.name !== 'xmrig') return step('failed', { error: 'no such process', finished_at: now() })
    process.kill(p.pid, 'SIGKILL')
    step('done', { seen: `pid ${p.pid} is gone`, finished_at: now() })
  }, 1500)
  return r
}

function other(r, body, step) {
  const back = { quarantine_file: ['restore_file', { id: `f-${r.id}` }], block_connection: ['unblock_connection', body.args] }[body.action]
  for (const x of responses) if (x.undo?.action === body.action && json(x.undo.args) === json(body.args)) x.undone_by = r.id
  step('done', { seen: `${body.action}: read back`, finished_at: now(), undo: back ? { action: back[0], args: back[1] } : null })
}

function ask(body, user) {
  const chosen = hosts.filter((h) => h.status !== 'pending' && (body.all || body.hosts?.includes(h.id) || body.groups?.some((g) => inGroup(h, g))))
  const slow = /recursive|sleep/i.test(body.sql)
  const q = { id: `q-${serial++}`, sql: body.sql, by: user.name, created_at: now(), deadline_at: new Date(Date.now() + body.deadline_s * 1000).toISOString(), done: false, stopped: false, columns: [], rows: 0, max_rows: body.max_rows, kept: [], listeners: new Set(),
    hosts: chosen.map((h) => ({ id: h.id, hostname: h.hostname, state: h.status === 'offline' ? 'offline' : 'sent', rows: 0, error: '', warnings: [], truncated: false, wall_ms: 0, cpu_ms: 0 })) }
  queries.set(q.id, q)
  const all = processes()
  q.hosts.filter((h) => h.state === 'sent').forEach((h, i) => setTimeout(() => answer(q, h, i, all), (slow ? 1500 : 250) * (i + 1)))
  setTimeout(() => finish(q), (slow ? 1500 : 250) * (q.hosts.length + 1))
  return q
}

function answer(q, h, i, all) {
  if (q.done) return
  h.wall_ms = 12 + i
  h.cpu_ms = 8
  if (i === 3) Object.assign(h, { state: 'error', error: 'table processes: permission denied reading /proc/1/exe; run the agent as root' })
  else if (/where 0/i.test(q.sql)) h.state = 'none'
  else {
    const wanted = /^\s*select\s+(.*?)\s+from/is.exec(q.sql)?.[1].split(',').map((c) => c.trim().split(/\s+as\s+|\./i).pop()) ?? ['pid', 'name']
    const columns = wanted.includes('*') ? ['pid', 'name', 'path', 'cmdline', 'parent', 'uid', 'start_time_ns'] : wanted
    q.columns = [...new Set([...q.columns, ...columns])]
    const many = /hundred thousand/i.test(q.sql) ? 25_000 : all.length
    const rows = Array.from({ length: many }, (_, n) => all[n % all.length]).map((p) => ({ seq: q.kept.length, host: h.id, hostname: h.hostname, values: Object.fromEntries(columns.map((c) => [c, p[c] ?? (/username/.test(c) ? 'root' : null)])) }))
    rows.forEach((r) => { r.seq = q.kept.length + 1; q.kept.push(r) })
    Object.assign(h, { state: 'rows', rows: rows.length, warnings: i === 1 ? ['process 4711: path is not readable'] : [] })
    q.rows = q.kept.length
    for (let from = 0; from < rows.length; from += 500) q.listeners.forEach((s) => event(s, 'rows', { rows: rows.slice(from, from + 500) }, rows[Math.min(from + 499, rows.length - 1)].seq))
  }
  q.listeners.forEach((s) => event(s, 'host', h))
}

function finish(q, stopped = false) {
  if (q.done) return
  q.done = true
  q.stopped = stopped
  q.hosts.filter((h) => h.state === 'sent').forEach((h) => { h.state = 'expired' })
  q.listeners.forEach((s) => { event(s, 'done', view(q)); s.end() })
}

const view = ({ kept, listeners, ...q }) => ({ ...q, counts: q.hosts.reduce((o, h) => ({ ...o, [h.state]: (o[h.state] ?? 0) + 1 }), {}) })

const { routes: moreRoutes, inGroup } = more({ send, refuse, hosts, alerts, responses, tell, now, hostCounts, openBySeverity, json, whole: (a) => whole(a) })

const routes = [
  ...moreRoutes,
  ['GET', /^\/me$/, ({ res, user }) => send(res, 200, user)],
  ['POST', /^\/logout$/, ({ res, session }) => { sessions.delete(session); send(res, 204) }],
  ['POST', /^\/me\/password$/, ({ res, user }) => send(res, 200, user)],
  ['GET', /^\/hosts$/, ({ res, url }) => {
    const q = (url.searchParams.get('q') ?? '').toLowerCase()
    const status = url.searchParams.get('status') ?? ''
    const list = hosts.filter((h) => h.hostname.toLowerCase().includes(q) && (!status || h.status === status) && inGroup(h, url.searchParams.get('group')) && (!url.searchParams.get('label') || h.labels.includes(url.searchParams.get('label'))))
    send(res, 200, { hosts: list.map(withAlerts).slice(Number(url.searchParams.get('offset') ?? 0)), total: list.length, counts: hostCounts() })
  }],
  ['GET', /^\/hosts\/([^/]+)$/, ({ res, id }) => { const h = hosts.find((x) => x.id === id); h ? send(res, 200, withAlerts(h)) : refuse(res, 404, 'not_found', `read host ${id}: there is none; list them at /hosts`) }],
  ['POST', /^\/hosts\/([^/]+)\/admit$/, ({ res, id }) => { hosts.find((x) => x.id === id).status = 'online'; send(res, 204) }],
  ['DELETE', /^\/hosts\/([^/]+)$/, ({ res, id }) => { hosts.splice(hosts.findIndex((x) => x.id === id), 1); send(res, 204) }],
  ['GET', /^\/alerts$/, ({ res, url }) => {
    const p = (k) => url.searchParams.get(k) ?? ''
    const list = alerts.filter((a) => !p('before') && (!p('status') || a.status === p('status')) && (!p('severity') || a.severity === p('severity')) && (!p('host') || a.host.id === p('host')) && (!p('assignee') || a.assignee === p('assignee')) && (!p('rule') || a.rule.id === p('rule')) && (!p('technique') || a.attack.includes(p('technique'))) && (!p('from') || Date.parse(a.last_seen) >= Date.parse(p('from'))) && (!p('to') || Date.parse(a.last_seen) < Date.parse(p('to'))) && json(a).toLowerCase().includes(p('q').toLowerCase()))
    send(res, 200, { alerts: list.slice(0, Number(p('limit') || 100)), total: list.length, counts: openBySeverity() })
  }],
  ['POST', /^\/responses$/, ({ res, body, user }) => send(res, 202, respond(body, user))],
  ['GET', /^\/responses$/, ({ res, url }) => send(res, 200, { responses: responses.filter((r) => !url.searchParams.get('host') || r.host === url.searchParams.get('host')) })],
  ['GET', /^\/responses\/([^/]+)$/, ({ res, id }) => send(res, 200, responses.find((r) => r.id === id))],
  ['GET', /^\/tables$/, ({ res }) => send(res, 200, data.tables)],
  ['POST', /^\/queries$/, ({ res, body, user }) => {
    if (!/^\s*(select|with)/i.test(body.sql)) return refuse(res, 400, 'bad_sql', `prepare the query: near "${body.sql.trim().split(/\s/)[0]}": syntax error (line 1, column 1); write a SELECT`)
    send(res, 201, view(ask(body, user)))
  }],
  ['GET', /^\/queries$/, ({ res }) => send(res, 200, { queries: [...queries.values()].reverse().map((q) => ({ ...view(q), hosts: null })) })],
  ['GET', /^\/queries\/([^/]+)$/, ({ res, id }) => (queries.has(id) ? send(res, 200, view(queries.get(id))) : refuse(res, 404, 'not_found', `read query ${id}: there is none`))],
  ['POST', /^\/queries\/([^/]+)\/stop$/, ({ res, id }) => { finish(queries.get(id), true); send(res, 204) }],
  ['GET', /^\/queries\/([^/]+)\/rows$/, ({ res, id, url }) => {
    const after = Number(url.searchParams.get('after') ?? 0)
    const rows = queries.get(id).kept.slice(after, after + Number(url.searchParams.get('limit') ?? 1000))
    send(res, 200, { rows, next: rows.at(-1)?.seq ?? after, done: queries.get(id).done })
  }],
  ['GET', /^\/queries\/([^/]+)\/stream$/, ({ req, res, id }) => {
    const q = queries.get(id)
    res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    res.write(': hello\n\n')
    const after = Number(req.headers['last-event-id'] ?? 0)
    const rows = q.kept.slice(after)
    if (rows.length) event(res, 'rows', { rows }, rows.at(-1).seq)
    if (q.done) { event(res, 'done', view(q)); return res.end() }
    q.listeners.add(res)
    req.on('close', () => q.listeners.delete(res))
  }],
  ['GET', /^\/queries\/([^/]+)\/export$/, ({ res, id }) => send(res, 200, queries.get(id).kept, { 'Content-Disposition': 'attachment; filename="rows.json"' })],
  ['GET', /^\/stream$/, ({ req, res }) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    res.write(': hello\n\n')
    streams.add(res)
    req.on('close', () => streams.delete(res))
  }],
  ['GET', /^\/rules$/, ({ res }) => send(res, 200, { rules: data.rules })],
  ['POST', /^\/rules\/([^/]+)\/approve$/, ({ res, id, user }) => { data.rules.find((r) => r.id === id).approved = { by: user.name, time: now() }; send(res, 204) }],
  ['DELETE', /^\/rules\/([^/]+)\/approve$/, ({ res, id }) => { data.rules.find((r) => r.id === id).approved = null; send(res, 204) }],
  ['GET', /^\/packs$/, ({ res }) => send(res, 200, { packs: data.packs })],
  ['GET', /^\/enrolments$/, ({ res }) => send(res, 200, { enrolments })],
  ['POST', /^\/enrolments$/, ({ res, body }) => {
    const e = { id: `e-${serial++}`, note: body.note, uses: body.uses, used: 0, expires_at: new Date(Date.now() + body.expires_in_s * 1000).toISOString() }
    enrolments.push(e)
    send(res, 201, { token: 'edr1.MTAuMjAuMC4yOjg0NDM.Zm9vYmFyYmF6cXV4.0c1d2e3f4a5b', expires_at: e.expires_at, command: 'sudo edr-agent -server 10.20.0.2:8443 -enroll-file token.txt' })
  }],
  ['DELETE', /^\/enrolments\/([^/]+)$/, ({ res, id }) => { enrolments.splice(enrolments.findIndex((e) => e.id === id), 1); send(res, 204) }],
  ['GET', /^\/users$/, ({ res }) => send(res, 200, { users: data.users })],
  ['POST', /^\/users$/, ({ res, body }) => { data.users.push(body); send(res, 201) }],
  ['PATCH', /^\/users\/([^/]+)$/, ({ res, id, body }) => { Object.assign(data.users.find((u) => u.name === id), body); send(res, 200) }],
  ['DELETE', /^\/users\/([^/]+)$/, ({ res, id }) => { data.users.splice(data.users.findIndex((u) => u.name === id), 1); send(res, 204) }],
  ['POST', /^\/users\/([^/]+)\/tokens$/, ({ res }) => send(res, 201, { token: 'made-up-token' })],
  ['GET', /^\/audit$/, ({ res }) => send(res, 200, { entries: data.audit })],
]

function login(res, body) {
  if (failures >= 5) { failures = 0; return refuse(res, 429, 'throttled', 'log in: too many attempts; wait', { 'Retry-After': '20' }) }
  const known = data.users.find((u) => u.name === body.name)
  if (!known || body.password !== 'correct horse battery') { failures++; return refuse(res, 401, 'wrong', 'log in: name or password is wrong') }
  failures = 0
  const key = `s${serial++}${Math.random().toString(36).slice(2)}`
  const me = { name: known.name, role: known.role, rights: rights[known.role], classes: known.classes, csrf: `c${key}` }
  sessions.set(key, me)
  send(res, 200, me, { 'Set-Cookie': `edr_session=${key}; HttpOnly; SameSite=Strict; Path=/` })
}

function file(res, path) {
  const wanted = normalize(join(dist, path))
  const found = wanted.startsWith(dist) && existsSync(wanted) && statSync(wanted).isFile() ? wanted : join(dist, 'index.html')
  if (!existsSync(found)) return res.writeHead(503).end('npm run build makes dist/ first\n')
  res.writeHead(200, { 'Content-Type': types[extname(found)] ?? 'application/octet-stream', 'Content-Security-Policy': policy, 'X-Content-Type-Options': 'nosniff' }).end(readFileSync(found))
}

const server = createServer(async (req, res) => {
  const url = new URL(req.url, 'http://x')
  if (!url.pathname.startsWith('/api/v1/')) return file(res, url.pathname)
  let text = ''
  for await (const part of req) text += part
  const body = text ? JSON.parse(text) : {}
  const path = url.pathname.slice('/api/v1'.length)
  if (path === '/login') return login(res, body)
  const session = /edr_session=(\w+)/.exec(req.headers.cookie ?? '')?.[1]
  const user = sessions.get(session)
  if (!user) return refuse(res, 401, 'unauthenticated', 'the session is unknown or has ended; log in')
  if (req.method !== 'GET' && req.headers['x-edr-csrf'] !== user.csrf) return refuse(res, 403, 'csrf', 'the request lacks the header X-EDR-CSRF')
  for (const [method, pattern, handle] of routes) {
    const match = method === req.method && pattern.exec(path)
    if (match) return handle({ req, res, url, body, user, session, id: match[1] && decodeURIComponent(match[1]), sub: match[2] && decodeURIComponent(match[2]) })
  }
  refuse(res, 404, 'not_found', `${req.method} ${path}: there is no such address`)
})

if (process.env.MOCK_WATCH) watch()
server.listen(port, '127.0.0.1', () => console.log(`made-up server on http://127.0.0.1:${port}, password "correct horse battery"`))
