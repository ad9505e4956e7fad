package procfs

import (
	"golang.org/x/sys/unix"
)

var nameTask = []byte("task\x00")

// Body is the folder in which the files and memory of the process are found.
// That is its own, except where its first thread has ended while others live
// on: the process then looks like a zombie, and only a living thread's folder
// shows what it runs. Programs do that to hide. The stat is the process's; ok is
// false where no thread lives. Close the folder if it is not p itself.
func (p *Process) Body(s *Stat) (body Process, ok bool) {
	if !s.Zombie() {
		return *p, !s.Exiting()
	}
	if s.Threads < 2 {
		return *p, false
	}
	dir, err := openat(p.fd, nameTask, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return *p, false
	}
	defer unix.Close(dir)
	found := -1
	var st Stat
	err = p.r.list(dir, func(name []byte) {
		tid, err := uintOf(name)
		if err != nil || int64(tid) == p.PID || found >= 0 {
			return
		}
		fd, err := openat(dir, append(append([]byte{}, name...), 0), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC)
		if err != nil {
			return
		}
		thread := Process{r: p.r, fd: fd, PID: int64(tid)}
		if thread.Stat(&st) != nil || st.Zombie() || st.Exiting() {
			unix.Close(fd)
			return
		}
		found = fd
	})
	if err != nil || found < 0 {
		return *p, false
	}
	return Process{r: p.r, fd: found, PID: p.PID}, true
}

// Is says whether both are the same open folder.
func (p *Process) Is(other *Process) bool { return p.fd == other.fd }
