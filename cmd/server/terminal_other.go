//go:build !unix

package main

import (
	"errors"
	"os"
)

func isTerminal(*os.File) bool { return false }

func hideInput(*os.File) (func(), error) {
	return nil, errors.New("this system's terminal cannot hide what is typed")
}
