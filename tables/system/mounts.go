package system

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/procfs"
)

// MountRow is a row of mounts.
type MountRow struct {
	Device      string            `col:"device" doc:"What is mounted: a device, a server's path, or the name that a virtual file system was given."`
	DeviceAlias string            `col:"device_alias" doc:"The device with links followed; the same as device for others."`
	Path        string            `col:"path" doc:"Folder that it is mounted on."`
	Type        string            `col:"type" doc:"Type of the file system."`
	BlockSize   tables.Opt[int64] `col:"blocks_size" doc:"Size of a block in bytes; NULL, as the numbers that follow, for network and user-space mounts, which could keep the agent waiting, and where another machine's files are read."`
	Blocks      tables.Opt[int64] `col:"blocks" doc:"Number of blocks."`
	Free        tables.Opt[int64] `col:"blocks_free" doc:"Free blocks."`
	Available   tables.Opt[int64] `col:"blocks_available" doc:"Free blocks that users other than root may use."`
	Inodes      tables.Opt[int64] `col:"inodes" doc:"Number of inodes."`
	InodesFree  tables.Opt[int64] `col:"inodes_free" doc:"Free inodes."`
	Flags       string            `col:"flags" doc:"Options of the mount."`
}

// Mounts is the table of mounted file systems.
var Mounts = tables.New(tables.Spec[MountRow]{
	Name: "mounts", Doc: "Mounted file systems, as the agent sees them; /proc/mounts.",
	Examples: []string{
		"SELECT path, type, blocks_available * blocks_size / 1048576 AS free_mib FROM mounts WHERE device LIKE '/dev/%'",
		"SELECT path, flags FROM mounts WHERE path IN ('/tmp', '/dev/shm') AND flags NOT LIKE '%noexec%'",
	},
	Class: tables.Inventory, Platforms: tables.Linux,
	Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[MountRow, error] {
		if err := q.Host.Needs(tables.Linux); err != nil {
			return fail[MountRow](err)
		}
		data, err := q.Host.Root.ReadFile("/proc/mounts", 64<<20)
		if err != nil {
			return fail[MountRow](err)
		}
		return func(yield func(MountRow, error) bool) {
			n := 0
			for line := range bytes.Lines(data) {
				n++
				line = bytes.TrimRight(line, "\n")
				if len(line) == 0 {
					continue
				}
				m, err := procfs.ParseMount(line)
				if err != nil {
					q.Warn(fmt.Errorf("/proc/mounts line %d: %w", n, err))
					continue
				}
				row := MountRow{Device: m.Device, DeviceAlias: deviceAlias(q.Host.Root, m.Device), Path: m.Path, Type: m.Type, Flags: m.Options}
				if q.Host.Root.Live() && !mayHang(m.Type) {
					if err := row.measure(); err != nil {
						q.Warn(fmt.Errorf("statfs %s: %w", m.Path, err))
					}
				}
				if !yield(row, nil) {
					return
				}
			}
		}
	},
})

// deviceAlias follows the links of a device's name, as of those in
// /dev/mapper and /dev/disk.
func deviceAlias(root tables.Root, device string) string {
	name := device
	if !strings.HasPrefix(name, "/dev/") {
		return device
	}
	for range 8 {
		to, err := root.Readlink(name)
		if err != nil {
			return name
		}
		if !path.IsAbs(to) {
			to = path.Join(path.Dir(name), to)
		}
		name = path.Clean(to)
	}
	return device
}

// mayHang says that asking such a file system may wait for another machine or
// process.
func mayHang(kind string) bool {
	kind, _, _ = strings.Cut(kind, ".")
	return slices.Contains([]string{
		"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "glusterfs", "fuse", "fuseblk", "autofs",
		"ocfs2", "gfs2", "coda", "ncpfs", "virtiofs",
	}, kind)
}
