package tasksensor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// saved is the state file.
type saved struct {
	Version int    `json:"version"`
	Tasks   []Task `json:"tasks"`
}

const stateVersion = 1

// readState reads what was known at the end of the last run. A file that
// cannot be used is set aside, and the note says so.
func readState(path string) (tasks []Task, had bool, note string) {
	if path == "" {
		return nil, false, ""
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, ""
	}
	var s saved
	if err == nil {
		if err = json.Unmarshal(data, &s); err == nil && s.Version != stateVersion {
			err = fmt.Errorf("version %d, this agent reads %d", s.Version, stateVersion)
		}
	}
	if err == nil {
		return s.Tasks, true, ""
	}
	note = fmt.Sprintf("what the tasks were at the last run is not known: %s: %v", path, err)
	aside := path + ".damaged"
	if err := os.Rename(path, aside); err == nil {
		note += "; the file was set aside as " + aside
	}
	return nil, false, note
}

// writeState replaces the state file.
func writeState(path string, tasks []Task) error {
	data, err := json.Marshal(saved{stateVersion, tasks})
	if err != nil {
		return fmt.Errorf("keep the tasks: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".tasks-*")
	if err != nil {
		return fmt.Errorf("keep the tasks: %w", err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("keep the tasks: %w", err)
	}
	return nil
}
