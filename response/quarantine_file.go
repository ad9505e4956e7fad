package response

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// maxQuarantine bounds a file that is moved into quarantine, in bytes.
const maxQuarantine = 1 << 30

// QuarantineFileArgs name one file: where it is, which it is, and what is in
// it. Any of the three alone could be another file by the time it is used.
type QuarantineFileArgs struct {
	// Path is absolute and has no symbolic link in it.
	Path  string `json:"path" doc:"Absolute path without a symbolic link in it."`
	Inode uint64 `json:"inode" doc:"Inode number of the file."`
	// Device is the file system's number as stat has it; 0 leaves it open.
	Device uint64 `json:"device,omitempty" doc:"Number of its file system, as stat has it."`
	SHA256 string `json:"sha256" doc:"SHA-256 of its content, 64 hexadecimal digits."`
	// Size in bytes; nil leaves it open.
	Size *int64 `json:"size,omitempty" doc:"Size in bytes."`
}

// RestoreFileArgs name a quarantined file.
type RestoreFileArgs struct {
	ID string `json:"id" doc:"Id of the quarantined file, as quarantine_file answered it and edr-agent status lists it."`
}

// quarantine moves files into its folder and back.
type quarantine struct {
	dir       string
	protected []string
	max       int64
}

func newQuarantine(o Options) *quarantine {
	q := &quarantine{dir: o.QuarantineDir, protected: o.Protected, max: o.maxFile}
	if q.max == 0 {
		q.max = maxQuarantine
	}
	if q.dir != "" {
		q.protected = append([]string{q.dir}, q.protected...)
	}
	return q
}

var errNoQuarantine = errors.New("this agent has no quarantine folder; start it with -quarantine FOLDER")

func (q *quarantine) quarantineFile() Action {
	return New(Spec[QuarantineFileArgs]{
		Name: "quarantine_file",
		Doc: "Moves a file into the agent's quarantine folder, where nothing can open or run it, and checks that it is gone from its place. " +
			"Only a regular file of at most 1 GiB, named by path, inode and SHA-256; a dry run needs the path alone and answers the rest. " +
			"Never a file of the agent's own or one that init runs on.",
		Example:  `{"path":"/tmp/dropper","inode":4242,"sha256":"` + strings.Repeat("9f", 32) + `"}`,
		UndoneBy: "restore_file",
		Complete: func(ctx context.Context, a QuarantineFileArgs) (QuarantineFileArgs, error) {
			if err := checkPath(a.Path); err != nil {
				return a, err
			}
			return q.complete(ctx, a)
		},
		Check: checkQuarantine,
		Plan:  q.planQuarantine,
		Do:    q.doQuarantine,
	})
}

func (q *quarantine) restoreFile() Action {
	return New(Spec[RestoreFileArgs]{
		Name: "restore_file",
		Doc: "Puts a quarantined file back where it was, with its owner, mode, times and extended attributes, and checks it there. " +
			"It never overwrites what stands there now.",
		Example: `{"id":"20260102T030405Z-0123456789abcdef"}`,
		Check: func(a RestoreFileArgs) error {
			if !itemID.MatchString(a.ID) {
				return fmt.Errorf("id %q is not one of quarantined files, such as 20260102T030405Z-0123456789abcdef", a.ID)
			}
			return nil
		},
		Plan: q.planRestore,
		Do:   q.doRestore,
	})
}

// itemID is the form of a quarantined file's id, which is also its name.
var itemID = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{16}$`)

const maxPath = 4095 // PATH_MAX less its terminator

func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("path must be given")
	case !filepath.IsAbs(path):
		return fmt.Errorf("path %q must be absolute", path)
	case strings.ContainsRune(path, 0):
		return errors.New("path has a NUL in it")
	case len(path) > maxPath:
		return fmt.Errorf("path has %d bytes, more than %d", len(path), maxPath)
	case filepath.Clean(path) != path:
		return fmt.Errorf("path %q must be written as %q", path, filepath.Clean(path))
	case path == "/":
		return errors.New("path must name a file")
	}
	return nil
}

func checkQuarantine(a QuarantineFileArgs) error {
	if err := checkPath(a.Path); err != nil {
		return err
	}
	const how = "a dry run with the path alone answers it"
	sum, err := hex.DecodeString(a.SHA256)
	switch {
	case a.Inode == 0:
		return errors.New("inode must be given, because a path may be another file by now; " + how)
	case a.SHA256 == "":
		return errors.New("sha256 must be given, because a file may have changed; " + how)
	case err != nil || len(sum) != 32:
		return fmt.Errorf("sha256 %q is not 64 hexadecimal digits", a.SHA256)
	case a.Size != nil && *a.Size < 0:
		return errors.New("size must not be below 0")
	}
	return nil
}

// ErrChanging says that somebody is writing the file just now: a moment later
// it may be whole.
var ErrChanging = errors.New("the file is being changed")

// Identify completes the name of a file from what is there now; what is given
// already must agree with it. It is what a rule does when it acts.
func Identify(ctx context.Context, o Options, a QuarantineFileArgs) (QuarantineFileArgs, error) {
	if err := checkPath(a.Path); err != nil {
		return a, err
	}
	return newQuarantine(o).complete(ctx, a)
}
