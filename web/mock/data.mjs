// Made-up fleet for the development server: enough of each state that a page
// can show, and texts as an attacker would write them.
const at = (secondsAgo) => new Date(Date.now() - secondsAgo * 1000).toISOString()

const sensor = (name, table, mechanism, events, more = {}) => ({
  name, table, state: 'running', mechanism, events, lost: 0, gaps: 0, last_event: at(3), ...more,
})

const health = (sensors, more = {}) => ({
  time: at(9), version: '0.1.0', uptime_s: 187_423, cpu_percent: 0.4, cpu_limit: 5, capture_cpu: 0.2,
  rss_bytes: 33_554_432, outbox_records: 0, outbox_dropped: 0, respond: 'observe', config_serial: 12, sensors, refused: 0, ...more,
})

const host = (n, hostname, more = {}) => ({
  id: `h-${String(n).padStart(4, '0')}`, hostname, status: 'online', os: 'Debian GNU/Linux 12 (bookworm)', platform: 'linux',
  arch: 'x86_64', kernel: '6.1.0-28-amd64', cpu: 'AMD EPYC 7443P 24-Core Processor', memory_bytes: 16_777_216_000,
  agent_version: '0.1.0', uuid: `8f1e2c3a-90b4-4c1d-a1f0-0000000000${n}${n}`, address: `10.20.4.${n}`, enrolled_at: at(900_000),
  last_seen: at(4), key_fingerprint: `ed25519 9c:41:7b:0e:${n}${n}:5d:f2:88`, labels: ['production'], problems: [], open_alerts: 0,
  health: health([
    sensor('process', 'process_events', 'ebpf', 812_345), sensor('file', 'file_events', 'fanotify', 94_210), sensor('connection', 'connection_events', 'ebpf', 51_877),
  ]),
  ...more,
})

export const hosts = [
  host(11, 'web-frontend-01', { labels: ['production', 'web'] }),
  host(12, 'web-frontend-02', {
    health: health([
      sensor('process', 'process_events', 'audit', 410_002, { state: 'degraded', detail: 'eBPF: operation not permitted (kernel lockdown); audit carries on', lost: 1_204, gaps: 3 }),
      sensor('file', 'file_events', 'fanotify', 8_801), sensor('connection', 'connection_events', 'polling', 2_113, { state: 'degraded', detail: 'polled every 2 s' }),
    ]),
    problems: [{ time: at(640), source: 'pack incident-response, query open_files', error: 'no such table: process_open_files (line 1, column 15); see edr-agent tables', count: 42 }],
  }),
  host(13, 'db-primary', { os: 'Ubuntu 24.04.1 LTS', kernel: '6.8.0-48-generic' }),
  host(14, 'build-runner-3', { status: 'offline', last_seen: at(41_000) }),
  host(15, 'jump-host', {}),
  host(16, 'staging-api', { status: 'pending', health: null, labels: [] }),
  host(17, '<b>not-bold</b>\u202etxt.exe', { os: 'Arch \u001b[31mLinux', open_alerts: 0 }),
]

const proc = (pid, parent, name, path, cmdline, more = {}) => ({
  pid, start_time_ns: 18_742_110_000_000_000n + BigInt(pid) * 1_000_003n, parent, name, path, cmdline, uid: 0, user: 'root', started: at(700), ...more,
})
const sshd = [proc(1033, 1, 'sshd', '/usr/sbin/sshd', 'sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups', { started: at(800_000) }), proc(1, 0, 'systemd', '/usr/lib/systemd/systemd', '/sbin/init', { started: at(900_000) })]
const nginx = proc(2210, 1, 'nginx', '/usr/sbin/nginx', 'nginx: worker process', { uid: 33, user: 'www-data', started: at(100_000) })

const fields = (p) => [
  { name: 'pid', value: p.pid }, { name: 'path', value: p.path }, { name: 'cmdline', value: p.cmdline }, { name: 'parent', value: p.parent },
  { name: 'uid', value: p.uid }, { name: 'cwd', value: '/tmp/.x' }, { name: 'cgroup_path', value: '/user.slice/user-0.slice/session-4.scope' },
  { name: 'start_time_ns', value: p.start_time_ns }, { name: 'exit_code', value: null }, { name: 'env', value: '' },
]

let next = 100
export const alert = (h, title, severity, p, ancestry, more = {}) => ({
  id: String(next++), host: { id: h.id, hostname: h.hostname, status: h.status },
  rule: { id: 'edr-miner-name', name: title, version: 'c4a3b0f19de2a7715f', pack: undefined }, severity, title,
  description: 'A program whose name or command line is that of a known cryptocurrency miner was started. Miners are the usual first payload after a web server or an SSH login is taken over.',
  attack: ['T1496', 'T1059.004'], status: 'open', count: 1, first_seen: at(640), last_seen: at(640), table: 'process_events', entity: p ? `${p.path} pid ${p.pid}` : h.hostname,
  event: p ? fields(p) : [], process: p, ancestry, actions: [{ action: 'alert', state: 'done' }, { action: 'terminate_process', state: 'observed', detail: 'the host observes only (-respond observe)' }], responses: [], ...more,
})

const miner = proc(48_213, 48_190, 'xmrig', '/tmp/.x/xmrig', '/tmp/.x/xmrig -o stratum+tcp://pool.example.net:3333 -u 44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DsQ5v7E --donate-level 1 --background')
const bash = proc(48_190, 48_101, 'bash', '/usr/bin/bash', '-bash', { started: at(760) })
const login = proc(48_101, 1033, 'sshd', '/usr/sbin/sshd', 'sshd: root@pts/2', { started: at(761) })
const shell = proc(51_002, 2210, 'sh', '/usr/bin/dash', "sh -c id;uname -a;cat /etc/passwd|base64", { uid: 33, user: 'www-data', started: at(1800) })
const evil = proc(51_777, 2210, 'sh', '/tmp/\u202egnp.sh', 'sh -c "<img src=x onerror=alert(1)> </td><script>alert(2)</script>"\n\u001b[2J\u200b echo ok', { uid: 33, user: 'www-data', started: at(2600) })

export const alerts = [
  alert(hosts[0], 'Known cryptocurrency miner started', 'critical', miner, [bash, login, ...sshd], { last_seen: at(42), count: 3 }),
  alert(hosts[1], 'Web server started a shell', 'high', shell, [nginx, sshd[1]], { attack: ['T1190', 'T1505.003'], last_seen: at(1800), count: 1, rule: { id: 'edr-web-shell', name: 'Web server started a shell', version: '90be1ac7719f' } }),
  alert(hosts[6], 'Program run from a temporary folder <script>', 'medium', evil, [nginx], { attack: ['T1036.005', 'javascript:alert(1)'], last_seen: at(2600) }),
  alert(hosts[2], 'Scheduled task changed', 'medium', null, [], { table: 'file_events', entity: '/etc/cron.d/backup', event: [{ name: 'target_path', value: '/etc/cron.d/backup' }, { name: 'action', value: 'UPDATED' }, { name: 'pid', value: 991 }, { name: 'size', value: 213 }], attack: ['T1053.003'], status: 'acknowledged', last_seen: at(9100) }),
  alert(hosts[4], 'SSH key added to root', 'high', null, [], { table: 'file_events', entity: '/root/.ssh/authorized_keys', event: [{ name: 'target_path', value: '/root/.ssh/authorized_keys' }, { name: 'action', value: 'UPDATED' }], attack: ['T1098.004'], last_seen: at(15_100) }),
  alert(hosts[0], 'Encoded PowerShell command', 'low', proc(7001, 1, 'pwsh', '/opt/microsoft/pwsh', 'pwsh -EncodedCommand SQBFAFgA'), [sshd[1]], { attack: ['T1059.001'], last_seen: at(30_000) }),
  alert(hosts[3], 'New listening port', 'informational', null, [], { table: 'connections', entity: 'tcp 0.0.0.0:4444', event: [{ name: 'local_port', value: 4444 }], status: 'closed', attack: [], last_seen: at(80_000) }),
]

const column = (name, type, doc, more = {}) => ({ name, type, doc, ...more })
export const tables = [
  { name: 'processes', doc: 'All running processes.', platforms: ['linux', 'windows'], class: 'inventory', examples: ['SELECT pid, name, path FROM processes WHERE on_disk = 0'], columns: [column('pid', 'BIGINT', 'Process (or thread) id.', { index: true }), column('name', 'TEXT', 'The process path or shorthand argv[0].'), column('path', 'TEXT', 'Path to executed binary.'), column('cmdline', 'TEXT', 'Complete argv.'), column('state', 'TEXT', 'Process state.'), column('parent', 'BIGINT', 'Parent pid.'), column('uid', 'BIGINT', 'Unsigned user id.'), column('start_time', 'BIGINT', 'Start in seconds since the epoch.'), column('on_disk', 'INTEGER', 'The executable still exists: 1, else 0.'), column('resident_size', 'BIGINT', 'Bytes of private memory.')] },
  { name: 'process_events', doc: 'Executed and ended programs.', platforms: ['linux'], class: 'inventory', evented: true, examples: ['SELECT time, pid, cmdline FROM process_events ORDER BY time DESC LIMIT 100'], columns: [column('time', 'BIGINT', 'Time of the event.'), column('pid', 'BIGINT', 'Process id.'), column('path', 'TEXT', 'Path.'), column('cmdline', 'TEXT', 'Arguments.'), column('parent', 'BIGINT', 'Parent pid.')] },
  { name: 'connections', doc: 'Open network connections with the process that holds each.', platforms: ['linux', 'windows'], class: 'network', columns: [column('pid', 'BIGINT', 'Process id.'), column('local_address', 'TEXT', 'Local address.'), column('local_port', 'INTEGER', 'Local port.'), column('remote_address', 'TEXT', 'Remote address.'), column('remote_port', 'INTEGER', 'Remote port.'), column('state', 'TEXT', 'TCP state.')] },
  { name: 'file_events', doc: 'Changes of watched files.', platforms: ['linux'], class: 'content', evented: true, columns: [column('target_path', 'TEXT', 'The path.'), column('action', 'TEXT', 'What happened.'), column('pid', 'BIGINT', 'Who did it.'), column('time', 'BIGINT', 'When.')] },
  ...['users', 'os_version', 'system_info', 'scheduled_tasks', 'time', 'edr_info', 'edr_schedule', 'edr_sensors', 'registry', 'windows_events'].map((name) => ({ name, doc: `The ${name} table.`, platforms: ['linux'], class: 'inventory', columns: [column('name', 'TEXT', 'Name.')] })),
]

const rule = (id, name, severity, conditions, more = {}) => ({ id, name, description: `${name}, as seen after most break-ins.`, type: 'process', severity, enabled: true, conditions, match: 'any', actions: ['alert'], attack: ['T1496'], version: `${id}-7719f0ab34`, approved: null, source: 'builtin', platform: ['linux'], ...more })
export const rules = [
  rule('edr-miner-name', 'Known cryptocurrency miner started', 'critical', ["name in ['xmrig', 'minerd', 'kinsing']", "command matches '(?i)stratum\\+(tcp|ssl)://'"], { actions: ['alert', 'terminate_process'] }),
  rule('edr-web-shell', 'Web server started a shell', 'high', ["parent_name in ['nginx','apache2'] and name in ['sh','bash','dash']"], { attack: ['T1190', 'T1505.003'], actions: ['alert', 'terminate_process'], approved: { by: 'maria', time: at(90_000) } }),
  rule('edr-tmp-exec', 'Program run from a temporary folder', 'medium', ["path startswith '/tmp/' or path startswith '/var/tmp/'"], { attack: ['T1036.005'] }),
  rule('edr-task-changed', 'Scheduled task changed', 'medium', ["path startswith '/etc/cron.'"], { type: 'file', attack: ['T1053.003'], enabled: false }),
]
export const packs = [{ name: 'incident-response', platform: 'linux', queries: [
  { name: 'listening', sql: 'SELECT pid, local_address, local_port FROM connections WHERE state = \'LISTEN\'', interval: 300, description: 'What listens, and who.' },
  { name: 'deleted_binaries', sql: 'SELECT pid, name, path, cmdline FROM processes WHERE on_disk = 0', interval: 60, description: 'Processes whose program is gone from disk.', severity: 'high' },
  { name: 'users', sql: 'SELECT * FROM users', interval: 3600, snapshot: true },
  { name: 'tmp_listeners', sql: "SELECT p.pid, p.path FROM processes p JOIN listening_ports l USING (pid) WHERE p.path LIKE '/tmp/%'", interval: 60, severity: 'high', actions: ['alert', 'terminate_process'], version: 'q1', approved: null, needs_approval: true },
] }]
export const users = [
  { name: 'admin', role: 'admin', classes: ['inventory', 'personal', 'secret', 'content', 'network'], last_login: at(20) },
  { name: 'maria', role: 'responder', classes: ['inventory', 'personal', 'content', 'network'], last_login: at(90_000) },
  { name: 'viewer', role: 'viewer', classes: ['inventory'], last_login: '0001-01-01T00:00:00Z' },
]
export const audit = Array.from({ length: 30 }, (_, i) => ({ id: 3000 - i, time: at(60 * i + 5), user: i % 3 ? 'admin' : 'maria', address: '10.20.0.7', action: ['login', 'query.run', 'alert.acknowledge', 'response.ask'][i % 4], object: ['', 'q-19', '104', 'r-77'][i % 4], detail: i % 4 === 1 ? 'SELECT pid, name FROM processes' : '' }))
