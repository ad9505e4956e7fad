package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/web"
)

const chromium = "/usr/bin/chromium"

// TestConsole walks through the console in a real browser against a real
// server and agent: log in, ask a live query, see an alert come, kill.
func TestConsole(t *testing.T) {
	testneed.Root(t)
	if _, built := web.Dist(); !built {
		testneed.Missing(t, "the built console (make web)")
	}
	if _, err := os.Stat(chromium); err != nil {
		testneed.Missing(t, "Debian's chromium")
	}
	if _, err := os.Stat(filepath.Join("node_modules", "playwright-core")); err != nil {
		testneed.Missing(t, "playwright-core (npm ci in e2e)")
	}
	f := newFleet(t, "-dirs", "/nonexistent-edr-e2e", "-cpulimit", "100")
	cmd := exec.Command("node", "--test", "console.test.mjs")
	cmd.Env = append(os.Environ(), "EDR_E2E_URL="+f.url, "EDR_E2E_USER=admin", "EDR_E2E_PASSWORD="+password)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("the browser's walk through the console failed: %v", err)
	}
}
