package agent

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/windows"
)

// withoutSockets says whether an error is that of a Windows without sockets of
// names: they came with Windows 10 1803 and Server 2019.
func withoutSockets(err error) bool { return errors.Is(err, windows.WSAEAFNOSUPPORT) }

// onlyOurs lets SYSTEM, administrators and the agent's own user reach what is
// in the folder, and nobody else.
const onlyOurs = "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;OW)"

// guardData closes a new data folder to others: the mode that a folder is made
// with means nothing on Windows, and what is below ProgramData every user may
// read. A folder that holds something already is left as its owner has set it.
func guardData(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		return err
	}
	sd, err := windows.SecurityDescriptorFromString(onlyOurs)
	if err != nil {
		return fmt.Errorf("-data: read the rights: %w", err)
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return fmt.Errorf("-data: read the rights: %w", err)
	}
	const what = windows.DACL_SECURITY_INFORMATION | windows.PROTECTED_DACL_SECURITY_INFORMATION
	if err := windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, what, nil, nil, dacl, nil); err != nil {
		return fmt.Errorf("-data: close %s to other users: %w", dir, err)
	}
	return nil
}
