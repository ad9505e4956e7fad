package system

import (
	"context"
	"iter"
	"strings"

	"github.com/aiedr/edr/tables"
)

// Kernel is the row of kernel_info.
type Kernel struct {
	Version   string             `col:"version" doc:"Release of the kernel; /proc/sys/kernel/osrelease."`
	Arguments string             `col:"arguments" doc:"Command line of the kernel without the image and the root device; /proc/cmdline."`
	Path      tables.Opt[string] `col:"path" doc:"Path of the kernel's image; BOOT_IMAGE of its command line, NULL where the boot loader does not say."`
	Device    tables.Opt[string] `col:"device" doc:"Root device; root= of the command line, NULL where there is none."`
}

// KernelInfo is the table of the running kernel.
var KernelInfo = tables.New(tables.Spec[Kernel]{
	Name: "kernel_info", Doc: "Version and command line of the running kernel: one row.",
	Examples: []string{"SELECT version, arguments FROM kernel_info"},
	Class:    tables.Inventory, Platforms: tables.Linux,
	Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[Kernel, error] {
		if err := q.Host.Needs(tables.Linux); err != nil {
			return fail[Kernel](err)
		}
		release, err := q.Host.Root.ReadFile("/proc/sys/kernel/osrelease", small)
		if err != nil {
			return fail[Kernel](err)
		}
		cmdline, err := q.Host.Root.ReadFile("/proc/cmdline", small)
		q.Warn(err)
		k := parseKernelCmdline(string(cmdline))
		k.Version = strings.TrimSpace(string(release))
		return one(k)
	},
})

// parseKernelCmdline sorts the words of /proc/cmdline.
func parseKernelCmdline(s string) Kernel {
	var k Kernel
	var rest []string
	for _, word := range strings.Fields(s) {
		if v, ok := strings.CutPrefix(word, "BOOT_IMAGE="); ok {
			k.Path = tables.Some(v)
		} else if v, ok := strings.CutPrefix(word, "root="); ok {
			k.Device = tables.Some(v)
		} else {
			rest = append(rest, word)
		}
	}
	k.Arguments = strings.Join(rest, " ")
	return k
}
