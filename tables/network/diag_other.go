//go:build !linux

package network

import "fmt"

func diagErrno(n int32) error { return fmt.Errorf("sock_diag: error %d", n) }
