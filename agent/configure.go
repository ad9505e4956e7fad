package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/aiedr/edr/queries/content"
	"github.com/aiedr/edr/queries/document"
	"github.com/aiedr/edr/queries/pack"
	"github.com/aiedr/edr/queries/rule"
	"github.com/aiedr/edr/tables/engine"
	"github.com/aiedr/edr/wire"
)

// configured is the configuration in force and where it is kept, so that an
// agent that starts without its server goes on as before.
type configured struct {
	path string

	mu   sync.Mutex
	now  wire.Configuration
	ok   bool // everything in it could be used
	sum  string
	from string        // "server", "built in" or the -content path
	come chan struct{} // closed once there is one
}

func (c *configured) hash() (sum string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sum, c.ok
}

func (c *configured) serial() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.Serial
}

func (c *configured) set(cfg wire.Configuration, ok bool, from string) error {
	b, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sum == "" {
		close(c.come)
	}
	c.now, c.ok, c.sum, c.from = cfg, ok, hex.EncodeToString(sum[:]), from
	return nil
}

// openDetection loads the configuration to start with: the server's last, or
// without a server that of -content, or the built-in one.
func (a *Agent) openDetection() error {
	a.config = &configured{path: a.configPath(), come: make(chan struct{})}
	var err error
	if a.packs, err = newPacks(a); err != nil {
		return err
	}
	if a.client != nil {
		if a.last.err != nil {
			a.problems.tell("configuration", a.last.err)
		}
		if a.last.found {
			a.use(a.last.cfg, "server")
		}
		return nil // without one, firstRules waits for the server's
	}
	if a.settings.Content != "" {
		return a.useFolder(a.settings.Content)
	}
	cfg, err := builtIn()
	if err != nil {
		return err
	}
	a.use(cfg, "built in")
	return nil
}

// firstConfig is how long a new host waits for its server's configuration
// before it goes by the built-in one: what was switched off on the server must
// not raise alerts here, and a server out of reach must not leave it blind.
const firstConfig = 30 * time.Second

// firstRules returns when a configuration is in force. Events of the time
// before are recorded, and matched then.
func (a *Agent) firstRules(ctx context.Context) {
	timer := time.NewTimer(firstConfig)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-a.config.come:
	case <-timer.C:
		cfg, err := builtIn()
		if err != nil {
			a.problems.tell("configuration", err)
			return
		}
		a.log.Warn("the server has given no configuration yet: going by the built-in one")
		a.use(cfg, "built in")
	}
}

// builtIn is the embedded content as a configuration.
func builtIn() (cfg wire.Configuration, err error) {
	if cfg.Rules, err = content.Rules(); err != nil {
		return cfg, err
	}
	if cfg.Packs, err = content.Packs(); err != nil {
		return cfg, err
	}
	for _, c := range engine.AllClasses() {
		cfg.Classes = append(cfg.Classes, string(c))
	}
	return cfg, nil
}

// apply takes a configuration that the server signed.
func (a *Agent) apply(_ context.Context, cfg wire.Configuration) error {
	if err := writeState(a.config.path, cfg); err != nil {
		return fmt.Errorf("keep the configuration: %w", err)
	}
	a.use(cfg, "server")
	a.health.soon()
	return nil
}

// use puts a configuration in force. What is wrong with a part of it is told,
// and the rest is used.
func (a *Agent) use(cfg wire.Configuration, from string) {
	ok := true
	tell := func(problems []document.Problem) {
		for _, p := range problems {
			ok = ok && p.Warning
			a.problems.tell("configuration", p)
		}
	}
	var rules []*rule.Rule
	for _, d := range cfg.Rules {
		loaded, problems := rule.Load(d.Name+".json", d.Text)
		rules = append(rules, loaded...)
		tell(problems)
	}
	packs := &pack.Config{}
	for _, d := range cfg.Packs {
		loaded, problems := pack.Load(d.Name+".json", d.Text, nil)
		tell(problems)
		if loaded != nil {
			tell(packs.Add(loaded))
		}
	}
	a.install(cfg, rules, packs, ok, from)
}

func (a *Agent) install(cfg wire.Configuration, rules []*rule.Rule, packs *pack.Config, ok bool, from string) {
	a.policy.set(cfg.Approvals)
	a.applySettings(cfg.Settings)
	a.detector.setRules(rules, runtime.GOOS)
	a.packs.set(packs, cfg.Classes)
	if err := a.config.set(cfg, ok, from); err != nil {
		a.problems.tell("configuration", err)
	}
	a.quicken()
	a.log.Info("configuration in force", "from", from, "serial", cfg.Serial, "rules", len(rules), "packs", len(packs.Packs), "whole", ok)
}

// quicken has capture read more often while a rule could act on what it shows.
func (a *Agent) quicken() {
	if a.policy.mayAct() {
		a.sensors.SetDrain(actDrain)
	} else {
		a.sensors.SetDrain(0)
	}
}

// useFolder loads a file or folder of rules and packs, for an agent that works
// alone. Anything wrong is told, and the rest is used.
func (a *Agent) useFolder(path string) error {
	var rules []*rule.Rule
	packs := &pack.Config{}
	ok, found := true, 0
	tell := func(problems []document.Problem) {
		for _, p := range problems {
			ok = ok && p.Warning
			a.problems.tell("-content", p)
		}
	}
	err := filepath.WalkDir(path, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() || !d.Type().IsRegular() || !contentFile(name) {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			ok = false
			a.problems.tell("-content", err)
			return nil
		}
		found++
		if isRules(name, text) {
			loaded, problems := rule.Load(name, text)
			rules = append(rules, loaded...)
			tell(problems)
			return nil
		}
		loaded, problems := pack.LoadPath(name)
		tell(problems)
		if loaded != nil {
			tell(packs.Add(loaded))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("-content: %w", err)
	}
	if found == 0 {
		return errors.New("-content " + path + ": there is no .json, .conf, .yaml, .yml or .sql file in it")
	}
	cfg := wire.Configuration{}
	for _, c := range engine.AllClasses() {
		cfg.Classes = append(cfg.Classes, string(c))
	}
	a.install(cfg, rules, packs, ok, path)
	return nil
}

func contentFile(name string) bool {
	switch filepath.Ext(name) {
	case ".json", ".conf", ".yaml", ".yml", ".sql":
		return true
	}
	return false
}

// isRules says whether a file holds rules rather than packs.
func isRules(name string, text []byte) bool {
	if filepath.Ext(name) == ".sql" {
		return false
	}
	roots, problem := document.Parse(name, text)
	if problem != nil || len(roots) == 0 {
		return true // the loader of rules says what is wrong with it
	}
	n := roots[0]
	if n.Kind == document.List {
		return true
	}
	return rule.IsRule(n)
}
