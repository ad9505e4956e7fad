//go:build !linux

package filesensor

import "errors"

func setXattr(string) error { return errors.ErrUnsupported }
