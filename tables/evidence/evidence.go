// Package evidence has the tables of Windows artefacts, which read the live
// machine on Windows and evidence files on any system.
package evidence

import (
	"fmt"
	"iter"
	"runtime"

	"github.com/aiedr/edr/tables"
)

// unread answers for a table whose reader this version does not have: on a
// machine that cannot have the table, without evidence, that it is not
// supported; otherwise that it is not built yet. Never no rows, which would
// read as "nothing there".
func unread[Row any](q *tables.Query, table string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		var none Row
		if _, ok := q.Strings("evidence"); ok {
			yield(none, fmt.Errorf("%w: %s cannot read evidence files in this version", tables.ErrNotBuilt, table))
			return
		}
		if runtime.GOOS == "windows" && q.Host.Root.Live() {
			yield(none, fmt.Errorf("%w: %s cannot read the live machine in this version", tables.ErrNotBuilt, table))
			return
		}
		yield(none, fmt.Errorf("%w: %s needs Windows, or evidence = 'FILE or FOLDER' in the WHERE clause", tables.ErrNotSupported, table))
	}
}
