//go:build sqlite_vtable

package main

import (
	"database/sql"

	"github.com/mattn/go-sqlite3"
)

// enginePeer answers the same statements by go-sqlite3's own module, written
// as its users write it: each cell is a call from C into Go.
func enginePeer(rows []benchRow) (run func(string) (int, error), close func(), err error) {
	sql.Register("sqlite3_bench_peer", &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
		return c.CreateModule("t", &peerModule{rows})
	}})
	db, err := sql.Open("sqlite3_bench_peer", ":memory:")
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	run = func(q string) (int, error) {
		rs, err := db.Query(q)
		if err != nil {
			return 0, err
		}
		defer rs.Close()
		cols, err := rs.Columns()
		if err != nil {
			return 0, err
		}
		values, into := make([]any, len(cols)), make([]any, len(cols))
		for i := range values {
			into[i] = &values[i]
		}
		n := 0
		for rs.Next() {
			if err := rs.Scan(into...); err != nil {
				return n, err
			}
			n++
		}
		return n, rs.Err()
	}
	return run, func() { db.Close() }, nil
}

type peerModule struct{ rows []benchRow }

func (m *peerModule) EponymousOnlyModule() {}
func (m *peerModule) Create(c *sqlite3.SQLiteConn, _ []string) (sqlite3.VTab, error) {
	err := c.DeclareVTab("CREATE TABLE x(a BIGINT,b BIGINT,c BIGINT,d BIGINT,e BIGINT,f TEXT,g TEXT,h TEXT,i TEXT,j TEXT,k TEXT,l DOUBLE)")
	return &peerTable{m.rows}, err
}
func (m *peerModule) Connect(c *sqlite3.SQLiteConn, args []string) (sqlite3.VTab, error) {
	return m.Create(c, args)
}
func (m *peerModule) DestroyModule() {}

type peerTable struct{ rows []benchRow }

func (t *peerTable) BestIndex(cons []sqlite3.InfoConstraint, _ []sqlite3.InfoOrderBy) (*sqlite3.IndexResult, error) {
	return &sqlite3.IndexResult{Used: make([]bool, len(cons))}, nil
}
func (t *peerTable) Disconnect() error                 { return nil }
func (t *peerTable) Destroy() error                    { return nil }
func (t *peerTable) Open() (sqlite3.VTabCursor, error) { return &peerCursor{rows: t.rows}, nil }

type peerCursor struct {
	rows []benchRow
	at   int
}

func (c *peerCursor) Close() error                    { return nil }
func (c *peerCursor) Filter(int, string, []any) error { c.at = 0; return nil }
func (c *peerCursor) Next() error                     { c.at++; return nil }
func (c *peerCursor) EOF() bool                       { return c.at >= len(c.rows) }
func (c *peerCursor) Rowid() (int64, error)           { return int64(c.at), nil }
func (c *peerCursor) Column(ctx *sqlite3.SQLiteContext, col int) error {
	r := &c.rows[c.at]
	switch col {
	case 0:
		ctx.ResultInt64(r.A)
	case 1:
		ctx.ResultInt64(r.B)
	case 2:
		ctx.ResultInt64(r.C)
	case 3:
		ctx.ResultInt64(r.D)
	case 4:
		ctx.ResultInt64(r.E)
	case 5:
		ctx.ResultText(r.F)
	case 6:
		ctx.ResultText(r.G)
	case 7:
		ctx.ResultText(r.H)
	case 8:
		ctx.ResultText(r.I)
	case 9:
		ctx.ResultText(r.J)
	case 10:
		ctx.ResultText(r.K)
	case 11:
		ctx.ResultDouble(r.L)
	}
	return nil
}
