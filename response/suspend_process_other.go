//go:build !linux

package response

import (
	"context"
	"fmt"
)

func planSuspend(context.Context, TerminateProcessArgs) (string, error) {
	return "", fmt.Errorf("suspend_process: %w", ErrNotSupported)
}

func doSuspend(context.Context, Request, TerminateProcessArgs) (Done, error) {
	return Done{}, fmt.Errorf("suspend_process: %w", ErrNotSupported)
}

func planResume(context.Context, TerminateProcessArgs) (string, error) {
	return "", fmt.Errorf("resume_process: %w", ErrNotSupported)
}

func doResume(context.Context, Request, TerminateProcessArgs) (Done, error) {
	return Done{}, fmt.Errorf("resume_process: %w", ErrNotSupported)
}
