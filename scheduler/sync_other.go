//go:build !unix

package scheduler

// syncDir does nothing: Windows keeps renames without.
func syncDir(string) error { return nil }
