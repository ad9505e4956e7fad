package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aiedr/edr/wire/seal"
)

// keys makes, shows and changes the server's keys. A running server takes up
// what changed within seconds.
func (e *env) keys(_ context.Context, args []string) error {
	var s settings
	var config string
	fs := e.newFlags("edr-server keys", &s, &config)
	rest, err := e.parse(fs, &s, &config, args)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return usagef("keys: say what to do: init, show, ca, rotate, revoke, prepare, sign or install")
	}
	want := map[string]int{"init": 1, "show": 1, "ca": 1, "rotate": 1, "revoke": 1, "prepare": 2, "sign": 4, "install": 2}
	n, ok := want[rest[0]]
	if !ok {
		return usagef("keys: there is no %q; there is init, show, ca, rotate, revoke, prepare, sign and install", rest[0])
	}
	if len(rest) != n {
		return usagef("keys %s: it takes %d argument(s), not %d; see edr-server help", rest[0], n-1, len(rest)-1)
	}
	if rest[0] == "sign" { // where the root is, which need not be here
		return e.keysSign(rest[1], rest[2], rest[3])
	}
	dir := filepath.Join(s.Data, "keys")
	if _, err := os.Stat(dir); os.IsNotExist(err) && rest[0] != "init" {
		return fmt.Errorf("keys %s: there are no keys in %s; give -data, or make them: edr-server keys init", rest[0], dir)
	}
	k, err := e.openKeys(&s, newLog(e.stderr, s.Debug))
	if err != nil {
		return err
	}
	switch rest[0] {
	case "ca":
		_, err = e.stdout.Write(k.CAPEM())
		return err
	case "rotate":
		err = k.Rotate()
	case "revoke":
		err = k.Revoke()
	case "prepare":
		err = keysPrepare(k, rest[1])
	case "install":
		var doc []byte
		if doc, err = os.ReadFile(rest[1]); err == nil {
			err = k.Install(doc)
		}
	}
	if err != nil {
		return fmt.Errorf("keys %s: %w", rest[0], err)
	}
	set := k.KeySet()
	fmt.Fprintf(e.stdout, "folder            %s\nroot fingerprint  %x\nkey set           %d, from %s to %s\npublic key        %s\nCA                %s\n",
		dir, k.RootFingerprint(), set.Serial, set.NotBefore.Format("2006-01-02"), set.NotAfter.Format("2006-01-02"),
		filepath.Join(dir, "server-public.pem"), filepath.Join(dir, "ca.pem"))
	return nil
}

func keysPrepare(k *seal.ServerKeys, out string) error {
	unsigned, err := k.Prepare(false)
	if err != nil {
		return err
	}
	return os.WriteFile(out, unsigned, 0o600)
}

func (e *env) keysSign(root, in, out string) error {
	unsigned, err := os.ReadFile(in)
	if err != nil {
		return fmt.Errorf("keys sign: %w", err)
	}
	doc, err := seal.SignKeySet(root, unsigned)
	if err != nil {
		return fmt.Errorf("keys sign: %w", err)
	}
	if err := os.WriteFile(out, doc, 0o644); err != nil {
		return fmt.Errorf("keys sign: %w", err)
	}
	fmt.Fprintf(e.stdout, "wrote %s: take it to the server and run edr-server keys install\n", out)
	return nil
}
