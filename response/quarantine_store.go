package response

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Quarantined is one quarantined file: what it was, and who took it away.
type Quarantined struct {
	ID     string `json:"id"`
	Path   string `json:"path"` // where it was
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"` // bytes
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"` // before it was moved
	// Mode are the permission bits with setuid, setgid and sticky, as chmod
	// takes them.
	Mode octal  `json:"mode"`
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
	// Flags are the inode's own (immutable, append only …), where the file
	// system has them.
	Flags  uint32    `json:"flags,omitempty"`
	Access time.Time `json:"atime"`
	Change time.Time `json:"mtime"`
	// Attributes are the extended attributes, ACLs and labels among them.
	Attributes map[string][]byte `json:"xattrs,omitempty"`
	Links      uint64            `json:"links"` // names it had

	Time    time.Time `json:"quarantined_at"`
	By      string    `json:"by"`
	Reason  string    `json:"reason,omitempty"`
	Request string    `json:"request,omitempty"` // the response or hit that asked for it
}

// octal is a number that is written as chmod takes it, such as "0755".
type octal uint32

// MarshalText implements encoding.TextMarshaler.
func (o octal) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%04o", uint32(o)), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *octal) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 8, 12)
	if err != nil {
		return fmt.Errorf("%q is no file mode", b)
	}
	*o = octal(n)
	return nil
}

// maxRecord bounds the record of a quarantined file: attributes take 64 KiB at
// most for each name that the system lists.
const maxRecord = 4 << 20

// ListQuarantine lists the quarantined files of a folder, the oldest first. A
// record that cannot be read is an error beside the rest; a folder that does
// not exist holds none.
func ListQuarantine(dir string) ([]Quarantined, error) {
	if dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(dir) // sorted, and ids begin with their time
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the quarantine: %w", err)
	}
	var out []Quarantined
	var errs []error
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || !itemID.MatchString(id) {
			continue
		}
		item, err := readRecord(dir, id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, item)
	}
	return out, errors.Join(errs...)
}

// readRecord reads what is known of a quarantined file.
func readRecord(dir, id string) (Quarantined, error) {
	var item Quarantined
	path := filepath.Join(dir, id+".json")
	fi, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return item, fmt.Errorf("there is no quarantined file %s in %s; edr-agent status lists those that there are", id, dir)
	}
	if err != nil {
		return item, fmt.Errorf("read the record of quarantined file %s: %w", id, err)
	}
	if fi.Size() > maxRecord {
		return item, fmt.Errorf("read the record of quarantined file %s: %s has %d bytes, more than %d", id, path, fi.Size(), maxRecord)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return item, fmt.Errorf("read the record of quarantined file %s: %w", id, err)
	}
	if err := json.Unmarshal(b, &item); err != nil {
		return item, fmt.Errorf("read the record of quarantined file %s: %s: %w", id, path, err)
	}
	if item.ID != id || checkPath(item.Path) != nil || len(item.SHA256) != 64 {
		return item, fmt.Errorf("read the record of quarantined file %s: %s does not name a file with its hash", id, path)
	}
	return item, nil
}

// writeRecord writes what is known of a quarantined file, whole or not at all.
func writeRecord(dir string, item Quarantined) error {
	b, err := json.MarshalIndent(item, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, item.ID+".json")
	f, err := os.OpenFile(path+".part", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the record of a quarantined file: %w", err)
	}
	defer os.Remove(path + ".part") // gone after the rename
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(path+".part", path)
	}
	if err != nil {
		return fmt.Errorf("write the record of a quarantined file: %w", err)
	}
	return nil
}
