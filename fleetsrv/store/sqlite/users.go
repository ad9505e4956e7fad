package sqlite

import (
	"context"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
)

// AddUser implements store.Users.
func (d *DB) AddUser(ctx context.Context, sc store.Scope, u store.User) error {
	return wrap("add user "+u.Name, d.write.do(ctx, func(t *tx) error {
		return t.exec("INSERT INTO users (name, tenant, hash, role, classes, groups, must_change, created_at) VALUES (?,?,?,?,?,?,?,?)",
			u.Name, sc.Tenant, u.Hash, u.Role, list(u.Classes), list(u.Groups), u.MustChange, ns(u.CreatedAt))
	}))
}

const userColumns = `u.name, u.hash, u.role, u.classes, u.groups, u.must_change, u.created_at, u.last_login,
	(SELECT count(*) FROM tokens k WHERE k.user = u.name)`

func scanUser(s scanner, more ...any) (store.User, error) {
	var u store.User
	var classes, groups string
	var created, login int64
	if err := s.Scan(append([]any{&u.Name, &u.Hash, &u.Role, &classes, &groups, &u.MustChange, &created, &login, &u.Tokens}, more...)...); err != nil {
		return u, err
	}
	u.CreatedAt, u.LastLogin = when(created), when(login)
	if err := unjs("a user", classes, &u.Classes); err != nil {
		return u, err
	}
	return u, unjs("a user", groups, &u.Groups)
}

// User implements store.Users.
func (d *DB) User(ctx context.Context, sc store.Scope, name string) (store.User, error) {
	u, err := scanUser(d.read.QueryRowContext(ctx, "SELECT "+userColumns+" FROM users u WHERE u.name = ? AND u.tenant = ?", name, sc.Tenant))
	return u, wrap("read user "+name, err)
}

// ListUsers implements store.Users.
func (d *DB) ListUsers(ctx context.Context, sc store.Scope) ([]store.User, error) {
	rows, err := d.read.QueryContext(ctx, "SELECT "+userColumns+" FROM users u WHERE u.tenant = ? ORDER BY u.name", sc.Tenant)
	if err != nil {
		return nil, wrap("list users", err)
	}
	defer rows.Close()
	var out []store.User
	for rows.Next() {
		u, err := scanUser(rows)
		if err != nil {
			return nil, wrap("list users", err)
		}
		out = append(out, u)
	}
	return out, wrap("list users", rows.Err())
}

// UpdateUser implements store.Users.
func (d *DB) UpdateUser(ctx context.Context, sc store.Scope, u store.User, endSessions bool) error {
	return wrap("change user "+u.Name, d.write.do(ctx, func(t *tx) error {
		if err := mustChange(t.changed("UPDATE users SET hash = ?, role = ?, classes = ?, groups = ?, must_change = ?, last_login = ? WHERE name = ? AND tenant = ?",
			u.Hash, u.Role, list(u.Classes), list(u.Groups), u.MustChange, ns(u.LastLogin), u.Name, sc.Tenant)); err != nil {
			return err
		}
		if !endSessions {
			return nil
		}
		return t.exec("DELETE FROM sessions WHERE user = ?", u.Name)
	}))
}

// DeleteUser implements store.Users.
func (d *DB) DeleteUser(ctx context.Context, sc store.Scope, name string) error {
	return wrap("delete user "+name, d.write.do(ctx, func(t *tx) error {
		if err := mustChange(t.changed("DELETE FROM users WHERE name = ? AND tenant = ?", name, sc.Tenant)); err != nil {
			return err
		}
		if err := t.exec("DELETE FROM sessions WHERE user = ?", name); err != nil {
			return err
		}
		return t.exec("DELETE FROM tokens WHERE user = ?", name)
	}))
}

// AddSession implements store.Users.
func (d *DB) AddSession(ctx context.Context, sc store.Scope, s store.Session) error {
	return wrap("begin a session", d.write.do(ctx, func(t *tx) error {
		if err := t.exec("DELETE FROM sessions WHERE expires_at <= ?", ns(s.CreatedAt)); err != nil {
			return err
		}
		return t.exec("INSERT INTO sessions (hash, user, csrf, address, created_at, expires_at) VALUES (?,?,?,?,?,?)",
			s.Hash, s.User, s.CSRF, s.Address, ns(s.CreatedAt), ns(s.ExpiresAt))
	}))
}

// SessionByHash implements store.Users.
func (d *DB) SessionByHash(ctx context.Context, sc store.Scope, hash []byte, now time.Time) (store.Session, store.User, error) {
	s := store.Session{Hash: hash}
	var created, expires int64
	u, err := scanUser(d.read.QueryRowContext(ctx, "SELECT "+userColumns+`, s.csrf, s.address, s.created_at, s.expires_at
		FROM sessions s JOIN users u ON u.name = s.user WHERE s.hash = ? AND s.expires_at > ? AND u.tenant = ?`, hash, ns(now), sc.Tenant),
		&s.CSRF, &s.Address, &created, &expires)
	s.User, s.CreatedAt, s.ExpiresAt = u.Name, when(created), when(expires)
	return s, u, wrap("read a session", err)
}

// DeleteSession implements store.Users.
func (d *DB) DeleteSession(ctx context.Context, sc store.Scope, hash []byte) error {
	return wrap("end a session", d.write.do(ctx, func(t *tx) error {
		return t.exec("DELETE FROM sessions WHERE hash = ?", hash)
	}))
}

// AddToken implements store.Users.
func (d *DB) AddToken(ctx context.Context, sc store.Scope, k store.Token) error {
	return wrap("add an API token for "+k.User, d.write.do(ctx, func(t *tx) error {
		return mustChange(t.changed("INSERT INTO tokens (hash, user, note, created_at, expires_at) SELECT ?, name, ?, ?, ? FROM users WHERE name = ? AND tenant = ?",
			k.Hash, k.Note, ns(k.CreatedAt), ns(k.ExpiresAt), k.User, sc.Tenant))
	}))
}

// TokenByHash implements store.Users.
func (d *DB) TokenByHash(ctx context.Context, sc store.Scope, hash []byte, now time.Time) (store.Token, store.User, error) {
	k := store.Token{Hash: hash}
	var created, expires int64
	u, err := scanUser(d.read.QueryRowContext(ctx, "SELECT "+userColumns+`, t.note, t.created_at, t.expires_at
		FROM tokens t JOIN users u ON u.name = t.user WHERE t.hash = ? AND (t.expires_at = 0 OR t.expires_at > ?) AND u.tenant = ?`, hash, ns(now), sc.Tenant),
		&k.Note, &created, &expires)
	k.User, k.CreatedAt, k.ExpiresAt = u.Name, when(created), when(expires)
	return k, u, wrap("read an API token", err)
}
