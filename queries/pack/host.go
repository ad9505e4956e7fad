package pack

import (
	"crypto/sha1"
	"strconv"
	"strings"
)

// OsqueryVersion is the version of osquery whose tables and packs this
// product answers to; the version of a pack or query is compared with it.
const OsqueryVersion = "5.19.0"

// Runs is osquery's test of a platform, by substrings and minding case: empty,
// "any" and "all" are every system; linux, ubuntu, centos and posix are Linux.
func Runs(platform, goos string) bool {
	if platform == "" || platform == "null" || strings.Contains(platform, "any") || strings.Contains(platform, "all") {
		return true
	}
	has := func(names ...string) bool {
		for _, n := range names {
			if strings.Contains(platform, n) {
				return true
			}
		}
		return false
	}
	if goos != "windows" && has("posix") {
		return true
	}
	if goos == "linux" {
		return has("linux", "ubuntu", "centos")
	}
	return has(goos)
}

// VersionAtLeast says whether have is want or later; an empty want always is met.
func VersionAtLeast(have, want string) bool {
	h, w := versionParts(have), versionParts(want)
	for i := range max(len(h), len(w)) {
		var a, b int
		if i < len(h) {
			a = h[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return a > b
		}
	}
	return true
}

func versionParts(v string) []int {
	var out []int
	for _, p := range strings.Split(strings.TrimSpace(v), ".") {
		end := 0
		for end < len(p) && p[end] >= '0' && p[end] <= '9' {
			end++
		}
		n, err := strconv.Atoi(p[:end])
		if err != nil {
			break
		}
		out = append(out, n)
	}
	return out
}

// ShardOf is a host's shard, 0 to 100, as osquery computes it.
func ShardOf(hostname string) int64 {
	sum := sha1.Sum([]byte(hostname))
	return int64(sum[0]) * 100 / 255
}

// InShard says whether a host of this shard runs what is meant for a
// percentage of hosts; 0 is all of them.
func InShard(percent, shard int64) bool { return percent <= 0 || percent >= shard }
