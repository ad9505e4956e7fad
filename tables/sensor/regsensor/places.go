package regsensor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aiedr/edr/tables/winreg"
)

// Categories of rows.
const (
	categoryAutostart = "autostart"
	categoryRegs      = "regs"
)

// place is a key that is watched, as it is written down: HKEY_CURRENT_USER in
// it stands for every user's hive.
type place struct {
	key      string
	depth    int // levels of keys below it that are looked at
	category string
}

// everything is a depth that no registry has: its limit is 512 levels.
const everything = 1 << 20

const (
	machineCV = `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion`
	machine32 = `HKEY_LOCAL_MACHINE\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion`
	machineNT = `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion`
	userCV    = `HKEY_CURRENT_USER\Software\Microsoft\Windows\CurrentVersion`
	userNT    = `HKEY_CURRENT_USER\Software\Microsoft\Windows NT\CurrentVersion`
	control   = `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control`
)

// autostart are the places from which Windows runs programs that nobody
// started, or loads libraries into those that somebody did.
func autostart() []place {
	var out []place
	at := func(depth int, keys ...string) {
		for _, k := range keys {
			out = append(out, place{k, depth, categoryAutostart})
		}
	}
	at(1, machineCV+`\Run`, machineCV+`\RunOnce`, machineCV+`\RunOnceEx`, machineCV+`\RunServices`, machineCV+`\RunServicesOnce`,
		machine32+`\Run`, machine32+`\RunOnce`, machine32+`\RunOnceEx`,
		userCV+`\Run`, userCV+`\RunOnce`, userCV+`\RunServices`, userCV+`\RunServicesOnce`,
		machineCV+`\Policies\Explorer\Run`, userCV+`\Policies\Explorer\Run`,
		userNT+`\Windows`, machineNT+`\Windows`,
		`HKEY_CURRENT_USER\Environment`, `HKEY_CURRENT_USER\Control Panel\Desktop`)
	at(2, machineNT+`\Winlogon`, userNT+`\Winlogon`, machineNT+`\SilentProcessExit`, machineNT+`\Image File Execution Options`,
		machineNT+`\AppCompatFlags\Custom`, machineNT+`\AppCompatFlags\InstalledSDB`,
		machineCV+`\Explorer\Shell Folders`, machineCV+`\Explorer\User Shell Folders`, userCV+`\Explorer\User Shell Folders`,
		machineCV+`\Explorer\ShellServiceObjects`, machineCV+`\ShellServiceObjectDelayLoad`,
		machineCV+`\Explorer\Browser Helper Objects`, machineCV+`\Authentication\Credential Providers`,
		`HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Active Setup\Installed Components`,
		`HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Command Processor`, `HKEY_CURRENT_USER\Software\Microsoft\Command Processor`,
		`HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\NetSh`, `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\AMSI\Providers`,
		`HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows Defender`,
		`HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services`,
		control+`\Session Manager`, control+`\Lsa`, control+`\SecurityProviders`, control+`\Print\Monitors`,
		control+`\NetworkProvider\Order`, control+`\BootVerificationProgram`, control+`\Terminal Server\Wds\rdpwd`)
	return out
}

// placesOf are the autostart places and the keys of -regs. A key that is both
// is watched once, with everything below it.
func placesOf(keys []string) ([]place, error) {
	named := map[string]bool{}
	var out []place
	for _, k := range keys {
		clean, err := winreg.Clean(k)
		if err != nil {
			return nil, fmt.Errorf("-regs: %w", err)
		}
		if strings.ContainsAny(clean, "*%") {
			return nil, fmt.Errorf("-regs: %q: a key is named in full, without * or %%; what is below it is watched too", k)
		}
		if low := strings.ToLower(clean); !named[low] {
			named[low] = true
			out = append(out, place{clean, everything, categoryRegs})
		}
	}
	for _, p := range autostart() {
		if !named[strings.ToLower(p.key)] {
			out = append(out, p)
		}
	}
	return out, nil
}

// resolve puts the users' hives in the place of HKEY_CURRENT_USER, and leaves
// out what lies below a place that is watched in full: one change is one event.
func resolve(places []place, users []string) []place {
	var all, out []place
	for _, p := range places {
		rest, ok := strings.CutPrefix(p.key, winreg.CurrentUser)
		if !ok {
			all = append(all, p)
			continue
		}
		for _, u := range users {
			p.key = winreg.Join(winreg.Users, u) + rest
			all = append(all, p)
		}
	}
	for i, p := range all {
		covered := slices.ContainsFunc(all[:i], func(q place) bool { return strings.EqualFold(p.key, q.key) }) ||
			slices.ContainsFunc(all, func(q place) bool { return q.depth == everything && below(p.key, q.key) })
		if !covered {
			out = append(out, p)
		}
	}
	return out
}

// below says whether a path lies below a key.
func below(path, key string) bool {
	return len(path) > len(key) && path[len(key)] == '\\' && strings.EqualFold(path[:len(key)], key)
}
