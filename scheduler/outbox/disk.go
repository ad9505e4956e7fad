package outbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// disk is the changes that an outbox makes to its folder. A test sets hook to
// end them at any one of them, as a kill does.
type disk struct {
	// hook says how much of a write is still to be made, and the error with
	// which this and all later changes fail.
	hook func(op string, bytes int) (part int, err error)
	// noSync leaves out what only the end of the machine, not of the process,
	// would show.
	noSync bool
}

func (d *disk) before(op string, n int) (int, error) {
	if d.hook == nil {
		return n, nil
	}
	return d.hook(op, n)
}

func (d *disk) write(f *os.File, b []byte) error {
	part, stop := d.before("write", len(b))
	if stop != nil {
		if part > 0 {
			_, _ = f.Write(b[:part])
		}
		return stop
	}
	_, err := f.Write(b)
	return err
}

func (d *disk) sync(f *os.File) error {
	if _, err := d.before("sync", 0); err != nil {
		return err
	}
	if d.noSync {
		return nil
	}
	return f.Sync()
}

func (d *disk) truncate(f *os.File, n int64) error {
	if _, err := d.before("truncate", 0); err != nil {
		return err
	}
	if err := f.Truncate(n); err != nil {
		return err
	}
	_, err := f.Seek(n, 0)
	return err
}

func (d *disk) create(path string) (*os.File, error) {
	if _, err := d.before("create", 0); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
}

func (d *disk) mkdir(path string) error {
	if _, err := d.before("mkdir", 0); err != nil {
		return err
	}
	return os.MkdirAll(path, 0o700)
}

func (d *disk) rename(from, to string) error {
	if _, err := d.before("rename", 0); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func (d *disk) remove(path string) error {
	if _, err := d.before("remove", 0); err != nil {
		return err
	}
	if err := os.RemoveAll(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncDir makes names durable where the system needs to be asked for it.
func (d *disk) syncDir(path string) error {
	if _, err := d.before("syncdir", 0); err != nil {
		return err
	}
	if d.noSync {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_ = f.Sync()
	return nil
}

// replace writes a small file whole: after a crash it is the old or the new.
func (d *disk) replace(path string, b []byte, durable bool) error {
	tmp := path + ".new"
	f, err := d.create(tmp)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = d.write(f, b)
	if err == nil && durable {
		err = d.sync(f)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = d.rename(tmp, path)
	}
	if err == nil && durable {
		err = d.syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
