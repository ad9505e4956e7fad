package agent

import (
	"os/user"
	"strconv"
	"sync"
	"time"
)

// userNames remembers the names of users: a rule asks for one at each event,
// and the machine's user database may be far away. A name that is older than
// its time is looked up again, since users are renamed and made.
type userNames struct {
	now    func() time.Time
	lookup func(uid string) (*user.User, error)

	mu    sync.Mutex
	names map[int64]userName
}

type userName struct {
	name string
	at   time.Time
}

const (
	userNameLife = time.Minute
	maxUserNames = 4096
)

func newUserNames(now func() time.Time) *userNames {
	return &userNames{now: now, lookup: user.LookupId, names: map[int64]userName{}}
}

// of is the name of a uid, or empty where it has none or the uid is unknown.
func (u *userNames) of(uid int64) string {
	if uid < 0 {
		return ""
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.now()
	if n, ok := u.names[uid]; ok && now.Sub(n.at) < userNameLife {
		return n.name
	}
	name := ""
	if found, err := u.lookup(strconv.FormatInt(uid, 10)); err == nil {
		name = found.Username
	}
	if len(u.names) >= maxUserNames {
		clear(u.names)
	}
	u.names[uid] = userName{name, now}
	return name
}
