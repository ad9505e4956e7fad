// Package testneed skips a test that the machine cannot run, and fails it
// instead where the environment promises that it can.
package testneed

import (
	"os"
	"strings"
	"testing"
)

// Root needs the test to run as root.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "root")
	}
}

// Missing ends the test: what it needs is not here. Under
// EDR_TEST_REQUIRE=all that is a failure.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("EDR_TEST_REQUIRE") == "all" {
		t.Fatalf("needs %s, and EDR_TEST_REQUIRE=all says that it is here", what)
	}
	tell(t, what)
	t.Skipf("needs %s", what)
}

// tell writes to the file EDR_TEST_SKIPPED, if there is one, what is skipped:
// go test itself is silent about it.
func tell(t testing.TB, what string) {
	path := os.Getenv("EDR_TEST_SKIPPED")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Logf("tell what is skipped: %v", err)
		return
	}
	defer f.Close()
	if _, err := f.WriteString(t.Name() + ": needs " + strings.ReplaceAll(what, "\n", " ") + "\n"); err != nil {
		t.Logf("tell what is skipped: %v", err)
	}
}

// Shared is the folder of reference data beside the repository; a test that
// reads it skips where it is absent, whatever the environment promises.
func Shared(t testing.TB, fromRoot string) string {
	t.Helper()
	dir := fromRoot + "/../shared/reference"
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the reference data is not beside the repository: %v", err)
	}
	return dir
}
