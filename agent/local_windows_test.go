package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

func TestDataFolderIsClosedToOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := lockData(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := lockData(dir); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second agent: %v", err)
	}
	if windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil {
		t.Skip("wine's rights are those of the Unix folder below it: whether others are kept out is seen on a Windows alone")
	}
	sd, err := windows.GetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		t.Fatal(err)
	}
	// BU are the users, WD is everyone, AU who has logged on.
	if text := sd.String(); strings.Contains(text, ";BU)") || strings.Contains(text, ";WD)") || strings.Contains(text, ";AU)") {
		t.Errorf("others may reach it: %s", text)
	}
}
