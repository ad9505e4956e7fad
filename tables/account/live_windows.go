package account

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"github.com/aiedr/edr/tables"
)

const profileList = `SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList`

// userInfo3 is USER_INFO_3 as netapi32 gives it.
type userInfo3 struct {
	name, password                          *uint16
	passwordAge, priv                       uint32
	homeDir, comment                        *uint16
	flags                                   uint32
	scriptPath                              *uint16
	authFlags                               uint32
	fullName, usrComment, parms, stations   *uint16
	lastLogon, lastLogoff, expires, storage uint32
	unitsPerWeek                            uint32
	logonHours                              *byte
	badPasswords, logons                    uint32
	logonServer                             *uint16
	country, codePage, userID, primaryGroup uint32
	profile, homeDirDrive                   *uint16
	passwordExpired                         uint32
}

// liveUsers yields the accounts of the machine's own database, and whoever has
// a profile here: users of a domain, and the accounts that services run as.
func liveUsers(q *tables.Query, yield func(User) bool) {
	uids, byUID := q.Ints("uid")
	sids, bySID := q.Strings("uuid")
	names, byName := q.Strings("username")
	seen := map[string]bool{}
	emit := func(u User) bool {
		if seen[u.UUID.V] || byUID && !slices.Contains(uids, u.UID) || byName && !slices.Contains(names, u.Username) ||
			bySID && !slices.Contains(sids, u.UUID.V) {
			return true
		}
		seen[u.UUID.V] = true
		return yield(u)
	}
	profiles := readProfiles(q)
	accounts, err := localAccounts()
	if err != nil {
		q.Warn(fmt.Errorf("list the accounts of this machine: %w; those who have a profile are listed", err))
	}
	for _, u := range accounts {
		if dir, ok := profiles[u.UUID.V]; ok {
			u.Directory = dir
		}
		if !emit(u) {
			return
		}
	}
	for sid, dir := range profiles {
		if u, ok := profileUser(q, sid, dir); ok && !emit(u) {
			return
		}
	}
}

// maxAccounts bounds one answer of the account database, in bytes.
const maxAccounts = 1 << 20

func localAccounts() ([]User, error) {
	const normalAccounts, more = 2, windows.ERROR_MORE_DATA
	var out []User
	var resume uint32
	for {
		var buf *byte
		var read, total uint32
		err := windows.NetUserEnum(nil, 3, normalAccounts, &buf, maxAccounts, &read, &total, &resume)
		if err != nil && !errors.Is(err, more) {
			return out, err
		}
		if buf == nil {
			if read > 0 {
				return out, errors.New("the system names accounts and gives none")
			}
			return out, nil
		}
		for _, a := range unsafe.Slice((*userInfo3)(unsafe.Pointer(buf)), read) {
			u := User{
				Username: windows.UTF16PtrToString(a.name), Description: windows.UTF16PtrToString(a.comment),
				Directory: windows.UTF16PtrToString(a.homeDir), Shell: shell, Type: tables.Some("local"),
			}
			u.ids(int64(a.userID), int64(a.primaryGroup))
			if sid, _, _, err := windows.LookupSID("", u.Username); err == nil {
				u.UUID = tables.Some(sid.String())
			}
			out = append(out, u)
		}
		_ = windows.NetApiBufferFree(buf)
		if err == nil || read == 0 {
			return out, nil
		}
	}
}

// shell is what osquery names as every user's.
const shell = `C:\Windows\system32\cmd.exe`

func (u *User) ids(uid, gid int64) {
	u.UID, u.GID, u.UIDSigned, u.GIDSigned = uid, gid, int64(int32(uid)), int64(int32(gid))
}

// readProfiles are the folders of profiles by the SID of their user.
func readProfiles(q *tables.Query) map[string]string {
	out := map[string]string{}
	list, err := registry.OpenKey(registry.LOCAL_MACHINE, profileList, registry.ENUMERATE_SUB_KEYS|registry.WOW64_64KEY)
	if err != nil {
		q.Warn(fmt.Errorf("open registry key HKEY_LOCAL_MACHINE\\%s: %w", profileList, err))
		return out
	}
	defer list.Close()
	sids, err := list.ReadSubKeyNames(-1)
	if err != nil {
		q.Warn(fmt.Errorf("list the profiles: %w", err))
	}
	for _, sid := range sids {
		k, err := registry.OpenKey(registry.LOCAL_MACHINE, profileList+`\`+sid, registry.QUERY_VALUE|registry.WOW64_64KEY)
		if err != nil {
			q.Warn(fmt.Errorf("open the profile %s: %w", sid, err))
			continue
		}
		dir, _, err := k.GetStringValue("ProfileImagePath")
		k.Close()
		if err != nil && !errors.Is(err, registry.ErrNotExist) {
			q.Warn(fmt.Errorf("read the profile %s: %w", sid, err))
		}
		if full, err := registry.ExpandString(dir); err == nil {
			dir = full
		}
		out[sid] = dir
	}
	return out
}

// wellKnown are the accounts of Windows itself that have a profile.
var wellKnown = []string{"S-1-5-18", "S-1-5-19", "S-1-5-20"}

// profileUser is the user of a profile. One whose account is gone has no name.
func profileUser(q *tables.Query, sid, dir string) (User, bool) {
	s, err := windows.StringToSid(sid)
	if err != nil {
		if !strings.HasSuffix(sid, ".bak") { // a profile that Windows has set aside
			q.Warn(fmt.Errorf("the profile %q is of no user: %w", sid, err))
		}
		return User{}, false
	}
	u := User{Directory: dir, Shell: shell, UUID: tables.Some(sid), Type: tables.Some("roaming")}
	n := s.SubAuthorityCount()
	u.ids(int64(s.SubAuthority(uint32(n)-1)), -1)
	if slices.Contains(wellKnown, sid) {
		u.Type = tables.Some("special")
	}
	if name, _, _, err := s.LookupAccount(""); err == nil {
		u.Username = name
	}
	return u, true
}
