package filesensor

import "golang.org/x/sys/unix"

// setXattr sets what every file system of a test machine holds; trusted.*
// is for root alone, as this test is.
func setXattr(path string) error { return unix.Setxattr(path, "trusted.edr_test", []byte("x"), 0) }
