//go:build !linux

package system

// measure: the files of another machine do not tell.
func (m *MountRow) measure() error { return nil }
