package response

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

func (q *quarantine) planRestore(_ context.Context, a RestoreFileArgs) (string, error) {
	item, dir, err := q.place(a.ID)
	if err != nil {
		return "", err
	}
	unix.Close(dir)
	return fmt.Sprintf("put %s (%d bytes, sha256 %s, mode %04o, uid %d, gid %d) back as %s",
		item.ID, item.Size, item.SHA256, item.Mode, item.UID, item.GID, item.Path), nil
}

// place finds a quarantined file's record and opens the folder that it goes
// back to, where its name must be free.
func (q *quarantine) place(id string) (Quarantined, int, error) {
	if q.dir == "" {
		return Quarantined{}, -1, errNoQuarantine
	}
	item, err := readRecord(q.dir, id)
	if err != nil {
		return item, -1, err
	}
	dir, err := openFolder(filepath.Dir(item.Path))
	if err != nil {
		return item, -1, fmt.Errorf("put %s back: %w", item.Path, err)
	}
	var st unix.Stat_t
	switch err := unix.Fstatat(dir, filepath.Base(item.Path), &st, unix.AT_SYMLINK_NOFOLLOW); {
	case err == nil:
		unix.Close(dir)
		return item, -1, taken(item.Path)
	case !errors.Is(err, unix.ENOENT):
		unix.Close(dir)
		return item, -1, fmt.Errorf("look for %s: %w", item.Path, err)
	}
	return item, dir, nil
}

func taken(path string) error {
	return &RefusedError{fmt.Sprintf("something else stands at %s now, and nothing is overwritten; move it away and try again", path)}
}

func (q *quarantine) doRestore(ctx context.Context, _ Request, a RestoreFileArgs) (Done, error) {
	item, dir, err := q.place(a.ID)
	if err != nil {
		return Done{}, err
	}
	defer unix.Close(dir)
	own, err := unix.Open(q.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return Done{}, fmt.Errorf("open the quarantine folder %s: %w", q.dir, err)
	}
	defer unix.Close(own)
	content, err := openKept(own, item.ID)
	if err != nil {
		return Done{}, fmt.Errorf("open quarantined file %s: %w", item.ID, err)
	}
	defer unix.Close(content)
	d, notes, err := rebuild(ctx, dir, content, item)
	if err != nil {
		return Done{}, fmt.Errorf("put %s back: %w; it stays in quarantine", item.Path, err)
	}
	defer d.close()
	seen, err := readRestored(context.WithoutCancel(ctx), d, item)
	if err != nil {
		return Done{}, fmt.Errorf("read back: %w; it stays in quarantine too", err)
	}
	if err := q.forget(own, content, item.ID); err != nil {
		return Done{Seen: seen}, err
	}
	return Done{Seen: strings.Join(append([]string{seen}, notes...), "; ")}, nil
}

// openKept opens a quarantined file. Root may read what has mode 000; another
// user must open it to itself first.
func openKept(dir int, id string) (int, error) {
	const how = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(dir, id, how, 0)
	if !errors.Is(err, unix.EACCES) {
		return fd, err
	}
	if err := unix.Fchmodat(dir, id, 0o400, 0); err != nil {
		return -1, err
	}
	fd, err = unix.Openat(dir, id, how, 0)
	return fd, errors.Join(err, unix.Fchmodat(dir, id, 0, 0))
}

// rebuild makes the file anew as it was and gives it its name.
func rebuild(ctx context.Context, dir, content int, item Quarantined) (*draft, []string, error) {
	d, err := newDraft(dir)
	if err != nil {
		return nil, nil, err
	}
	notes, err := d.fill(ctx, content, item)
	if err == nil {
		err = d.publish(filepath.Base(item.Path))
		if errors.Is(err, unix.EEXIST) {
			err = taken(item.Path)
		}
	}
	if err != nil {
		d.close()
		return nil, nil, err
	}
	const lasting = flagImmutable | flagAppend
	if flags, ok := inodeFlags(d.fd); ok && item.Flags&lasting != 0 {
		if err := setInodeFlags(d.fd, flags|item.Flags&lasting); err != nil {
			notes = append(notes, fmt.Sprintf("its immutable or append-only flag could not be set again: %v", err))
		}
	}
	_ = syncFolder(dir) // a folder that may not be read is not synced by us
	return d, notes, nil
}

// fill copies the content and sets what belongs to it. The owner comes first:
// to change it takes setuid bits and capabilities away.
func (d *draft) fill(ctx context.Context, content int, item Quarantined) (notes []string, err error) {
	sum, err := copySum(ctx, content, d.fd, item.Size)
	if err != nil {
		return nil, err
	}
	if sum != item.SHA256 {
		return nil, fmt.Errorf("the quarantined file is damaged: its SHA-256 is %s, not %s", sum, item.SHA256)
	}
	if err := unix.Fchown(d.fd, int(item.UID), int(item.GID)); err != nil {
		return nil, fmt.Errorf("set its owner to %d:%d: %w", item.UID, item.GID, err)
	}
	// Its owner may set attributes only on what its mode lets them write.
	if err := unix.Fchmod(d.fd, 0o600); err != nil {
		return nil, fmt.Errorf("set its mode: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(item.Attributes)) {
		if err := unix.Fsetxattr(d.fd, name, item.Attributes[name], 0); err != nil {
			notes = append(notes, fmt.Sprintf("its extended attribute %s could not be set again: %v", name, err))
		}
	}
	if err := unix.Fchmod(d.fd, uint32(item.Mode)); err != nil {
		return nil, fmt.Errorf("set its mode to %04o: %w", item.Mode, err)
	}
	times := []unix.Timespec{unix.NsecToTimespec(item.Access.UnixNano()), unix.NsecToTimespec(item.Change.UnixNano())}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", d.fd), times, 0); err != nil {
		return nil, fmt.Errorf("set its times: %w", err)
	}
	return notes, nil
}

// readRestored looks at the file in its place.
func readRestored(ctx context.Context, d *draft, item Quarantined) (string, error) {
	var st, own unix.Stat_t
	if err := unix.Fstat(d.fd, &own); err != nil {
		return "", err
	}
	if err := unix.Fstatat(d.dir, filepath.Base(item.Path), &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return "", fmt.Errorf("look for %s: %w", item.Path, err)
	}
	if st.Ino != own.Ino {
		return "", fmt.Errorf("another file has taken the place of %s already", item.Path)
	}
	if octal(st.Mode&0o7777) != item.Mode || st.Uid != item.UID || st.Gid != item.GID || st.Mtim.Nano() != item.Change.UnixNano() {
		return "", fmt.Errorf("%s has mode %04o, owner %d:%d and another time than mode %04o, owner %d:%d", item.Path,
			st.Mode&0o7777, st.Uid, st.Gid, item.Mode, item.UID, item.GID)
	}
	sum, err := copySum(ctx, d.fd, -1, item.Size)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", item.Path, err)
	}
	if sum != item.SHA256 {
		return "", fmt.Errorf("%s has SHA-256 %s, not %s", item.Path, sum, item.SHA256)
	}
	return fmt.Sprintf("%s is back (inode %d, %d bytes, sha256 %s, mode %04o, uid %d, gid %d)",
		item.Path, st.Ino, st.Size, sum, item.Mode, item.UID, item.GID), nil
}
