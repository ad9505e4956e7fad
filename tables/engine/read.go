package engine

/*
#include "engine.h"
*/
import "C"

import (
	"math"
	"unsafe"
)

// read copies the rows that edr_step left in C memory.
func (c *conn) read(n, width int) [][]any {
	cells := unsafe.Slice(c.c.cells, n*width)
	var arena []byte
	if c.c.narena > 0 {
		arena = unsafe.Slice((*byte)(unsafe.Pointer(c.c.arena)), int(c.c.narena))
	}
	rows := make([][]any, n)
	values := make([]any, n*width)
	for i := range rows {
		row := values[i*width : (i+1)*width : (i+1)*width]
		from := cells[i*width : (i+1)*width]
		// One copy holds the texts of a row, which lie side by side, so that a
		// row that is kept keeps no other row's bytes.
		low, high := uint64(math.MaxUint64), uint64(0)
		for j := range from {
			if from[j].kind == C.EDR_TEXT {
				low = min(low, uint64(from[j].bits))
				high = max(high, uint64(from[j].bits)+uint64(from[j].len))
			}
		}
		var text string
		if low < high {
			text = string(arena[low:high])
		}
		for j := range from {
			cell := &from[j]
			switch cell.kind {
			case C.EDR_INT:
				row[j] = int64(cell.bits)
			case C.EDR_REAL:
				row[j] = math.Float64frombits(uint64(cell.bits))
			case C.EDR_TEXT:
				if cell.len == 0 {
					row[j] = ""
				} else {
					at := uint64(cell.bits) - low
					row[j] = text[at : at+uint64(cell.len)]
				}
			case C.EDR_BLOB:
				row[j] = append([]byte{}, arena[cell.bits:uint64(cell.bits)+uint64(cell.len)]...)
			}
		}
		rows[i] = row
	}
	return rows
}
