package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"github.com/aiedr/edr/queries/content"
	"github.com/aiedr/edr/queries/rule"
)

// Rules matches process events, nearly all ordinary, against all embedded
// rules that look at them, and against the same conditions given to expr as
// they are, over a map of lower-cased fields.
func Rules(w io.Writer) error {
	all, err := content.LoadRules()
	if err != nil {
		return err
	}
	set := rule.NewSet(all, "")
	var rules []*rule.Rule
	for _, r := range set.Rules() {
		if r.Type == rule.TypeProcess || r.Type == rule.TypeAttack {
			rules = append(rules, r)
		}
	}
	peers := make([]*vm.Program, len(rules))
	for i, r := range rules {
		if peers[i], err = plainExpr(r); err != nil {
			return fmt.Errorf("give rule %s to expr: %w", r.ID, err)
		}
	}
	lines := processLines()
	run := func(n int, match func(line string, ev *rule.Event) (int, error)) (hits int, took time.Duration, err error) {
		var ev rule.Event
		begin := time.Now()
		for i := range n {
			line := lines[i%len(lines)]
			ev.Reset()
			fillEvent(&ev, line, i)
			k, err := match(line, &ev)
			if err != nil {
				return 0, 0, err
			}
			hits += k
		}
		return hits, time.Since(begin), nil
	}
	ours := func(_ string, ev *rule.Event) (int, error) {
		n := 0
		set.Match(ev, func(*rule.Rule) { n++ })
		return n, nil
	}
	machine := vm.VM{}
	plain := func(_ string, ev *rule.Event) (int, error) {
		n := 0
		env := plainEnv(ev)
		for _, p := range peers {
			out, err := machine.Run(p, env)
			if err != nil {
				return 0, err
			}
			if out == true {
				n++
			}
		}
		return n, nil
	}
	events := 20 * len(lines)
	ourHits, _, err := run(events, ours)
	if err != nil {
		return err
	}
	peerHits, _, err := run(events, plain)
	if err != nil {
		return err
	}
	if ourHits != peerHits || ourHits == 0 {
		return fmt.Errorf("%d hits of ours, %d of plain expr: they must be the same", ourHits, peerHits)
	}
	n := 2000 * len(lines)
	_, ourTime, err := run(n, ours)
	if err != nil {
		return err
	}
	m := 20 * len(lines)
	_, peerTime, err := run(m, plain)
	if err != nil {
		return err
	}
	our, peer := float64(ourTime.Nanoseconds())/float64(n), float64(peerTime.Nanoseconds())/float64(m)
	fmt.Fprintf(w, "%d rules over process events, %d of %d events hit\n", len(rules), ourHits, events)
	fmt.Fprintf(w, "edr         %8.0f ns an event, %9.0f events/s\n", our, 1e9/our)
	fmt.Fprintf(w, "plain expr  %8.0f ns an event, %9.0f events/s, %.1f x ours\n", peer, 1e9/peer, peer/our)
	return nil
}

func processLines() []string {
	return []string{
		"/usr/sbin/sshd -D -R", "/bin/sh -c command -v debian-sa1 > /dev/null && debian-sa1 1 1", "ls -la --color=auto /etc/nginx",
		"git -c core.quotePath=false status --porcelain=v2 --branch", "/usr/lib/apt/apt-helper wait-online",
		"/usr/bin/python3 /usr/bin/unattended-upgrade --download-only", "curl -sS -o /dev/null -w %{http_code} https://example.net/health",
		"systemctl is-active nginx.service", "/usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/15/main -c config_file=/etc/postgresql/15/main/postgresql.conf",
		"java -Xms512m -Xmx2g -XX:+UseG1GC -Dfile.encoding=UTF-8 -cp /opt/app/lib/a.jar:/opt/app/lib/b.jar com.example.Main --port 8080",
		"gcc -O2 -g -Wall -Wextra -I/usr/include/x86_64-linux-gnu -c -o build/main.o src/main.c", "awk {print $1,$2} /proc/loadavg",
		"bash -c for i in $(seq 1 10); do echo $i; done", "/usr/sbin/logrotate /etc/logrotate.conf", "ps -eo pid,ppid,comm,args --no-headers",
		"docker-containerd-shim -namespace moby -workdir /var/lib/containerd/io.containerd.runtime.v1.linux/moby/0123456789abcdef",
		"grep -rn TODO --include=*.go .", "tar --zstd -xf /srv/backup/2026-03-02.tar.zst -C /srv/restore", "sed -i s/a/b/ /etc/app/app.conf",
		"node /opt/app/node_modules/.bin/webpack --mode production", "/tmp/xmrig -o stratum+tcp://pool.example.net:3333",
	}
}

func fillEvent(ev *rule.Event, line string, i int) {
	name, _, _ := strings.Cut(line, " ")
	path := name
	if !strings.HasPrefix(path, "/") {
		path = "/usr/bin/" + name
	}
	ev.Type, ev.Action, ev.Time = rule.TypeProcess, "exec", time.Unix(1_772_460_000+int64(i), 0).UTC()
	ev.Process = rule.Process{PID: int64(1000 + i), PPID: 999, UID: 1000, Name: name[strings.LastIndexByte(name, '/')+1:], Path: path, Command: line, User: "alice"}
	ev.Ancestors = append(ev.Ancestors, rule.Process{PID: 999, Name: "bash", Path: "/usr/bin/bash", Command: "-bash"},
		rule.Process{PID: 900, Name: "sshd", Path: "/usr/sbin/sshd", Command: "sshd: alice@pts/0"}, rule.Process{PID: 1, Name: "systemd", Path: "/usr/lib/systemd/systemd"})
}

func plainEnv(ev *rule.Event) map[string]any {
	env := map[string]any{}
	put := func(name, v string) { env[name], env["raw_"+name] = strings.ToLower(v), v }
	p, parent := ev.Process, ev.Ancestors[0]
	put("name", p.Name)
	put("path", p.Path)
	put("command", p.Command)
	put("user", p.User)
	put("parent_name", parent.Name)
	put("parent_path", parent.Path)
	put("parent_command", parent.Command)
	put("action", ev.Action)
	put("time", ev.Time.Format("15:04"))
	var ancestors []string
	for _, a := range ev.Ancestors {
		ancestors = append(ancestors, strings.ToLower(a.Name), strings.ToLower(a.Path))
	}
	env["ancestors"] = ancestors
	env["uid"], env["pid"], env["hour"] = p.UID, p.PID, int64(ev.Time.Hour())
	return env
}

// plainExpr writes a rule in expr's own operators.
func plainExpr(r *rule.Rule) (*vm.Program, error) {
	var parts []string
	for _, c := range r.Conditions {
		e, err := rule.Parse(c)
		if err != nil {
			return nil, err
		}
		parts = append(parts, "("+plainText(e)+")")
	}
	word := " or "
	if r.MatchAll {
		word = " and "
	}
	return expr.Compile(strings.Join(parts, word), expr.Env(plainEnv(&rule.Event{Ancestors: make([]rule.Process, 1)})), expr.AsBool())
}

func plainText(e rule.Expr) string {
	join := func(terms []rule.Expr, word string) string {
		var out []string
		for _, t := range terms {
			out = append(out, plainText(t))
		}
		return "(" + strings.Join(out, word) + ")"
	}
	switch e := e.(type) {
	case rule.And:
		return join(e.Terms, " and ")
	case rule.Or:
		return join(e.Terms, " or ")
	case rule.Not:
		return "not (" + plainText(e.Term) + ")"
	case rule.Compare:
		var out []string
		for _, v := range e.Values {
			out = append(out, plainCompare(e, v))
		}
		return "(" + strings.Join(out, " or ") + ")"
	}
	return "false"
}

func plainCompare(c rule.Compare, v rule.Literal) string {
	field, value := strings.ToLower(c.Field), strconv.Quote(strings.ToLower(v.Text))
	if v.Number {
		value = v.Text
	}
	op := map[rule.Op]string{rule.Equal: "==", rule.In: "==", rule.NotEqual: "!=", rule.StartsWith: "startsWith", rule.EndsWith: "endsWith"}[c.Op]
	if op == "" {
		op = string(c.Op)
	}
	if c.Op == rule.Matches {
		field, value = "raw_"+field, strconv.Quote(v.Text)
	}
	if field == "ancestors" {
		return "any(ancestors, # " + op + " " + value + ")"
	}
	return field + " " + op + " " + value
}
