package tables

import (
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links one name may lead through, as the kernel has it.
const maxLinks = 40

// walkIn does what openat2 with RESOLVE_IN_ROOT does, one name after another,
// for kernels that lack it. It holds the folders on the way open, so that ".."
// steps back to where it came from and never above the root.
func walkIn(root int, name string, follow bool) (int, error) {
	var way []int // the folders below the root, each open
	defer func() {
		for _, fd := range way {
			unix.Close(fd)
		}
	}()
	here := func() int {
		if len(way) == 0 {
			return root
		}
		return way[len(way)-1]
	}
	rest := strings.Split(name, "/")
	last := -1 // what the name has led to so far, where that is no folder
	links := 0
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		if part == "" || part == "." {
			continue
		}
		if last >= 0 {
			unix.Close(last)
			return -1, unix.ENOTDIR
		}
		if part == ".." {
			if len(way) > 0 {
				unix.Close(way[len(way)-1])
				way = way[:len(way)-1]
			}
			continue
		}
		fd, err := unix.Openat(here(), part, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, err
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			unix.Close(fd)
			return -1, err
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			way = append(way, fd)
		case unix.S_IFLNK:
			if !follow && onlyDots(rest) {
				last = fd
				continue
			}
			text, err := readlinkFD(fd)
			unix.Close(fd)
			if err != nil {
				return -1, err
			}
			if links++; links > maxLinks {
				return -1, unix.ELOOP
			}
			if strings.HasPrefix(text, "/") {
				for _, fd := range way {
					unix.Close(fd)
				}
				way = way[:0]
			}
			rest = append(strings.Split(text, "/"), rest...)
			if len(rest) > unix.PathMax {
				return -1, unix.ENAMETOOLONG
			}
		default:
			last = fd
		}
	}
	if last >= 0 {
		return last, nil
	}
	return unix.Openat(here(), ".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

func onlyDots(parts []string) bool {
	for _, p := range parts {
		if p != "" && p != "." {
			return false
		}
	}
	return true
}
