package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aiedr/edr/response"
)

// responseOptions are what the actions must know of this agent.
func (a *Agent) responseOptions() response.Options {
	o := response.Options{QuarantineDir: absolute(a.settings.QuarantineDir), Protected: []string{absolute(a.settings.Data)}}
	for _, file := range []string{a.settings.CertFile, a.settings.PublicKeyFile, a.settings.Content} {
		if file != "" {
			o.Protected = append(o.Protected, absolute(file))
		}
	}
	if exe, err := os.Executable(); err == nil {
		o.Protected = append(o.Protected, exe)
	}
	if a.settings.Server != "" {
		o.Server = (&serverAddresses{server: a.settings.Server, lookup: net.DefaultResolver.LookupNetIP}).now
	}
	return o
}

// absolute is the path from the root; a path that cannot be made so stays as
// it is, and what uses it says what is wrong with it.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// serverAddresses knows by which addresses the agent reaches its server. It
// remembers all it has seen: a name that cannot be looked up just now, or that
// somebody has turned elsewhere, must not open the way to cutting the agent off.
type serverAddresses struct {
	server string // https URL
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

	mu   sync.Mutex
	seen []netip.Addr
}

// lookupTime bounds the asking for the server's name.
const lookupTime = 5 * time.Second

func (s *serverAddresses) now(ctx context.Context) ([]netip.Addr, error) {
	hosts, err := s.hosts()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range hosts {
		found, lookupErr := s.addresses(ctx, h)
		if lookupErr != nil {
			err = fmt.Errorf("look up %s, by which the agent reaches its server: %w", h, lookupErr)
		}
		for _, a := range found {
			s.remember(a.Unmap().WithZone(""))
		}
	}
	if len(s.seen) == 0 {
		return nil, err
	}
	return s.seen, nil
}

func (s *serverAddresses) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	return s.lookup(ctx, "ip", host)
}

// hosts are the server and, where one stands between, the proxy.
func (s *serverAddresses) hosts() ([]string, error) {
	u, err := url.Parse(s.server)
	if err != nil {
		return nil, err
	}
	hosts := []string{u.Hostname()}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	if err != nil {
		return nil, fmt.Errorf("read the proxy of the environment: %w", err)
	}
	if proxy != nil {
		hosts = append(hosts, proxy.Hostname())
	}
	return hosts, nil
}

func (s *serverAddresses) remember(a netip.Addr) {
	for _, b := range s.seen {
		if a == b {
			return
		}
	}
	s.seen = append(s.seen, a)
}

// standing are the blocks and quarantined files that are there, and what could
// not be read of them.
type standing struct {
	Quarantine []response.Quarantined `json:"quarantine"`
	Blocks     []response.Block       `json:"blocks"`
	Errors     []string               `json:"errors,omitempty"`
}

func (a *Agent) standing() standing {
	s := standing{Quarantine: []response.Quarantined{}, Blocks: []response.Block{}}
	note := func(err error) {
		if err != nil && !errors.Is(err, response.ErrNotSupported) {
			s.Errors = append(s.Errors, err.Error())
		}
	}
	items, err := response.ListQuarantine(a.detector.respond.QuarantineDir)
	s.Quarantine = append(s.Quarantine, items...)
	note(err)
	blocks, err := response.Blocks()
	s.Blocks = append(s.Blocks, blocks...)
	note(err)
	return s
}

// takeOver goes on with the blocks of an agent before this one.
func (a *Agent) takeOver() {
	blocks, err := response.Reconcile()
	switch {
	case errors.Is(err, response.ErrNotSupported), errors.Is(err, os.ErrPermission) && len(blocks) == 0:
		a.log.Debug("blocked connections", "error", err) // block_connection says it, where it is asked for
	case err != nil:
		a.problems.tell("blocked connections", err)
	case len(blocks) > 0:
		a.log.Info("connections are blocked", "blocks", len(blocks))
	}
}
