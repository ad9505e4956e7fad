package procsensor

import "fmt"

// Unavailable says why a mechanism cannot run on this machine, and what would
// change that.
type Unavailable struct {
	Mechanism string
	Reason    string
	Err       error // may be nil
}

func (e *Unavailable) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("process sensor by %s: %s: %v", e.Mechanism, e.Reason, e.Err)
	}
	return fmt.Sprintf("process sensor by %s: %s", e.Mechanism, e.Reason)
}

// Unwrap returns the cause.
func (e *Unavailable) Unwrap() error { return e.Err }
