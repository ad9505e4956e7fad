//go:build !linux

package response

import (
	"context"
	"fmt"
)

var errNoQuarantineHere = fmt.Errorf("quarantine: %w", ErrNotSupported)

func (q *quarantine) complete(_ context.Context, a QuarantineFileArgs) (QuarantineFileArgs, error) {
	return a, errNoQuarantineHere
}

func (q *quarantine) planQuarantine(context.Context, QuarantineFileArgs) (string, error) {
	return "", errNoQuarantineHere
}

func (q *quarantine) doQuarantine(context.Context, Request, QuarantineFileArgs) (Done, error) {
	return Done{}, errNoQuarantineHere
}

func (q *quarantine) planRestore(context.Context, RestoreFileArgs) (string, error) {
	return "", errNoQuarantineHere
}

func (q *quarantine) doRestore(context.Context, Request, RestoreFileArgs) (Done, error) {
	return Done{}, errNoQuarantineHere
}

func (q *quarantine) executed(a QuarantineFileArgs, _ Executed) (QuarantineFileArgs, error) {
	return a, errNoQuarantineHere
}
