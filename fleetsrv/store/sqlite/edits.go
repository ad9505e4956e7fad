package sqlite

import (
	"context"
	"fmt"

	"github.com/aiedr/edr/fleetsrv/store"
)

// AddRules implements store.ContentEdits.
func (d *DB) AddRules(ctx context.Context, sc store.Scope, rules []store.Rule) error {
	return d.write.do(ctx, func(t *tx) error {
		for _, r := range rules {
			if err := t.addRule(sc, r); err != nil {
				return wrap("add rule "+r.ID, err)
			}
		}
		return nil
	})
}

// DeleteRule implements store.ContentEdits.
func (d *DB) DeleteRule(ctx context.Context, sc store.Scope, id string) error {
	return wrap("delete rule "+id, d.write.do(ctx, func(t *tx) error {
		return mustChange(t.changed("DELETE FROM rules WHERE tenant = ? AND id = ?", sc.Tenant, id))
	}))
}

// TargetRule implements store.ContentEdits.
func (d *DB) TargetRule(ctx context.Context, sc store.Scope, id string, groups []string) error {
	return wrap("give rule "+id+" to groups", d.write.do(ctx, func(t *tx) error {
		return mustChange(t.changed("UPDATE rules SET targets = ?, approved_version = '', approved_by = '', approved_at = 0 WHERE tenant = ? AND id = ?",
			targets(groups), sc.Tenant, id))
	}))
}

// Pack implements store.ContentEdits.
func (d *DB) Pack(ctx context.Context, sc store.Scope, name string) (store.Pack, error) {
	p, err := scanPack(d.read.QueryRowContext(ctx, "SELECT "+packColumns+" FROM packs WHERE tenant = ? AND name = ?", sc.Tenant, name))
	return p, wrap("read pack "+name, err)
}

// AddPacks implements store.ContentEdits.
func (d *DB) AddPacks(ctx context.Context, sc store.Scope, packs []store.Pack) error {
	return d.write.do(ctx, func(t *tx) error {
		for _, p := range packs {
			if err := t.exec("INSERT INTO packs (tenant, name, source, text, written, enabled, targets) VALUES (?,?,?,?,?,?,?)",
				sc.Tenant, p.Name, p.Source, string(p.Text), p.Written, !p.Disabled, targets(p.Targets)); err != nil {
				return wrap("add pack "+p.Name, err)
			}
		}
		return nil
	})
}

// DeletePack implements store.ContentEdits.
func (d *DB) DeletePack(ctx context.Context, sc store.Scope, name string) error {
	return wrap("delete pack "+name, d.write.do(ctx, func(t *tx) error {
		if err := mustChange(t.changed("DELETE FROM packs WHERE tenant = ? AND name = ?", sc.Tenant, name)); err != nil {
			return err
		}
		return t.exec("DELETE FROM pack_approvals WHERE tenant = ? AND pack = ?", sc.Tenant, name)
	}))
}

// EnablePack implements store.ContentEdits.
func (d *DB) EnablePack(ctx context.Context, sc store.Scope, name string, on bool) error {
	return wrap("switch pack "+name, d.write.do(ctx, func(t *tx) error {
		return mustChange(t.changed("UPDATE packs SET enabled = ? WHERE tenant = ? AND name = ?", on, sc.Tenant, name))
	}))
}

// TargetPack implements store.ContentEdits.
func (d *DB) TargetPack(ctx context.Context, sc store.Scope, name string, groups []string) error {
	return wrap("give pack "+name+" to groups", d.write.do(ctx, func(t *tx) error {
		if err := mustChange(t.changed("UPDATE packs SET targets = ? WHERE tenant = ? AND name = ?", targets(groups), sc.Tenant, name)); err != nil {
			return err
		}
		return t.exec("DELETE FROM pack_approvals WHERE tenant = ? AND pack = ?", sc.Tenant, name)
	}))
}

// ApprovePackQuery implements store.ContentEdits.
func (d *DB) ApprovePackQuery(ctx context.Context, sc store.Scope, a store.PackApproval) error {
	return wrap(fmt.Sprintf("approve query %s of pack %s", a.Query, a.Pack), d.write.do(ctx, func(t *tx) error {
		var there int
		if found, err := t.get("SELECT 1 FROM packs WHERE tenant = ? AND name = ?", []any{sc.Tenant, a.Pack}, &there); err != nil {
			return err
		} else if !found {
			return store.ErrNotFound
		}
		return t.exec(`INSERT INTO pack_approvals (tenant, pack, query, version, by_user, at) VALUES (?,?,?,?,?,?)
			ON CONFLICT (tenant, pack, query) DO UPDATE SET version = excluded.version, by_user = excluded.by_user, at = excluded.at`,
			sc.Tenant, a.Pack, a.Query, a.Version, a.By, ns(a.At))
	}))
}

// UnapprovePackQuery implements store.ContentEdits.
func (d *DB) UnapprovePackQuery(ctx context.Context, sc store.Scope, pack, query string) error {
	return wrap(fmt.Sprintf("withdraw the approval of query %s of pack %s", query, pack), d.write.do(ctx, func(t *tx) error {
		return t.exec("DELETE FROM pack_approvals WHERE tenant = ? AND pack = ? AND query = ?", sc.Tenant, pack, query)
	}))
}

// PackApprovals implements store.ContentEdits.
func (d *DB) PackApprovals(ctx context.Context, sc store.Scope) ([]store.PackApproval, error) {
	const what = "list the approvals of packs' queries"
	rows, err := d.read.QueryContext(ctx, "SELECT pack, query, version, by_user, at FROM pack_approvals WHERE tenant = ? ORDER BY pack, query", sc.Tenant)
	if err != nil {
		return nil, wrap(what, err)
	}
	defer rows.Close()
	var out []store.PackApproval
	for rows.Next() {
		var a store.PackApproval
		var at int64
		if err := rows.Scan(&a.Pack, &a.Query, &a.Version, &a.By, &at); err != nil {
			return nil, wrap(what, err)
		}
		a.At = when(at)
		out = append(out, a)
	}
	return out, wrap(what, rows.Err())
}
