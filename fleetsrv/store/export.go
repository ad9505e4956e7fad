package store

import (
	"context"
	"time"

	"github.com/aiedr/edr/wire"
)

// Exports is the journal of what flows out of the server, and how far each
// sink has read in it. The journal is written in the transaction that keeps
// the record itself, in the order of keeping, and only while there is a
// cursor: a server without sinks pays nothing for it.
//
// A record of results is as many documents as it has rows; hits and outcomes
// are one each.
type Exports interface {
	// OpenExport makes the cursor of a sink at the end of the journal if it
	// has none: from then on it misses nothing. It answers where it stands.
	OpenExport(ctx context.Context, sc Scope, sink string, now time.Time) (ExportCursor, error)
	// ReadExport lists the documents behind a position: at most limit, and no
	// more than one beyond maxBytes of content.
	ReadExport(ctx context.Context, sc Scope, after ExportPosition, limit, maxBytes int) (ExportPage, error)
	// MoveExport moves a cursor forward and adds to its counts; ErrConflict if
	// it stands beyond the position already, ErrNotFound if there is none.
	MoveExport(ctx context.Context, sc Scope, sink string, to ExportPosition, add ExportCounts, now time.Time) error
	// ListExports lists the cursors by name, with how much lies behind each.
	ListExports(ctx context.Context, sc Scope) ([]ExportCursor, error)
	// ForgetExport removes a cursor.
	ForgetExport(ctx context.Context, sc Scope, sink string) error
	// PruneExports removes the records that every cursor has passed, and those
	// kept before the given time: for the cursors that have not passed these
	// they are counted as missed. It answers how many went.
	PruneExports(ctx context.Context, sc Scope, before time.Time) (int64, error)
}

// ExportPosition names a document of the journal: the record's sequence and
// the row in it. As a cursor it is the last document that is done.
type ExportPosition struct{ Seq, Row int64 }

// ExportCounts are documents by what became of them.
type ExportCounts struct {
	Sent     int64 // taken by the sink
	Dead     int64 // refused for good, kept in the dead-letter file
	Withheld int64 // of a kind or class that the sink's configuration leaves out
	Missed   int64 // gone from the journal or the results before they were sent
}

// ExportCursor is how far a sink has come.
type ExportCursor struct {
	Sink     string
	Position ExportPosition
	ExportCounts
	CreatedAt time.Time
	MovedAt   time.Time
	// Behind is how many records of the journal lie behind the cursor, Oldest
	// when the first of them was kept; zero in the answer of OpenExport.
	Behind int64
	Oldest time.Time
}

// ExportPage is a run of documents. Next is behind the last that was looked
// at, also where that had no document; More says that the journal goes on.
type ExportPage struct {
	Documents []ExportDocument
	Next      ExportPosition
	More      bool
	// Missed counts results whose rows were deleted before they were read.
	Missed int64
}

// ExportDocument is one hit, one outcome or one row of a result.
type ExportDocument struct {
	Position ExportPosition
	// ID is the same however often, and from whatever restored copy, the
	// document is sent.
	ID       string
	Kind     wire.Kind
	Host     string
	Details  wire.HostDetails // as known now; Schema is not filled
	Received time.Time
	Hit      *wire.Hit
	Outcome  *wire.Outcome
	Row      *ExportRow
}

// ExportRow is one row of a result.
type ExportRow struct {
	Query, Pack    string
	Time           time.Time
	Epoch, Counter uint64
	Action         string // added, removed or snapshot
	Columns        []string
	Values         wire.Row
	Classes        int64 // bits of auth.Mask
}
