-- +goose Up
CREATE TABLE groups (
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  description TEXT NOT NULL,
  match TEXT NOT NULL,
  conditions TEXT NOT NULL,
  priority INTEGER NOT NULL,
  settings TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, name)
) WITHOUT ROWID;
CREATE INDEX host_groups_grp ON host_groups (grp, host);

ALTER TABLE rules ADD COLUMN targets TEXT NOT NULL DEFAULT '["all"]';
-- As a person typed it; empty where it came from elsewhere.
ALTER TABLE rules ADD COLUMN written TEXT NOT NULL DEFAULT '';
ALTER TABLE packs ADD COLUMN enabled INTEGER NOT NULL DEFAULT 1;
ALTER TABLE packs ADD COLUMN targets TEXT NOT NULL DEFAULT '["all"]';
ALTER TABLE packs ADD COLUMN written TEXT NOT NULL DEFAULT '';
CREATE TABLE pack_approvals (
  tenant TEXT NOT NULL,
  pack TEXT NOT NULL,
  query TEXT NOT NULL,
  version TEXT NOT NULL,
  by_user TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (tenant, pack, query)
) WITHOUT ROWID;

-- A configuration is known by its content: the same content has the same
-- serial, and a new one has a serial above all before.
CREATE TABLE config_serials (
  tenant TEXT NOT NULL,
  hash TEXT NOT NULL,
  serial INTEGER NOT NULL,
  PRIMARY KEY (tenant, hash)
) WITHOUT ROWID;

ALTER TABLE alerts ADD COLUMN assignee TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN verdict TEXT NOT NULL DEFAULT '';
CREATE INDEX alerts_first ON alerts (tenant, first_seen);
CREATE INDEX alerts_host_status ON alerts (host, status);
CREATE TABLE alert_notes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  alert INTEGER NOT NULL,
  by_user TEXT NOT NULL,
  time INTEGER NOT NULL,
  text TEXT NOT NULL
);
CREATE INDEX alert_notes_alert ON alert_notes (alert);

-- Each hit whole; table hits knows only that it came.
CREATE TABLE alert_hits (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  host TEXT NOT NULL,
  hit TEXT NOT NULL,
  alert INTEGER NOT NULL,
  rule TEXT NOT NULL,
  severity TEXT NOT NULL,
  time INTEGER NOT NULL,
  received INTEGER NOT NULL,
  body TEXT NOT NULL
);
CREATE INDEX alert_hits_time ON alert_hits (tenant, time);
CREATE INDEX alert_hits_host ON alert_hits (host, time);
CREATE INDEX alert_hits_alert ON alert_hits (alert, time);
CREATE INDEX result_batches_time ON result_batches (tenant, time);
CREATE INDEX result_batches_host_time ON result_batches (host, time);
-- Events that a person has handled; kind is hit or result.
CREATE TABLE event_marks (
  tenant TEXT NOT NULL,
  kind TEXT NOT NULL,
  id INTEGER NOT NULL,
  by_user TEXT NOT NULL,
  at INTEGER NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY (tenant, kind, id)
) WITHOUT ROWID;
CREATE INDEX export_journal_batch ON export_journal (batch) WHERE batch > 0;
