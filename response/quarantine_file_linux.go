package response

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// reserve stays free on the quarantine's disk, in bytes.
const reserve = 64 << 20

// complete names the file that is at the path now.
func (q *quarantine) complete(ctx context.Context, a QuarantineFileArgs) (QuarantineFileArgs, error) {
	dir, err := filepath.EvalSymlinks(filepath.Dir(a.Path))
	if err == nil {
		a.Path = filepath.Join(dir, filepath.Base(a.Path))
	}
	h, err := q.hold(a)
	if err != nil {
		return a, err
	}
	defer h.close()
	sum, err := copySum(ctx, h.fd, -1, h.stat.Size)
	if err != nil {
		return a, fmt.Errorf("hash %s: %w", a.Path, err)
	}
	if a.SHA256 != "" && !strings.EqualFold(a.SHA256, sum) {
		return a, otherContent(a, sum)
	}
	a.Inode, a.Device, a.SHA256, a.Size = h.stat.Ino, h.stat.Dev, sum, &h.stat.Size
	return a, nil
}

func otherContent(a QuarantineFileArgs, sum string) error {
	return fmt.Errorf("%s is another file now: its SHA-256 is %s, not %s; look it up again", a.Path, sum, strings.ToLower(a.SHA256))
}

// hold opens the file that the arguments name, as far as they do, and refuses
// what must stay.
func (q *quarantine) hold(a QuarantineFileArgs) (*heldFile, error) {
	h, err := holdFile(a.Path)
	if err != nil {
		return nil, err
	}
	if err := q.mayMove(h, a); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (q *quarantine) mayMove(h *heldFile, a QuarantineFileArgs) error {
	other := func(what string, is, want any) error {
		return fmt.Errorf("%s is another file now: its %s is %v, not %v; look it up again", a.Path, what, is, want)
	}
	switch {
	case a.Inode != 0 && h.stat.Ino != a.Inode:
		return other("inode", h.stat.Ino, a.Inode)
	case a.Device != 0 && h.stat.Dev != a.Device:
		return other("device", h.stat.Dev, a.Device)
	case a.Size != nil && h.stat.Size != *a.Size:
		return other("size", h.stat.Size, *a.Size)
	case h.stat.Size > q.max:
		return &RefusedError{fmt.Sprintf("%s has %d bytes, more than the %d that are quarantined", a.Path, h.stat.Size, q.max)}
	}
	return q.guard(h)
}

func (q *quarantine) planQuarantine(_ context.Context, a QuarantineFileArgs) (string, error) {
	if q.dir == "" {
		return "", errNoQuarantine
	}
	h, err := q.hold(a)
	if err != nil {
		return "", err
	}
	defer h.close()
	plan := fmt.Sprintf("move %s (inode %d, %d bytes, sha256 %s) into quarantine", a.Path, h.stat.Ino, h.stat.Size, strings.ToLower(a.SHA256))
	return strings.Join(append([]string{plan}, h.warnings()...), "; "), nil
}

func (q *quarantine) doQuarantine(ctx context.Context, req Request, a QuarantineFileArgs) (Done, error) {
	if q.dir == "" {
		return Done{}, errNoQuarantine
	}
	h, err := q.hold(a)
	if err != nil {
		return Done{}, err
	}
	defer h.close()
	dir, err := q.open(h.stat.Size)
	if err != nil {
		return Done{}, err
	}
	defer unix.Close(dir)
	notes := h.warnings()
	item := h.describe(req, &notes)
	d, err := q.keep(ctx, dir, h, a, item)
	if err != nil {
		return Done{}, fmt.Errorf("copy %s into quarantine: %w; nothing was changed", a.Path, err)
	}
	defer d.close()
	if err := h.remove(); err != nil {
		return Done{}, errors.Join(fmt.Errorf("remove %s: %w; its copy is taken out of quarantine again", a.Path, err), q.forget(dir, d.fd, item.ID))
	}
	// It is done: what was seen of it is told also where time has run out.
	seen, err := q.readBack(context.WithoutCancel(ctx), h, d, item)
	return Done{Seen: strings.Join(append([]string{seen}, notes...), "; "), Undo: RestoreFileArgs{ID: item.ID}}, err
}

// open makes and opens the quarantine's folder, and sees that a file of so
// many bytes has room in it.
func (q *quarantine) open(size int64) (int, error) {
	if err := os.MkdirAll(q.dir, 0o700); err != nil {
		return -1, fmt.Errorf("make the quarantine folder: %w", err)
	}
	fd, err := unix.Open(q.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the quarantine folder %s: %w", q.dir, err)
	}
	err = unix.Fchmod(fd, 0o700)
	var fs unix.Statfs_t
	if err == nil {
		err = unix.Fstatfs(fd, &fs)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("guard the quarantine folder %s: %w", q.dir, err)
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < uint64(size)+reserve {
		unix.Close(fd)
		return -1, fmt.Errorf("the quarantine folder %s has %d MiB free, and %d are needed; make room or use another -quarantine",
			q.dir, free>>20, (uint64(size)+reserve)>>20)
	}
	return fd, nil
}

// describe notes all that must come back with the file.
func (h *heldFile) describe(req Request, notes *[]string) Quarantined {
	attrs, err := attributes(h.fd)
	if err != nil {
		*notes = append(*notes, err.Error())
	}
	flags, _ := inodeFlags(h.fd)
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	st := &h.stat
	return Quarantined{
		ID:   req.Time.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(b[:]),
		Path: h.path, Size: st.Size, Device: st.Dev, Inode: st.Ino, Mode: octal(st.Mode & 0o7777), UID: st.Uid, GID: st.Gid, Flags: flags,
		Access: time.Unix(st.Atim.Unix()).UTC(), Change: time.Unix(st.Mtim.Unix()).UTC(), Attributes: attrs, Links: uint64(st.Nlink),
		Time: req.Time.UTC(), By: req.By, Reason: req.Reason, Request: req.ID,
	}
}

// keep copies the file into quarantine under the item's id, if it is the one
// named from its first byte to its last.
func (q *quarantine) keep(ctx context.Context, dir int, h *heldFile, a QuarantineFileArgs, item Quarantined) (*draft, error) {
	d, err := newDraft(dir)
	if err != nil {
		return nil, err
	}
	item.SHA256, err = copySum(ctx, h.fd, d.fd, h.stat.Size)
	if err == nil && !strings.EqualFold(item.SHA256, a.SHA256) {
		err = otherContent(a, item.SHA256)
	}
	if err == nil {
		var same bool
		if same, err = h.same(); err == nil && !same {
			err = fmt.Errorf("%w: it changed while it was read; look it up again", ErrChanging)
		}
	}
	if err == nil {
		err = unix.Fchmod(d.fd, 0)
	}
	if err == nil {
		err = writeRecord(q.dir, item)
	}
	if err == nil {
		if err = d.publish(item.ID); err != nil {
			_ = unix.Unlinkat(dir, item.ID+".json", 0)
		}
	}
	if err != nil {
		d.close()
		return nil, err
	}
	// Where the file system has no such flag, mode 000 has to do.
	if flags, ok := inodeFlags(d.fd); ok {
		_ = setInodeFlags(d.fd, flags|flagImmutable)
	}
	if err := syncFolder(dir); err != nil {
		err = errors.Join(err, q.forget(dir, d.fd, item.ID))
		d.close()
		return nil, err
	}
	return d, nil
}

// forget removes a quarantined file and its record.
func (q *quarantine) forget(dir, content int, id string) error {
	if flags, ok := inodeFlags(content); ok && flags&flagImmutable != 0 {
		_ = setInodeFlags(content, flags&^flagImmutable) // the removal says if that did not work
	}
	for _, name := range []string{id, id + ".json"} {
		if err := unix.Unlinkat(dir, name, 0); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove %s from quarantine: %w", name, err)
		}
	}
	return syncFolder(dir)
}

// remove takes the file's name away, if it is still this file's. There is no
// removal on condition: so the name is first moved to one that nobody knows,
// looked at there, and moved back if it was another's.
func (h *heldFile) remove() error {
	restore := func() {}
	if flags, ok := inodeFlags(h.fd); ok && flags&(flagImmutable|flagAppend) != 0 {
		if err := setInodeFlags(h.fd, flags&^(flagImmutable|flagAppend)); err != nil {
			return fmt.Errorf("clear its immutable flag: %w", err)
		}
		restore = func() { _ = setInodeFlags(h.fd, flags) }
	}
	aside := hiddenName()
	err := unix.Renameat2(h.dir, h.base, h.dir, aside, unix.RENAME_NOREPLACE)
	switch {
	case errors.Is(err, unix.EINVAL): // a file system without that flag
		return h.removeInPlace(restore)
	case err != nil:
		restore()
		return err
	}
	back := func(err error) error {
		if rerr := unix.Renameat2(h.dir, aside, h.dir, h.base, unix.RENAME_NOREPLACE); rerr != nil {
			err = fmt.Errorf("%w; it now stands beside it as %s, since it could not be put back: %v", err, aside, rerr)
		}
		restore()
		return err
	}
	if !h.at(aside) {
		return back(errors.New("another file has taken its place meanwhile; look it up again"))
	}
	if err := unix.Unlinkat(h.dir, aside, 0); err != nil {
		return back(err)
	}
	_ = syncFolder(h.dir) // a folder that may not be read is not synced by us
	return nil
}

func (h *heldFile) removeInPlace(restore func()) error {
	if !h.at(h.base) {
		restore()
		return errors.New("another file has taken its place meanwhile; look it up again")
	}
	if err := unix.Unlinkat(h.dir, h.base, 0); err != nil {
		restore()
		return err
	}
	return nil
}

// at says whether a name in the folder is this file's.
func (h *heldFile) at(name string) bool {
	var st unix.Stat_t
	err := unix.Fstatat(h.dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && st.Dev == h.stat.Dev && st.Ino == h.stat.Ino
}

// readBack looks at both places.
func (q *quarantine) readBack(ctx context.Context, h *heldFile, d *draft, item Quarantined) (string, error) {
	kept, err := readRecord(q.dir, item.ID)
	if err != nil {
		return "", fmt.Errorf("read back: %w", err)
	}
	var st, named unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		return "", fmt.Errorf("read back: %w", err)
	}
	if err := unix.Fstatat(d.dir, item.ID, &named, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return "", fmt.Errorf("read back: look for the quarantined file %s: %w", item.ID, err)
	}
	if named.Ino != st.Ino {
		return "", fmt.Errorf("read back: %s in the quarantine folder is not the file that was copied there", item.ID)
	}
	sum, err := copySum(ctx, d.fd, -1, st.Size)
	if err != nil {
		return "", fmt.Errorf("read back: %w", err)
	}
	if sum != kept.SHA256 || st.Mode&0o7777 != 0 {
		return "", fmt.Errorf("read back: the quarantined file has SHA-256 %s and mode %o, not %s and 0", sum, st.Mode&0o7777, kept.SHA256)
	}
	place := "is gone from its place"
	switch err := unix.Fstatat(h.dir, h.base, &named, unix.AT_SYMLINK_NOFOLLOW); {
	case err == nil && h.at(h.base):
		return "", fmt.Errorf("read back: %s is still in its place", h.path)
	case err == nil:
		place = fmt.Sprintf("is gone, but another file (inode %d) stands in its place already", named.Ino)
	case !errors.Is(err, unix.ENOENT):
		return "", fmt.Errorf("read back: look for %s: %w", h.path, err)
	}
	seen := fmt.Sprintf("%s %s; it is in quarantine as %s (%d bytes, sha256 %s, mode 000", h.path, place, item.ID, st.Size, sum)
	if flags, ok := inodeFlags(d.fd); ok && flags&flagImmutable != 0 {
		seen += ", immutable"
	}
	return seen + ")", nil
}

// warnings are what a removal does not reach.
func (h *heldFile) warnings() []string {
	var out []string
	if h.stat.Nlink > 1 {
		out = append(out, fmt.Sprintf("it has %d other names (hard links), which stay", h.stat.Nlink-1))
	}
	if pids := runners(h.stat.Dev, h.stat.Ino); len(pids) > 0 {
		const most = 8
		more := ""
		if len(pids) > most {
			pids, more = pids[:most], " and more"
		}
		out = append(out, "it runs as process "+strings.Join(pids, ", ")+more+": terminate_process ends it")
	}
	return out
}

// runners are the processes that execute a file.
func runners(dev, inode uint64) []string {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []string
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		var st unix.Stat_t
		if unix.Stat("/proc/"+e.Name()+"/exe", &st) == nil && st.Dev == dev && st.Ino == inode {
			pids = append(pids, e.Name())
		}
	}
	return pids
}
