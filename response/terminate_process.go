package response

import "errors"

// TerminateProcessArgs name one process. The pid alone could be another's by
// the time it is used; with the start time it cannot.
type TerminateProcessArgs struct {
	PID int64 `json:"pid" doc:"Process ID."`
	// StartTime is nanoseconds since boot, compared at the precision of
	// /proc/PID/stat (a clock tick, 10 ms). On Windows it is nanoseconds
	// since the Unix epoch, compared exactly.
	StartTime int64 `json:"start_time_ns" doc:"Start of that process in nanoseconds since boot, compared to 10 ms: a pid is used again."`
}

// TerminateProcess ends a process for good.
func TerminateProcess() Action {
	return New(Spec[TerminateProcessArgs]{
		Name:    "terminate_process",
		Doc:     "Ends a process with SIGKILL, on Windows with TerminateProcess, and waits until it is gone. Never pid 1, the agent itself or a kernel thread.",
		Example: `{"pid":4242,"start_time_ns":81250000000}`,
		Check:   checkProcess,
		Plan:    planTerminate,
		Do:      doTerminate,
	})
}

// checkProcess refuses what names no process for certain.
func checkProcess(a TerminateProcessArgs) error {
	switch {
	case a.PID <= 0:
		return errors.New("pid must be above 0")
	case a.StartTime <= 0:
		return errors.New("start_time_ns must be given, because a pid is used again")
	}
	return nil
}
