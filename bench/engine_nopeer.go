//go:build !sqlite_vtable

package main

// enginePeer is absent: go-sqlite3 has its module behind a build tag.
func enginePeer([]benchRow) (run func(string) (int, error), close func(), err error) {
	return nil, func() {}, nil
}
