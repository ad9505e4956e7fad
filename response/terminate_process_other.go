//go:build !linux && !windows

package response

import (
	"context"
	"fmt"
)

func planTerminate(context.Context, TerminateProcessArgs) (string, error) {
	return "", fmt.Errorf("terminate_process: %w", ErrNotSupported)
}

func doTerminate(context.Context, Request, TerminateProcessArgs) (Done, error) {
	return Done{}, fmt.Errorf("terminate_process: %w", ErrNotSupported)
}
