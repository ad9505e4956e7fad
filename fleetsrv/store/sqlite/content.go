package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
)

// PutRule implements store.Content.
func (d *DB) PutRule(ctx context.Context, sc store.Scope, r store.Rule) (bool, error) {
	var changed bool
	err := d.write.do(ctx, func(t *tx) error {
		changed = false
		var version, source, written string
		found, err := t.get("SELECT version, source, written FROM rules WHERE tenant = ? AND id = ?", []any{sc.Tenant, r.ID}, &version, &source, &written)
		if err != nil {
			return err
		}
		if !found {
			changed = true
			return t.addRule(sc, r)
		}
		if version == r.Version && source == r.Source {
			if written == r.Written {
				return nil
			}
			return t.exec("UPDATE rules SET written = ? WHERE tenant = ? AND id = ?", r.Written, sc.Tenant, r.ID)
		}
		changed = true
		// An edit never keeps the approval of what was before it.
		return t.exec(`UPDATE rules SET source = ?, text = ?, version = ?, written = ?, approved_version = '', approved_by = '', approved_at = 0
			WHERE tenant = ? AND id = ?`, r.Source, string(r.Text), r.Version, r.Written, sc.Tenant, r.ID)
	})
	return changed, wrap("keep rule "+r.ID, err)
}

func (t *tx) addRule(sc store.Scope, r store.Rule) error {
	return t.exec("INSERT INTO rules (tenant, id, source, text, version, enabled, targets, written) VALUES (?,?,?,?,?,?,?,?)",
		sc.Tenant, r.ID, r.Source, string(r.Text), r.Version, r.Enabled, targets(r.Targets), r.Written)
}

// targets are groups as they are kept: nil is all.
func targets(groups []string) string {
	if groups == nil {
		groups = []string{store.GroupAll}
	}
	return js(groups)
}

const ruleColumns = "id, source, text, version, enabled, approved_version, approved_by, approved_at, targets, written"

func scanRule(s scanner) (store.Rule, error) {
	var r store.Rule
	var text, approved, groups string
	var at int64
	if err := s.Scan(&r.ID, &r.Source, &text, &r.Version, &r.Enabled, &approved, &r.ApprovedBy, &at, &groups, &r.Written); err != nil {
		return r, err
	}
	r.Text, r.ApprovedAt = []byte(text), when(at)
	if approved != r.Version {
		r.ApprovedBy, r.ApprovedAt = "", time.Time{}
	}
	return r, unjs("groups of a rule", groups, &r.Targets)
}

// ListRules implements store.Content.
func (d *DB) ListRules(ctx context.Context, sc store.Scope) ([]store.Rule, error) {
	rows, err := d.read.QueryContext(ctx, "SELECT "+ruleColumns+" FROM rules WHERE tenant = ? ORDER BY id", sc.Tenant)
	if err != nil {
		return nil, wrap("list rules", err)
	}
	defer rows.Close()
	var out []store.Rule
	for rows.Next() {
		r, err := scanRule(rows)
		if err != nil {
			return nil, wrap("list rules", err)
		}
		out = append(out, r)
	}
	return out, wrap("list rules", rows.Err())
}

// Rule implements store.Content.
func (d *DB) Rule(ctx context.Context, sc store.Scope, id string) (store.Rule, error) {
	r, err := scanRule(d.read.QueryRowContext(ctx, "SELECT "+ruleColumns+" FROM rules WHERE tenant = ? AND id = ?", sc.Tenant, id))
	return r, wrap("read rule "+id, err)
}

// EnableRule implements store.Content.
func (d *DB) EnableRule(ctx context.Context, sc store.Scope, id string, on bool) error {
	return wrap("switch rule "+id, d.write.do(ctx, func(t *tx) error {
		return mustChange(t.changed("UPDATE rules SET enabled = ? WHERE tenant = ? AND id = ?", on, sc.Tenant, id))
	}))
}

// ApproveRule implements store.Content.
func (d *DB) ApproveRule(ctx context.Context, sc store.Scope, id, version, by string, at time.Time) error {
	return wrap("approve rule "+id, d.write.do(ctx, func(t *tx) error {
		n, err := t.changed("UPDATE rules SET approved_version = version, approved_by = ?, approved_at = ? WHERE tenant = ? AND id = ? AND version = ?",
			by, ns(at), sc.Tenant, id, version)
		if err != nil || n > 0 {
			return err
		}
		var there int
		found, err := t.get("SELECT 1 FROM rules WHERE tenant = ? AND id = ?", []any{sc.Tenant, id}, &there)
		if err == nil {
			err = store.ErrNotFound
			if found {
				err = store.ErrConflict
			}
		}
		return err
	}))
}

// UnapproveRule implements store.Content.
func (d *DB) UnapproveRule(ctx context.Context, sc store.Scope, id string) error {
	return wrap("withdraw the approval of rule "+id, d.write.do(ctx, func(t *tx) error {
		return mustChange(t.changed("UPDATE rules SET approved_version = '', approved_by = '', approved_at = 0 WHERE tenant = ? AND id = ?", sc.Tenant, id))
	}))
}

// PutPack implements store.Content.
func (d *DB) PutPack(ctx context.Context, sc store.Scope, p store.Pack) (bool, error) {
	var n int64
	err := d.write.do(ctx, func(t *tx) (err error) {
		// An edit never keeps the approvals of what was before it.
		if err := t.exec("DELETE FROM pack_approvals WHERE tenant = ? AND pack = ? AND EXISTS (SELECT 1 FROM packs WHERE tenant = ? AND name = ? AND text <> ?)",
			sc.Tenant, p.Name, sc.Tenant, p.Name, string(p.Text)); err != nil {
			return err
		}
		n, err = t.changed(`INSERT INTO packs (tenant, name, source, text, written, enabled, targets) VALUES (?,?,?,?,?,?,?) ON CONFLICT (tenant, name)
			DO UPDATE SET source = excluded.source, text = excluded.text, written = excluded.written
			WHERE source <> excluded.source OR text <> excluded.text OR written <> excluded.written`,
			sc.Tenant, p.Name, p.Source, string(p.Text), p.Written, !p.Disabled, targets(p.Targets))
		return err
	})
	return n > 0, wrap("keep pack "+p.Name, err)
}

const packColumns = "name, source, text, NOT enabled, targets, written"

func scanPack(s scanner) (store.Pack, error) {
	var p store.Pack
	var text, groups string
	if err := s.Scan(&p.Name, &p.Source, &text, &p.Disabled, &groups, &p.Written); err != nil {
		return p, err
	}
	p.Text = []byte(text)
	return p, unjs("groups of a pack", groups, &p.Targets)
}

// ListPacks implements store.Content.
func (d *DB) ListPacks(ctx context.Context, sc store.Scope) ([]store.Pack, error) {
	rows, err := d.read.QueryContext(ctx, "SELECT "+packColumns+" FROM packs WHERE tenant = ? ORDER BY name", sc.Tenant)
	if err != nil {
		return nil, wrap("list packs", err)
	}
	defer rows.Close()
	var out []store.Pack
	for rows.Next() {
		p, err := scanPack(rows)
		if err != nil {
			return nil, wrap("list packs", err)
		}
		out = append(out, p)
	}
	return out, wrap("list packs", rows.Err())
}

// RetainContent implements store.Content.
func (d *DB) RetainContent(ctx context.Context, sc store.Scope, source string, rules, packs []string) error {
	return wrap("drop content that is no more", d.write.do(ctx, func(t *tx) error {
		if err := t.exec("DELETE FROM rules WHERE tenant = ? AND source = ? AND id NOT IN (SELECT value FROM json_each(?))", sc.Tenant, source, list(rules)); err != nil {
			return err
		}
		return t.exec("DELETE FROM packs WHERE tenant = ? AND source = ? AND name NOT IN (SELECT value FROM json_each(?))", sc.Tenant, source, list(packs))
	}))
}

// Setting implements store.Content.
func (d *DB) Setting(ctx context.Context, sc store.Scope, key string) (string, error) {
	var v string
	err := d.read.QueryRowContext(ctx, "SELECT value FROM settings WHERE tenant = ? AND key = ?", sc.Tenant, key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, wrap("read setting "+key, err)
}

// SetSetting implements store.Content.
func (d *DB) SetSetting(ctx context.Context, sc store.Scope, key, value string) error {
	return wrap("keep setting "+key, d.write.do(ctx, func(t *tx) error {
		return t.exec("INSERT INTO settings (tenant, key, value) VALUES (?,?,?) ON CONFLICT (tenant, key) DO UPDATE SET value = excluded.value", sc.Tenant, key, value)
	}))
}
