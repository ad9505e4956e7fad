// The made-up server's groups, events, triage, content and settings.
import * as data from './data.mjs'

const bare = (r) => ({ targets: ['all'], editable: r.source === 'console', needs_approval: r.actions.some((a) => a !== 'alert'), ...r })
const at = (s) => new Date(Date.now() - s * 1000).toISOString()

/** Finds what a check of a text can tell without the real parser. */
function check(text) {
  const problems = []
  text.split('\n').forEach((line, i) => {
    const column = line.indexOf('BROKEN') + 1
    if (column > 0) problems.push({ line: i + 1, column, message: 'the field "BROKEN" is not known to rules of type process', next: 'the fields are listed beside the editor', warning: false })
    if (line.includes('\t')) problems.push({ line: i + 1, column: line.indexOf('\t') + 1, message: 'a tab begins the line', next: 'indent by spaces', warning: true })
  })
  const id = /^\s*(?:- )?"?id"?\s*:\s*"?([\w.-]+)/m.exec(text)?.[1]
  return { ok: !problems.some((p) => !p.warning), problems, id }
}

export function more({ send, refuse, hosts, alerts, responses, tell, now, hostCounts, openBySeverity, json, whole }) {
  const rules = data.rules.map(bare)
  data.rules.splice(0, data.rules.length, ...rules)
  const packs = data.packs.map((p) => ({ source: 'builtin', enabled: true, targets: ['all'], editable: false, version: 'p1', ...p }))
  data.packs.splice(0, data.packs.length, ...packs)
  const empty = { settings: {}, rules: [], packs: [], users: [], hosts: [], conditions: [], match: 'all', trusted: true, priority: 0, description: '' }
  const groups = [
    { ...empty, name: 'all', kind: 'all', settings: { interval_s: 10 } },
    { ...empty, name: 'web-servers', kind: 'rule', description: 'What faces the internet', conditions: [{ field: 'label', op: 'is', value: 'web' }], priority: 10, packs: ['incident-response'] },
    { ...empty, name: 'debian', kind: 'rule', trusted: false, conditions: [{ field: 'os', op: 'contains', value: 'Debian' }] },
    { ...empty, name: 'databases', kind: 'manual', hosts: ['h-0013'], priority: 20, settings: { cpu_limit: 2, monitor_dirs: ['/var/lib/postgresql'] } },
  ]
  const holds = (h, c) => {
    const values = c.field === 'label' ? h.labels : [String(h[c.field] ?? '')]
    return values.some((v) => ({ is: v === c.value, is_not: v !== c.value, contains: v.includes(c.value), startswith: v.startsWith(c.value), endswith: v.endsWith(c.value), matches: new RegExp(c.value).test(v) })[c.op])
  }
  const matching = (g) => hosts.filter((h) => (g.match === 'any' ? g.conditions.some((c) => holds(h, c)) : g.conditions.every((c) => holds(h, c))))
  const members = (g) => (g.kind === 'all' ? hosts : g.kind === 'manual' ? hosts.filter((h) => g.hosts.includes(h.id)) : matching(g))
  const inGroup = (h, name) => !name || name === 'all' || members(groups.find((g) => g.name === name) ?? { ...empty, kind: 'manual' }).includes(h)
  const view = (g) => ({ ...g, host_count: members(g).length })
  const trusted = (conditions) => conditions.every((c) => c.field === 'label')

  for (const a of alerts) Object.assign(a, { assignee: '', verdict: '', notes_count: 0, notes: [], hits: [], hits_total: a.count })
  if (alerts[0]?.process) {
    alerts[0].hits = [0, 1, 2].map((i) => ({ id: `hit-${i}`, time: at(42 + i * 300), count: 1, title: alerts[0].title, entity: alerts[0].entity, event: alerts[0].event, process: { ...alerts[0].process, pid: 48_213 + i }, ancestry: alerts[0].ancestry, actions: [] }))
    alerts[0].notes = [{ id: '1', by: 'maria', time: at(30), text: 'Pool address is blocked at the border.\n<b>not bold</b>' }]
  }
  const network = data.alert(data.hosts[0], 'Connection to a mining pool', 'high', alerts[0]?.process ?? null, [], { table: 'connections', entity: 'tcp 203.0.113.7:3333', attack: ['T1071'], event: [{ name: 'remote_address', value: '203.0.113.7' }, { name: 'remote_port', value: 3333 }, { name: 'protocol', value: 'tcp' }] })
  Object.assign(network, { assignee: 'maria', verdict: '', notes: [], hits: [], hits_total: 1, notes_count: 0 })
  if (alerts.length) alerts.push(network)
  for (const a of alerts) a.rule.id ||= 'edr'

  const events = alerts.length === 0 ? [] : Array.from({ length: 260 }, (_, i) => {
    const a = alerts[i % alerts.length]
    const h = hosts[i % hosts.length]
    const hit = i % 3 === 0
    return {
      id: `e-${1000 - i}`, kind: hit ? 'hit' : 'result', time: at(30 + i * 400), received: at(28 + i * 400), host: { id: h.id, hostname: h.hostname },
      title: hit ? a.title : 'incident-response/listening', severity: hit ? a.severity : '', query: hit ? '' : 'incident-response/listening', rule: hit ? a.rule : null,
      alert: hit ? a.id : '', action: hit ? '' : ['added', 'removed', 'snapshot'][i % 3], table: hit ? a.table : 'connections', entity: hit ? a.entity : '',
      values: hit ? Object.fromEntries(a.event.map((f) => [f.name, f.value])) : { pid: 700 + i, local_port: 8000 + i, cmdline: i % 5 ? 'nginx' : '<script>alert(1)</script>\u202e' },
      process: hit ? a.process : null, attack: hit ? a.attack : [], handled: i === 3 ? { by: 'maria', time: at(20), note: 'Known backup job' } : null,
    }
  })

  const limits = Object.fromEntries([
    ['retention_results_days', 1, 3650, 30, 'days'], ['retention_hits_days', 1, 3650, 90, 'days'], ['retention_alerts_days', 1, 3650, 365, 'days'], ['retention_queries_days', 1, 365, 7, 'days'],
    ['retention_unsent_days', 0, 365, 0, 'days'], ['session_hours', 1, 720, 12, 'hours'], ['alerts_per_host', 10, 100_000, 1000, 'alerts'],
  ].map(([name, min, max, usual, unit]) => [name, { min, max, default: usual, unit, doc: name }]))
  const settings = Object.fromEntries(Object.entries(limits).map(([n, l]) => [n, l.default]))
  const settingsView = () => ({ settings, limits, last_run: { time: at(1300), deleted: { results: 1204, hits: 13, alerts: 2, queries: 5 }, held_back: 31, error: '' } })

  const fields = [['name', 'text', 'The file name of the program.'], ['path', 'text', 'The whole path of the program.'], ['command', 'text', 'Its command line.', ['cmdline']], ['parent_name', 'text', 'The name of its parent.'], ['ancestors', 'list', 'The names of all that led to it.'], ['hour', 'number', 'Local hour of the event, 0 to 23.']]
    .map(([name, kind, doc, aliases = []]) => ({ name, kind, doc, aliases }))
  const seconds = { '24h': 3600, '7d': 6 * 3600, '30d': 86_400 }
  const overTime = (range, n = { '24h': 24, '7d': 28, '30d': 30 }[range]) => Array.from({ length: n }, (_, i) => {
    const from = Date.now() - (n - i) * seconds[range] * 1000
    const here = alerts.filter((a) => Date.parse(a.first_seen) >= from && Date.parse(a.first_seen) < from + seconds[range] * 1000)
    const counts = here.reduce((o, a) => ({ ...o, [a.severity]: (o[a.severity] ?? 0) + 1 }), {})
    if (alerts.length && i % 5 === 2) Object.assign(counts, { medium: 2 + (i % 4), low: i % 3, critical: i % 2 })
    return { time: new Date(from).toISOString(), counts }
  })
  const top = (values) => Object.entries(values.reduce((o, v) => ({ ...o, [v]: (o[v] ?? 0) + 1 }), {})).map(([id, count]) => ({ id, count })).toSorted((a, b) => b.count - a.count)

  const found = (list, key, id, res, what) => list.find((x) => String(x[key]) === id) ?? void refuse(res, 404, 'not_found', `read ${what} ${id}: there is none`)
  const text = (r) => r.text ?? `id: ${r.id}\nname: ${r.name}\ntype: ${r.type}\nseverity: ${r.severity}\nconditions:\n${(r.conditions ?? []).map((c) => `  - ${c}`).join('\n')}\nactions: [${r.actions}]\n`
  const invalid = (res, problems) => send(res, 400, { error: { code: 'invalid_content', message: problems[0].message, problems } })
  const wrong = (body) => check(body.text).problems.filter((p) => !p.warning)

  const routes = [
    ['GET', /^\/overview$/, ({ res, url }) => {
      const range = url.searchParams.get('range') ?? '24h'
      send(res, 200, {
        hosts: hostCounts(), alerts: { open_by_severity: openBySeverity(), over_time: overTime(range) }, range, bucket_s: seconds[range], hosts_over_quota: 0,
        failed_responses: responses.filter((r) => r.state === 'failed').length, failed: responses.filter((r) => r.state === 'failed').slice(-10).reverse(),
        sensors: { ...(hosts.length ? { healthy: 13, degraded: 2, failed: 0, lost_events: 1204 } : { healthy: 0, degraded: 0, failed: 0, lost_events: 0 }), by_name: hosts.length ? [{ name: 'process', running: 5, degraded: 1, failed: 0, off: 0, lost: 1204 }, { name: 'file', running: 6, degraded: 0, failed: 0, off: 0, lost: 0 }, { name: 'connection', running: 5, degraded: 1, failed: 0, off: 0, lost: 0 }] : [] },
        rules: { enabled: data.rules.filter((r) => r.enabled).length, total: data.rules.length },
        top_techniques: top(alerts.flatMap((a) => a.attack)), top_rules: top(alerts.map((a) => a.rule.id)).map((x) => ({ ...x, name: alerts.find((a) => a.rule.id === x.id).rule.name })),
        top_hosts: top(alerts.map((a) => a.host.id)).map((x) => ({ ...x, hostname: hosts.find((h) => h.id === x.id)?.hostname ?? x.id })),
      })
    }],
    ['GET', /^\/people$/, ({ res }) => send(res, 200, { people: data.users.map((u) => u.name) })],
    ['GET', /^\/alerts\/([^/]+)$/, ({ res, id }) => { const a = found(alerts, 'id', id, res, 'alert'); if (a) send(res, 200, whole(a)) }],
    ['PATCH', /^\/alerts\/([^/]+)$/, ({ res, id, body }) => { const a = found(alerts, 'id', id, res, 'alert'); if (a) { Object.assign(a, body); tell('alert', a); send(res, 200, whole(a)) } }],
    ['GET', /^\/alerts\/([^/]+)\/notes$/, ({ res, id }) => send(res, 200, { notes: found(alerts, 'id', id, res, 'alert')?.notes })],
    ['POST', /^\/alerts\/([^/]+)\/notes$/, ({ res, id, body, user }) => { const a = found(alerts, 'id', id, res, 'alert'); if (a) { const n = { id: String(a.notes.length + 1), by: user.name, time: now(), text: body.text }; a.notes = [n, ...a.notes]; a.notes_count = a.notes.length; send(res, 201, n) } }],
    ['GET', /^\/events$/, ({ res, url }) => {
      const p = (k) => url.searchParams.get(k) ?? ''
      const from = Number(p('before') || 0)
      const list = events.filter((e) => (!p('kind') || e.kind === p('kind')) && (!p('host') || e.host.id === p('host')) && (!p('severity') || e.severity === p('severity')) && (!p('handled') || String(e.handled !== null) === p('handled'))
        && (!p('rule') || e.rule?.id === p('rule')) && (!p('query') || e.query.includes(p('query'))) && (!p('from') || e.time >= p('from')) && (!p('to') || e.time < p('to')) && json(e).toLowerCase().includes(p('q').toLowerCase()))
      const limit = Number(p('limit') || 100)
      send(res, 200, { events: list.slice(from, from + limit), next: from + limit < list.length ? String(from + limit) : '', searched_to: p('q') ? list[from + limit]?.time ?? null : null })
    }],
    ['PATCH', /^\/events\/([^/]+)$/, ({ res, id, body, user }) => { const e = found(events, 'id', id, res, 'event'); if (e) { e.handled = body.handled ? { by: user.name, time: now(), note: body.note ?? '' } : null; send(res, 200, e) } }],
    ['PATCH', /^\/hosts\/([^/]+)$/, ({ res, id, body }) => { const h = found(hosts, 'id', id, res, 'host'); if (h) { h.labels = body.labels; send(res, 200, h) } }],
    ['GET', /^\/groups$/, ({ res }) => send(res, 200, { groups: groups.map(view) })],
    ['POST', /^\/groups\/check$/, ({ res, body }) => { const list = matching(body); send(res, 200, { hosts: list, total: list.length, trusted: trusted(body.conditions) }) }],
    ['POST', /^\/groups$/, ({ res, body }) => { const g = { ...empty, ...body, trusted: body.kind === 'manual' || trusted(body.conditions ?? []) }; groups.push(g); send(res, 201, view(g)) }],
    ['GET', /^\/groups\/([^/]+)$/, ({ res, id }) => { const g = found(groups, 'name', id, res, 'group'); if (g) send(res, 200, view(g)) }],
    ['PATCH', /^\/groups\/([^/]+)$/, ({ res, id, body }) => { const g = found(groups, 'name', id, res, 'group'); if (g) { Object.assign(g, body); send(res, 200, view(g)) } }],
    ['DELETE', /^\/groups\/([^/]+)$/, ({ res, id }) => { groups.splice(groups.findIndex((g) => g.name === id), 1); send(res, 204) }],
    ['POST', /^\/groups\/([^/]+)\/hosts$/, ({ res, id, body }) => { const g = found(groups, 'name', id, res, 'group'); if (g) { g.hosts = [...new Set([...g.hosts, ...(body.add ?? [])])].filter((h) => !(body.remove ?? []).includes(h)); send(res, 200, view(g)) } }],
    ['GET', /^\/rules\/schema$/, ({ res }) => send(res, 200, { types: ['process', 'network', 'file', 'registry', 'attack', 'event_log'].map((type) => ({ type, fields })) })],
    ['POST', /^\/rules\/check$/, ({ res, body }) => { const c = check(body.text); send(res, 200, { ok: c.ok, problems: c.problems, rules: c.id ? [{ id: c.id, name: c.id, type: 'process', severity: 'medium' }] : [] }) }],
    ['POST', /^\/rules$/, ({ res, body }) => {
      if (wrong(body).length) return invalid(res, wrong(body))
      const id = check(body.text).id
      if (data.rules.some((r) => r.id === id)) return refuse(res, 409, 'conflict', `create rule ${id}: there is one; choose another id`)
      const r = bare({ ...data.rules[0], id, name: id, source: 'console', editable: true, approved: null, text: body.text, targets: body.targets ?? ['all'], enabled: body.enabled ?? true })
      data.rules.push(r)
      send(res, 201, { rules: [r] })
    }],
    ['GET', /^\/rules\/([^/]+)$/, ({ res, id }) => { const r = found(data.rules, 'id', id, res, 'rule'); if (r) send(res, 200, { ...r, text: text(r) }) }],
    ['PUT', /^\/rules\/([^/]+)$/, ({ res, id, body }) => { if (wrong(body).length) return invalid(res, wrong(body)); const r = found(data.rules, 'id', id, res, 'rule'); if (r) { Object.assign(r, { text: body.text, approved: null, version: `v${Date.now()}` }); send(res, 200, r) } }],
    ['PATCH', /^\/rules\/([^/]+)$/, ({ res, id, body }) => { const r = found(data.rules, 'id', id, res, 'rule'); if (r) { Object.assign(r, body); send(res, 200, r) } }],
    ['DELETE', /^\/rules\/([^/]+)$/, ({ res, id }) => { data.rules.splice(data.rules.findIndex((r) => r.id === id), 1); send(res, 204) }],
    ['POST', /^\/packs\/check$/, ({ res, body }) => { const c = check(body.text); send(res, 200, { ok: c.ok, problems: c.problems, packs: [{ name: body.name ?? 'pack', queries: 1 }] }) }],
    ['POST', /^\/packs(\/import)?$/, ({ res, body, id }) => {
      if (wrong(body).length) return invalid(res, wrong(body))
      if (data.packs.some((p) => p.name === (body.name ?? 'imported'))) return refuse(res, 409, 'conflict', `create pack ${body.name}: there is one; choose another name`)
      const p = { ...data.packs[0], name: body.name ?? 'imported', source: 'console', editable: true, text: body.text, targets: body.targets, enabled: body.enabled }
      data.packs.push(p)
      send(res, 201, id ? { packs: [p], problems: [] } : p)
    }],
    ['GET', /^\/packs\/([^/]+)$/, ({ res, id }) => { const p = found(data.packs, 'name', id, res, 'pack'); if (p) send(res, 200, { ...p, text: p.text ?? 'queries:\n  listening:\n    query: SELECT 1\n    interval: 300\n' }) }],
    ['PUT', /^\/packs\/([^/]+)$/, ({ res, id, body }) => { if (wrong(body).length) return invalid(res, wrong(body)); const p = found(data.packs, 'name', id, res, 'pack'); if (p) { p.text = body.text; send(res, 200, p) } }],
    ['PATCH', /^\/packs\/([^/]+)$/, ({ res, id, body }) => { const p = found(data.packs, 'name', id, res, 'pack'); if (p) { Object.assign(p, body); send(res, 200, p) } }],
    ['DELETE', /^\/packs\/([^/]+)$/, ({ res, id }) => { data.packs.splice(data.packs.findIndex((p) => p.name === id), 1); send(res, 204) }],
    ['POST', /^\/packs\/([^/]+)\/queries\/([^/]+)\/approve$/, ({ res, id, sub, user }) => { const p = data.packs.find((x) => x.name === id); p.queries.find((q) => q.name === sub).approved = { by: user.name, time: now() }; send(res, 200, p) }],
    ['DELETE', /^\/packs\/([^/]+)\/queries\/([^/]+)\/approve$/, ({ res, id, sub }) => { const p = data.packs.find((x) => x.name === id); p.queries.find((q) => q.name === sub).approved = null; send(res, 200, p) }],
    ['GET', /^\/settings$/, ({ res }) => send(res, 200, settingsView())],
    ['PATCH', /^\/settings$/, ({ res, body }) => { Object.assign(settings, body); send(res, 200, settingsView()) }],
    ['GET', /^\/sinks$/, ({ res }) => send(res, 200, { sinks: [
      { name: 'archive', type: 'file', target: '/var/log/edr/hits.jsonl', kinds: ['hit'], format: 'json', state: 'ok', last_ok: at(4), sent: 81_223, dead_lettered: 0, missed: 0, lag_records: 0, lag_seconds: 0 },
      { name: 'soc', type: 'kafka', target: 'kafka-1.example.net:9092', kinds: ['hit', 'result'], format: 'ecs', state: 'failing', last_ok: at(4000), error: 'dial kafka-1.example.net:9092: connection refused; trying again in 30 s', sent: 1204, dead_lettered: 3, missed: 0, lag_records: 512, lag_seconds: 3998 },
    ] })],
  ]
  return { routes, inGroup }
}
