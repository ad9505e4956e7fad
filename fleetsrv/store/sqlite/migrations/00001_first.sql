-- +goose Up
-- Times are nanoseconds since the Unix epoch, 0 for none.
CREATE TABLE hosts (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  state TEXT NOT NULL,
  hostname TEXT NOT NULL DEFAULT '',
  uuid TEXT NOT NULL DEFAULT '',
  details TEXT NOT NULL DEFAULT '{}',
  address TEXT NOT NULL DEFAULT '',
  public_key BLOB NOT NULL,
  fingerprint TEXT NOT NULL UNIQUE,
  enrolment TEXT NOT NULL DEFAULT '',
  enrolled_at INTEGER NOT NULL,
  last_seen INTEGER NOT NULL DEFAULT 0,
  labels TEXT NOT NULL DEFAULT '[]',
  health TEXT,
  serial INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX hosts_tenant ON hosts (tenant, hostname);

CREATE TABLE host_groups (
  host TEXT NOT NULL,
  grp TEXT NOT NULL,
  PRIMARY KEY (host, grp)
) WITHOUT ROWID;

CREATE TABLE problems (
  host TEXT NOT NULL,
  source TEXT NOT NULL,
  error TEXT NOT NULL,
  count INTEGER NOT NULL,
  time INTEGER NOT NULL,
  PRIMARY KEY (host, source, error)
) WITHOUT ROWID;

CREATE TABLE enrolments (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  hash BLOB NOT NULL UNIQUE,
  note TEXT NOT NULL,
  by_user TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  uses INTEGER NOT NULL,
  used INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE received (
  host TEXT NOT NULL,
  outbox TEXT NOT NULL,
  number INTEGER NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (host, outbox, number, hash)
) WITHOUT ROWID;

CREATE TABLE outboxes (
  host TEXT NOT NULL,
  outbox TEXT NOT NULL,
  contiguous INTEGER NOT NULL,
  PRIMARY KEY (host, outbox)
) WITHOUT ROWID;

CREATE TABLE gaps (
  host TEXT NOT NULL,
  outbox TEXT NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (host, outbox, first, last)
) WITHOUT ROWID;

CREATE TABLE result_batches (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  host TEXT NOT NULL,
  query TEXT NOT NULL,
  pack TEXT NOT NULL,
  time INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  columns TEXT NOT NULL,
  classes INTEGER NOT NULL
);
CREATE INDEX result_batches_host ON result_batches (host, query);
CREATE INDEX result_batches_query ON result_batches (query);

CREATE TABLE results (
  id INTEGER PRIMARY KEY,
  batch INTEGER NOT NULL,
  action INTEGER NOT NULL,
  cells TEXT NOT NULL
);
CREATE INDEX results_batch ON results (batch);

CREATE TABLE alerts (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  host TEXT NOT NULL,
  hit TEXT NOT NULL,
  rule TEXT NOT NULL,
  rule_name TEXT NOT NULL,
  rule_version TEXT NOT NULL,
  pack TEXT NOT NULL,
  severity TEXT NOT NULL,
  title TEXT NOT NULL,
  description TEXT NOT NULL,
  attack TEXT NOT NULL,
  status TEXT NOT NULL,
  count INTEGER NOT NULL,
  first_seen INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  event_table TEXT NOT NULL,
  entity TEXT NOT NULL,
  event TEXT NOT NULL,
  process TEXT,
  ancestry TEXT NOT NULL,
  actions TEXT NOT NULL
);
CREATE INDEX alerts_order ON alerts (last_seen DESC, id DESC);
CREATE INDEX alerts_same ON alerts (host, rule, entity, last_seen);
CREATE INDEX alerts_status ON alerts (status, severity);

CREATE TABLE hits (
  host TEXT NOT NULL,
  hit TEXT NOT NULL,
  alert INTEGER NOT NULL,
  PRIMARY KEY (host, hit)
) WITHOUT ROWID;

CREATE TABLE responses (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  host TEXT NOT NULL,
  action TEXT NOT NULL,
  args TEXT NOT NULL,
  by_user TEXT NOT NULL,
  reason TEXT NOT NULL,
  dry_run INTEGER NOT NULL,
  alert INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  state TEXT NOT NULL,
  plan TEXT NOT NULL DEFAULT '',
  seen TEXT NOT NULL DEFAULT '',
  error TEXT NOT NULL DEFAULT '',
  undo TEXT,
  finished_at INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX responses_host ON responses (host, state);
CREATE INDEX responses_alert ON responses (alert);
CREATE INDEX responses_state ON responses (state, expires_at);

CREATE TABLE queries (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  statement TEXT NOT NULL,
  by_user TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  deadline_at INTEGER NOT NULL,
  max_rows INTEGER NOT NULL,
  classes TEXT NOT NULL,
  by_classes TEXT NOT NULL,
  done INTEGER NOT NULL DEFAULT 0,
  stopped INTEGER NOT NULL DEFAULT 0,
  columns TEXT NOT NULL DEFAULT '[]',
  next_seq INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX queries_order ON queries (created_at DESC);

CREATE TABLE query_hosts (
  query TEXT NOT NULL,
  host TEXT NOT NULL,
  state TEXT NOT NULL,
  rows INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  warnings TEXT NOT NULL DEFAULT '[]',
  truncated INTEGER NOT NULL DEFAULT 0,
  wall_ns INTEGER NOT NULL DEFAULT 0,
  cpu_ns INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (query, host)
) WITHOUT ROWID;
CREATE INDEX query_hosts_host ON query_hosts (host, state);

-- One row a part: row i of it has the sequence first + i.
CREATE TABLE query_parts (
  query TEXT NOT NULL,
  first INTEGER NOT NULL,
  host TEXT NOT NULL,
  part INTEGER NOT NULL,
  n INTEGER NOT NULL,
  columns TEXT NOT NULL,
  cells TEXT NOT NULL,
  PRIMARY KEY (query, host, part)
);
CREATE INDEX query_parts_order ON query_parts (query, first);

CREATE TABLE users (
  name TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  hash TEXT NOT NULL,
  role TEXT NOT NULL,
  classes TEXT NOT NULL,
  groups TEXT NOT NULL,
  must_change INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  last_login INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE sessions (
  hash BLOB PRIMARY KEY,
  user TEXT NOT NULL,
  csrf TEXT NOT NULL,
  address TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions (user);

CREATE TABLE tokens (
  hash BLOB PRIMARY KEY,
  user TEXT NOT NULL,
  note TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tokens_user ON tokens (user);

CREATE TABLE rules (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  source TEXT NOT NULL,
  text TEXT NOT NULL,
  version TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  approved_version TEXT NOT NULL DEFAULT '',
  approved_by TEXT NOT NULL DEFAULT '',
  approved_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

CREATE TABLE packs (
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  source TEXT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (tenant, name)
) WITHOUT ROWID;

CREATE TABLE settings (
  tenant TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (tenant, key)
) WITHOUT ROWID;

CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  time INTEGER NOT NULL,
  user TEXT NOT NULL,
  address TEXT NOT NULL,
  action TEXT NOT NULL,
  object TEXT NOT NULL,
  detail TEXT NOT NULL
);
-- +goose StatementBegin
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
-- +goose StatementEnd
