package account

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/aiedr/edr/tables"
)

// Group is a row of groups.
type Group struct {
	GID       int64              `col:"gid,index" doc:"Group ID, unsigned."`
	GIDSigned int64              `col:"gid_signed" doc:"Group ID as a signed 32-bit number."`
	Groupname string             `col:"groupname" doc:"Name of the group."`
	Members   string             `col:"members,ours" doc:"Names of the users listed as members, separated by commas; those whose primary group it is are not among them."`
	SID       tables.Opt[string] `col:"group_sid,index,hidden" doc:"SID on Windows; NULL elsewhere."`
	Comment   tables.Opt[string] `col:"comment,hidden" doc:"Windows only; NULL elsewhere."`
	IsHidden  tables.Opt[int32]  `col:"is_hidden,hidden" doc:"macOS only; NULL elsewhere."`
	PIDWithNS int32              `col:"pid_with_namespace,additional,hidden" doc:"Other namespaces are not read in this version: anything but 0 is an error."`
}

// Groups is the table of local groups.
var Groups = tables.New(tables.Spec[Group]{
	Name: "groups", Doc: "Local groups, as /etc/group lists them.",
	Examples: []string{
		"SELECT groupname, members FROM groups WHERE groupname IN ('sudo', 'wheel', 'docker')",
	},
	Class: tables.Inventory, Platforms: tables.Linux,
	Scan: scanGroups,
})

func scanGroups(ctx context.Context, q *tables.Query) iter.Seq2[Group, error] {
	return func(yield func(Group, error) bool) {
		if err := q.Host.Needs(tables.Linux); err != nil {
			yield(Group{}, err)
			return
		}
		if err := q.Unbuilt("pid_with_namespace"); err != nil {
			yield(Group{}, err)
			return
		}
		data, err := q.Host.Root.ReadFile("/etc/group", maxAccountFile)
		if err != nil {
			yield(Group{}, err)
			return
		}
		gids, byGID := q.Ints("gid")
		for n, line := range lines(data) {
			g, ok, err := parseGroup(line)
			if err != nil {
				q.Warn(fmt.Errorf("/etc/group line %d: %w", n, err))
			}
			if !ok || byGID && !slices.Contains(gids, g.GID) {
				continue
			}
			if !yield(g, nil) {
				return
			}
		}
	}
}

// parseGroup reads one line of group(5), as parsePasswd does of passwd(5).
func parseGroup(line string) (g Group, ok bool, err error) {
	if skippable(line) {
		return g, false, nil
	}
	f := strings.Split(line, ":")
	if len(f) != 4 {
		return g, false, fmt.Errorf("%d fields instead of 4", len(f))
	}
	if f[0] == "" {
		return g, false, fmt.Errorf("the group name is empty")
	}
	gid, err := parseID(f[2])
	if err != nil {
		return g, false, fmt.Errorf("group ID %w", err)
	}
	return Group{GID: int64(gid), GIDSigned: int64(int32(gid)), Groupname: f[0], Members: f[3]}, true, nil
}
