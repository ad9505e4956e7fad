package file

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"path"

	"github.com/aiedr/edr/tables"
)

// Row is a row of file.
type Row struct {
	Path       string             `col:"path,required,index,optimized" doc:"Absolute path, as asked for. LIKE: % stands for anything within one folder, %% at the end for all folders below."`
	Directory  string             `col:"directory,required,optimized" doc:"Folder that the file is in; = or LIKE lists the files in it."`
	Filename   string             `col:"filename" doc:"Last part of the path."`
	Inode      int64              `col:"inode" doc:"Inode number."`
	UID        int64              `col:"uid" doc:"User ID of the owner."`
	GID        int64              `col:"gid" doc:"Group ID of the owner."`
	Mode       string             `col:"mode" doc:"Permission bits in octal digits, such as 0644; the first has set-user-ID, set-group-ID and sticky."`
	Device     int64              `col:"device" doc:"Number of the device that a device file stands for; 0 for others."`
	Size       int64              `col:"size" doc:"Size in bytes."`
	BlockSize  int32              `col:"block_size" doc:"Block size of the file system."`
	ATime      int64              `col:"atime" doc:"Last access in seconds since the Unix epoch."`
	MTime      int64              `col:"mtime" doc:"Last change of the content in seconds since the Unix epoch."`
	CTime      int64              `col:"ctime" doc:"Last change of the metadata in seconds since the Unix epoch."`
	BTime      int64              `col:"btime" doc:"Creation in seconds since the Unix epoch; 0 where the file system does not keep it."`
	HardLinks  int32              `col:"hard_links" doc:"Number of hard links."`
	Symlink    bool               `col:"symlink" doc:"1 if the path is a symbolic link; the other columns are then its target's, where there is one."`
	Type       string             `col:"type" doc:"regular, directory, symlink (to nothing), character, block, fifo, socket or unknown."`
	Target     string             `col:"symlink_target_path" doc:"Where a symbolic link points, made absolute; empty for others."`
	Attributes tables.Opt[string] `col:"attributes,hidden" doc:"Windows only; NULL elsewhere."`
	Volume     tables.Opt[string] `col:"volume_serial,hidden" doc:"Windows only; NULL elsewhere."`
	FileID     tables.Opt[string] `col:"file_id,hidden" doc:"Windows only; NULL elsewhere."`
	Version    tables.Opt[string] `col:"file_version,hidden" doc:"Windows only; NULL elsewhere."`
	Product    tables.Opt[string] `col:"product_version,hidden" doc:"Windows only; NULL elsewhere."`
	Original   tables.Opt[string] `col:"original_filename,hidden" doc:"Windows only; NULL elsewhere."`
	ShortPath  tables.Opt[string] `col:"shortcut_target_path,hidden" doc:"Windows only; NULL elsewhere."`
	ShortType  tables.Opt[string] `col:"shortcut_target_type,hidden" doc:"Windows only; NULL elsewhere."`
	ShortPlace tables.Opt[string] `col:"shortcut_target_location,hidden" doc:"Windows only; NULL elsewhere."`
	ShortStart tables.Opt[string] `col:"shortcut_start_in,hidden" doc:"Windows only; NULL elsewhere."`
	ShortRun   tables.Opt[string] `col:"shortcut_run,hidden" doc:"Windows only; NULL elsewhere."`
	ShortText  tables.Opt[string] `col:"shortcut_comment,hidden" doc:"Windows only; NULL elsewhere."`
	BSDFlags   tables.Opt[string] `col:"bsd_flags,hidden" doc:"macOS only; NULL elsewhere."`
	PIDWithNS  int32              `col:"pid_with_namespace,additional,hidden" doc:"Other namespaces are not read in this version: anything but 0 is an error."`
	MountNS    tables.Opt[string] `col:"mount_namespace_id,hidden" doc:"Always NULL: other namespaces are not read in this version."`
}

// File is the table of files and folders.
var File = tables.New(tables.Spec[Row]{
	Name: "file", Doc: "Files and folders by path or by the folder they are in.",
	Examples: []string{
		"SELECT path, mode, uid, mtime FROM file WHERE path = '/etc/passwd'",
		"SELECT path, size FROM file WHERE directory = '/tmp'",
		"SELECT path, mode FROM file WHERE path LIKE '/home/%/.ssh/%%'",
	},
	Class: tables.Inventory, Platforms: tables.Linux,
	Scan: scanFile,
})

func scanFile(ctx context.Context, q *tables.Query) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if err := q.Host.Needs(tables.Linux); err != nil {
			yield(Row{}, err)
			return
		}
		if err := q.Unbuilt("pid_with_namespace"); err != nil {
			yield(Row{}, err)
			return
		}
		for at, err := range find(ctx, q) {
			if err != nil {
				yield(Row{}, err)
				return
			}
			row, err := describe(q.Host.Root, at)
			if err != nil {
				lack(q, err)
				continue
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

func describe(root tables.Root, at location) (Row, error) {
	fi, err := root.Lstat(at.path)
	if err != nil {
		return Row{}, err
	}
	row := Row{Path: at.path, Directory: at.directory, Filename: path.Base(at.path)}
	if fi.Mode()&fs.ModeSymlink != 0 {
		row.Symlink = true
		if to, err := root.Readlink(at.path); err == nil {
			if !path.IsAbs(to) {
				to = path.Join(path.Dir(path.Clean(at.path)), to)
			}
			row.Target = path.Clean(to)
		}
		if there, err := root.Stat(at.path); err == nil {
			fi = there
		}
	}
	row.Size, row.MTime, row.Type = fi.Size(), fi.ModTime().Unix(), typeName(fi.Mode())
	row.Mode = fmt.Sprintf("%04o", permissions(fi.Mode()))
	if born := tables.BirthTime(fi); !born.IsZero() {
		row.BTime = born.Unix()
	}
	row.fill(fi)
	return row, nil
}

func typeName(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "regular"
	case m.IsDir():
		return "directory"
	case m&fs.ModeSymlink != 0:
		return "symlink"
	case m&fs.ModeCharDevice != 0:
		return "character"
	case m&fs.ModeDevice != 0:
		return "block"
	case m&fs.ModeNamedPipe != 0:
		return "fifo"
	case m&fs.ModeSocket != 0:
		return "socket"
	}
	return "unknown"
}

// permissions are the twelve bits of chmod(2).
func permissions(m fs.FileMode) uint32 {
	p := uint32(m.Perm())
	for _, b := range []struct {
		mode fs.FileMode
		bit  uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&b.mode != 0 {
			p |= b.bit
		}
	}
	return p
}
