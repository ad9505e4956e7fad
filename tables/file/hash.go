package file

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"

	"github.com/aiedr/edr/tables"
)

// HashRow is a row of hash.
type HashRow struct {
	Path      string             `col:"path,required,index,optimized" doc:"Absolute path of a regular file, as asked for; LIKE as in file."`
	Directory string             `col:"directory,required,optimized" doc:"Folder that the file is in; = or LIKE hashes the files in it."`
	MD5       string             `col:"md5" doc:"MD5 of the content, in hexadecimal digits."`
	SHA1      string             `col:"sha1" doc:"SHA-1 of the content."`
	SHA256    string             `col:"sha256" doc:"SHA-256 of the content."`
	PIDWithNS int32              `col:"pid_with_namespace,additional,hidden" doc:"Other namespaces are not read in this version: anything but 0 is an error."`
	MountNS   tables.Opt[string] `col:"mount_namespace_id,hidden" doc:"Always NULL: other namespaces are not read in this version."`
}

// Hash is the table of files' hashes.
var Hash = tables.New(tables.Spec[HashRow]{
	Name: "hash", Doc: "Hashes of regular files by path or by the folder they are in. Only the hashes that are selected are computed.",
	Examples: []string{
		"SELECT sha256 FROM hash WHERE path = '/bin/ls'",
		"SELECT p.pid, p.path, h.sha256 FROM processes p JOIN hash h ON h.path = p.path WHERE p.on_disk = 1",
	},
	Class: tables.Inventory, Platforms: tables.Linux,
	Scan: scanHash,
})

func scanHash(ctx context.Context, q *tables.Query) iter.Seq2[HashRow, error] {
	return func(yield func(HashRow, error) bool) {
		if err := q.Host.Needs(tables.Linux); err != nil {
			yield(HashRow{}, err)
			return
		}
		if err := q.Unbuilt("pid_with_namespace"); err != nil {
			yield(HashRow{}, err)
			return
		}
		h := newHasher(q)
		for at, err := range find(ctx, q) {
			if err != nil {
				yield(HashRow{}, err)
				return
			}
			row, err := h.row(ctx, at)
			switch {
			case ctx.Err() != nil:
				yield(HashRow{}, ctx.Err())
				return
			case errors.Is(err, tables.ErrNotRegular):
				continue // a folder, device or the like has no hash
			case err != nil:
				lack(q, err)
				continue
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// hasher computes the wanted hashes of one file after another.
type hasher struct {
	q                 *tables.Query
	md5, sha1, sha256 hash.Hash // nil: not wanted
	buf               []byte
}

func newHasher(q *tables.Query) *hasher {
	h := &hasher{q: q, buf: make([]byte, 256<<10)}
	if q.Wants("md5") {
		h.md5 = md5.New()
	}
	if q.Wants("sha1") {
		h.sha1 = sha1.New()
	}
	if q.Wants("sha256") {
		h.sha256 = sha256.New()
	}
	return h
}

func (h *hasher) row(ctx context.Context, at location) (HashRow, error) {
	row := HashRow{Path: at.path, Directory: at.directory}
	f, err := h.q.Host.Root.Open(at.path)
	if err != nil {
		return row, err
	}
	defer f.Close()
	var on []hash.Hash
	for _, one := range []hash.Hash{h.md5, h.sha1, h.sha256} {
		if one != nil {
			one.Reset()
			on = append(on, one)
		}
	}
	for len(on) > 0 {
		n, err := f.Read(h.buf)
		for _, one := range on {
			one.Write(h.buf[:n])
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return row, fmt.Errorf("hash: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return row, err
		}
		// Hashing is what costs: it is held to the CPU limit as it goes on.
		if p := h.q.Host.Pacer; p != nil {
			if err := p.Pace(ctx); err != nil {
				return row, err
			}
		}
	}
	row.MD5, row.SHA1, row.SHA256 = sum(h.md5), sum(h.sha1), sum(h.sha256)
	return row, nil
}

func sum(h hash.Hash) string {
	if h == nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}
