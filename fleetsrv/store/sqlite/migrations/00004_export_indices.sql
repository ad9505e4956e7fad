-- +goose Up
-- A sink that is away for days leaves a long journal: what is counted and
-- pruned of it must not read its texts.
CREATE INDEX export_journal_tenant ON export_journal (tenant);
CREATE INDEX export_journal_received ON export_journal (tenant, received);
