package tables

import "math"

// CellKind says how a cell's bits are to be read. The values are part of the
// layout that the engine's C module reads.
type CellKind uint32

// The kinds of cell.
const (
	CellNull CellKind = iota
	CellInt           // Bits is an int64
	CellReal          // Bits is a float64
	CellText          // Bits is an offset into the arena, Len a length in bytes
	CellBlob          // as CellText
)

// Cell is one value of a batch: 16 bytes, read by the engine's C module as
// struct { uint64_t bits; uint32_t len; uint32_t kind; }.
type Cell struct {
	Bits uint64
	Len  uint32
	Kind CellKind
}

// BatchRows is how many rows a batch holds at most.
const BatchRows = 256

// batchArena bounds the text of a batch, so that large cells stream in bounded memory.
const batchArena = 1 << 20

// Batch is a run of rows, cell by cell in row order, holding only the wanted
// columns: slot i of a row is column Query.Columns[i]. Text and blobs lie in
// Arena, one after another.
type Batch struct {
	Width int
	Rows  int
	Cells []Cell
	Arena []byte
}

// Reset empties the batch for width columns and keeps its memory.
func (b *Batch) Reset(width int) {
	b.Width, b.Rows = width, 0
	b.Cells, b.Arena = b.Cells[:0], b.Arena[:0]
}

// Full says whether the batch should be handed on.
func (b *Batch) Full() bool { return b.Rows >= BatchRows || len(b.Arena) >= batchArena }

func (b *Batch) null()       { b.Cells = append(b.Cells, Cell{}) }
func (b *Batch) int(v int64) { b.Cells = append(b.Cells, Cell{Bits: uint64(v), Kind: CellInt}) }
func (b *Batch) real(v float64) {
	b.Cells = append(b.Cells, Cell{Bits: math.Float64bits(v), Kind: CellReal})
}

func (b *Batch) text(s string) {
	b.Cells = append(b.Cells, Cell{Bits: uint64(len(b.Arena)), Len: uint32(len(s)), Kind: CellText})
	b.Arena = append(b.Arena, s...)
}

func (b *Batch) blob(s []byte) {
	b.Cells = append(b.Cells, Cell{Bits: uint64(len(b.Arena)), Len: uint32(len(s)), Kind: CellBlob})
	b.Arena = append(b.Arena, s...)
}

// Value reads the cell of a row's slot: nil, int64, float64, string or []byte.
func (b *Batch) Value(row, slot int) any {
	c := b.Cells[row*b.Width+slot]
	switch c.Kind {
	case CellInt:
		return int64(c.Bits)
	case CellReal:
		return math.Float64frombits(c.Bits)
	case CellText:
		return string(b.Arena[c.Bits : c.Bits+uint64(c.Len)])
	case CellBlob:
		return append([]byte{}, b.Arena[c.Bits:c.Bits+uint64(c.Len)]...)
	}
	return nil
}
