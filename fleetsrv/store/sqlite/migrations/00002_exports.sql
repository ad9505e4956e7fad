-- +goose Up
-- What flows out, in the order of keeping. A hit or outcome stands in body; a
-- result names its batch. AUTOINCREMENT, so that a sequence is never used
-- again after its record was pruned.
CREATE TABLE export_journal (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  host TEXT NOT NULL,
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  received INTEGER NOT NULL,
  body TEXT NOT NULL DEFAULT '',
  batch INTEGER NOT NULL DEFAULT 0
);

-- One row a sink; last is the row of record seq that was done last.
CREATE TABLE export_cursors (
  tenant TEXT NOT NULL,
  sink TEXT NOT NULL,
  seq INTEGER NOT NULL,
  last INTEGER NOT NULL,
  sent INTEGER NOT NULL DEFAULT 0,
  dead INTEGER NOT NULL DEFAULT 0,
  withheld INTEGER NOT NULL DEFAULT 0,
  missed INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  moved_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, sink)
) WITHOUT ROWID;
