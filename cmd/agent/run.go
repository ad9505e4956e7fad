package main

import (
	"context"
	"errors"
	"io"
)

func runAgent(ctx context.Context, args []string, out, errs io.Writer) error {
	_, err := parseSettings(args, errs)
	if err != nil {
		return err
	}
	return errors.New("the agent is being put together")
}

func runCheck(_ context.Context, _ []string, _, _ io.Writer) error {
	return errors.New("check is being put together")
}
