package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/aiedr/edr/fleetsrv/store"
)

// mayGroup says whether the scope reaches a group.
func mayGroup(sc store.Scope, name string) bool {
	if sc.All() {
		return true
	}
	for _, g := range sc.Groups {
		if g == name {
			return true
		}
	}
	return false
}

// AddGroup implements store.Groups.
func (d *DB) AddGroup(ctx context.Context, sc store.Scope, g store.Group) error {
	what := "add group " + g.Name
	if !mayGroup(sc, g.Name) {
		return fmt.Errorf("%s: %w", what, store.ErrNotFound)
	}
	return wrap(what, d.write.do(ctx, func(t *tx) error {
		return t.exec(`INSERT INTO groups (tenant, name, kind, description, match, conditions, priority, settings, created_at, updated_at)
			VALUES (?,?,?,?,?,?,?,?,?,?)`, sc.Tenant, g.Name, g.Kind, g.Description, matchName(g.MatchAny), list(g.Conditions),
			g.Priority, js(g.Settings), ns(g.CreatedAt), ns(g.UpdatedAt))
	}))
}

func matchName(any bool) string {
	if any {
		return "any"
	}
	return "all"
}

// UpdateGroup implements store.Groups.
func (d *DB) UpdateGroup(ctx context.Context, sc store.Scope, g store.Group) error {
	what := "change group " + g.Name
	if !mayGroup(sc, g.Name) {
		return fmt.Errorf("%s: %w", what, store.ErrNotFound)
	}
	return wrap(what, d.write.do(ctx, func(t *tx) error {
		return mustChange(t.changed(`UPDATE groups SET description = ?, match = ?, conditions = ?, priority = ?, settings = ?, updated_at = ?
			WHERE tenant = ? AND name = ?`, g.Description, matchName(g.MatchAny), list(g.Conditions), g.Priority, js(g.Settings),
			ns(g.UpdatedAt), sc.Tenant, g.Name))
	}))
}

const groupColumns = `g.name, g.kind, g.description, g.match, g.conditions, g.priority, g.settings, g.created_at, g.updated_at,
	(SELECT count(*) FROM host_groups m JOIN hosts h ON h.id = m.host WHERE m.grp = g.name AND h.tenant = g.tenant AND h.state <> 'removed')`

func scanGroup(s scanner) (store.Group, error) {
	var g store.Group
	var match, conditions, settings string
	var created, updated int64
	if err := s.Scan(&g.Name, &g.Kind, &g.Description, &match, &conditions, &g.Priority, &settings, &created, &updated, &g.HostCount); err != nil {
		return g, err
	}
	g.MatchAny, g.CreatedAt, g.UpdatedAt = match == "any", when(created), when(updated)
	if err := unjs("conditions of a group", conditions, &g.Conditions); err != nil {
		return g, err
	}
	return g, unjs("settings of a group", settings, &g.Settings)
}

// Group implements store.Groups.
func (d *DB) Group(ctx context.Context, sc store.Scope, name string) (store.Group, error) {
	what := "read group " + name
	if !mayGroup(sc, name) {
		return store.Group{}, fmt.Errorf("%s: %w", what, store.ErrNotFound)
	}
	g, err := scanGroup(d.read.QueryRowContext(ctx, "SELECT "+groupColumns+" FROM groups g WHERE g.tenant = ? AND g.name = ?", sc.Tenant, name))
	return g, wrap(what, err)
}

// ListGroups implements store.Groups.
func (d *DB) ListGroups(ctx context.Context, sc store.Scope) ([]store.Group, error) {
	rows, err := d.read.QueryContext(ctx, "SELECT "+groupColumns+" FROM groups g WHERE g.tenant = ? ORDER BY g.name", sc.Tenant)
	if err != nil {
		return nil, wrap("list groups", err)
	}
	defer rows.Close()
	var out []store.Group
	for rows.Next() {
		g, err := scanGroup(rows)
		if err != nil {
			return nil, wrap("list groups", err)
		}
		if mayGroup(sc, g.Name) {
			out = append(out, g)
		}
	}
	return out, wrap("list groups", rows.Err())
}

// DeleteGroup implements store.Groups.
func (d *DB) DeleteGroup(ctx context.Context, sc store.Scope, name string) error {
	what := "delete group " + name
	if !mayGroup(sc, name) {
		return fmt.Errorf("%s: %w", what, store.ErrNotFound)
	}
	return wrap(what, d.write.do(ctx, func(t *tx) error {
		for _, q := range []string{
			"SELECT count(*) FROM rules, json_each(rules.targets) WHERE tenant = ? AND value = ?",
			"SELECT count(*) FROM packs, json_each(packs.targets) WHERE tenant = ? AND value = ?",
			"SELECT count(*) FROM users, json_each(users.groups) WHERE tenant = ? AND value = ?",
		} {
			var n int
			if _, err := t.get(q, []any{sc.Tenant, name}, &n); err != nil {
				return err
			}
			if n > 0 {
				return store.ErrConflict
			}
		}
		if err := mustChange(t.changed("DELETE FROM groups WHERE tenant = ? AND name = ?", sc.Tenant, name)); err != nil {
			return err
		}
		return t.exec("DELETE FROM host_groups WHERE grp = ? AND host IN (SELECT id FROM hosts WHERE tenant = ?)", name, sc.Tenant)
	}))
}

// Members implements store.Groups.
func (d *DB) Members(ctx context.Context, sc store.Scope, name string) ([]string, error) {
	what := "list the hosts of group " + name
	if !mayGroup(sc, name) {
		return nil, fmt.Errorf("%s: %w", what, store.ErrNotFound)
	}
	return d.texts(ctx, what, `SELECT h.id FROM host_groups m JOIN hosts h ON h.id = m.host
		WHERE m.grp = ? AND h.tenant = ? AND h.state <> 'removed' ORDER BY h.id`, name, sc.Tenant)
}

// SetMembers implements store.Groups.
func (d *DB) SetMembers(ctx context.Context, sc store.Scope, name string, hosts []string) error {
	what := "set the hosts of group " + name
	if !mayGroup(sc, name) {
		return fmt.Errorf("%s: %w", what, store.ErrNotFound)
	}
	return wrap(what, d.write.do(ctx, func(t *tx) error {
		if err := t.exec("DELETE FROM host_groups WHERE grp = ? AND host IN (SELECT id FROM hosts WHERE tenant = ?)", name, sc.Tenant); err != nil {
			return err
		}
		return t.join(sc, name, hosts)
	}))
}

// join puts hosts of the scope into a group.
func (t *tx) join(sc store.Scope, name string, hosts []string) error {
	cond, args := inScope(sc, "tenant", "id")
	for _, h := range hosts {
		var there int
		found, err := t.get("SELECT 1 FROM hosts WHERE id = ? AND state <> 'removed' AND "+cond, append([]any{h}, args...), &there)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("host %s: %w", h, store.ErrNotFound)
		}
		if err := t.exec("INSERT OR IGNORE INTO host_groups (host, grp) VALUES (?,?)", h, name); err != nil {
			return err
		}
	}
	return nil
}

// ChangeMembers implements store.Groups.
func (d *DB) ChangeMembers(ctx context.Context, sc store.Scope, name string, add, remove []string) error {
	what := "change the hosts of group " + name
	if !mayGroup(sc, name) {
		return fmt.Errorf("%s: %w", what, store.ErrNotFound)
	}
	return wrap(what, d.write.do(ctx, func(t *tx) error {
		for _, h := range remove {
			if err := t.exec("DELETE FROM host_groups WHERE grp = ? AND host = ? AND host IN (SELECT id FROM hosts WHERE tenant = ?)", name, h, sc.Tenant); err != nil {
				return err
			}
		}
		return t.join(sc, name, add)
	}))
}

// ChangeGroups implements store.Groups.
func (d *DB) ChangeGroups(ctx context.Context, sc store.Scope, host string, add, remove []string) error {
	return wrap("change the groups of host "+host, d.write.do(ctx, func(t *tx) error {
		for _, g := range remove {
			if err := t.exec("DELETE FROM host_groups WHERE grp = ? AND host = ? AND host IN (SELECT id FROM hosts WHERE tenant = ?)", g, host, sc.Tenant); err != nil {
				return err
			}
		}
		for _, g := range add {
			if err := t.join(sc, g, []string{host}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// HostGroups implements store.Groups.
func (d *DB) HostGroups(ctx context.Context, sc store.Scope) (map[string][]string, error) {
	cond, args := inScope(sc, "h.tenant", "h.id")
	rows, err := d.read.QueryContext(ctx, `SELECT h.id, m.grp FROM hosts h LEFT JOIN host_groups m ON m.host = h.id
		WHERE h.state <> 'removed' AND `+cond+" ORDER BY h.id, m.grp", args...)
	if err != nil {
		return nil, wrap("list the groups of hosts", err)
	}
	defer rows.Close()
	out := map[string][]string{}
	for rows.Next() {
		var host string
		var group sql.NullString
		if err := rows.Scan(&host, &group); err != nil {
			return nil, wrap("list the groups of hosts", err)
		}
		if group.Valid {
			out[host] = append(out[host], group.String)
		} else {
			out[host] = nil
		}
	}
	return out, wrap("list the groups of hosts", rows.Err())
}

// GroupsOf implements store.Groups.
func (d *DB) GroupsOf(ctx context.Context, sc store.Scope, host string) ([]string, error) {
	cond, args := inScope(sc, "h.tenant", "h.id")
	return d.texts(ctx, "list the groups of host "+host, `SELECT m.grp FROM host_groups m JOIN hosts h ON h.id = m.host
		WHERE h.id = ? AND h.state <> 'removed' AND `+cond+" ORDER BY m.grp", append([]any{host}, args...)...)
}

// SetLabels implements store.Groups.
func (d *DB) SetLabels(ctx context.Context, sc store.Scope, host string, labels []string) error {
	cond, args := inScope(sc, "tenant", "id")
	return wrap("set the labels of host "+host, d.write.do(ctx, func(t *tx) error {
		return mustChange(t.changed("UPDATE hosts SET labels = ? WHERE id = ? AND state <> 'removed' AND "+cond, append([]any{list(labels), host}, args...)...))
	}))
}
