package response

// SuspendProcess stops a process until it is resumed: what it holds in memory
// stays for a closer look.
func SuspendProcess() Action {
	return New(Spec[TerminateProcessArgs]{
		Name:     "suspend_process",
		Doc:      "Stops a process with SIGSTOP until resume_process, and waits until it stands. Never pid 1, the agent itself or a kernel thread.",
		Example:  `{"pid":4242,"start_time_ns":81250000000}`,
		UndoneBy: "resume_process",
		Check:    checkProcess,
		Plan:     planSuspend,
		Do:       doSuspend,
	})
}

// ResumeProcess lets a stopped process run on.
func ResumeProcess() Action {
	return New(Spec[TerminateProcessArgs]{
		Name:    "resume_process",
		Doc:     "Lets a stopped process run on with SIGCONT.",
		Example: `{"pid":4242,"start_time_ns":81250000000}`,
		Check:   checkProcess,
		Plan:    planResume,
		Do:      doResume,
	})
}
