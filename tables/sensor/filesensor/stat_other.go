//go:build !linux

package filesensor

import (
	"fmt"
	"io/fs"

	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
)

func seenOf(info fs.FileInfo) seen {
	return seen{mtime: info.ModTime().UnixNano(), size: info.Size()}
}

func describeInfo(e *event.File, info fs.FileInfo) {
	e.Size, e.MTime = info.Size(), info.ModTime().Unix()
	e.Mode = fmt.Sprintf("%04o", info.Mode().Perm())
}

// remoteMounts: only Linux tells.
func remoteMounts() []string { return nil }

// fromProc: fsnotify does not say who made a change.
func fromProc(int64) ProcInfo { return ProcInfo{UID: -1} }

// Mechanisms are the ways to watch here, best first.
func Mechanisms(o Options) []sensor.Mechanism {
	o = o.withDefaults()
	return []sensor.Mechanism{withHashes(newNotify(o), o.Hash)}
}
