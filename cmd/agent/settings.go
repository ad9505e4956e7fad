package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/aiedr/edr/agent"
	"github.com/aiedr/edr/internal/settings"
)

// fileKeys names each flag's key in the -config file.
var fileKeys = map[string]string{
	"server": "server_addr", "interval": "scan_interval", "dirs": "monitor_dirs",
	"regs": "monitor_regs", "cert": "cert_file", "insecure": "insecure",
	"pubkey": "public_key_file", "quarantine": "quarantine_dir",
	"cpulimit": "cpu_limit", "debug": "debug", "data": "data",
	"enroll-file": "enroll_file", "respond": "respond", "content": "content",
	"extension": "extension", "extensions-socket": "extensions_socket",
	"osquery-tls": "osquery_tls",
}

const linuxDirs = "/etc,/bin,/usr/bin,/usr/sbin,/sbin,/usr/local/bin,/root/.ssh,/tmp,/var/tmp"

func defaultData() string {
	switch {
	case runtime.GOOS == "windows":
		return filepath.Join(os.Getenv("ProgramData"), "edr-agent")
	case os.Geteuid() == 0:
		return "/var/lib/edr-agent"
	}
	state, err := os.UserHomeDir()
	if err != nil {
		state = os.TempDir()
	}
	return filepath.Join(state, ".local", "state", "edr-agent")
}

func defaultDirs() string {
	if runtime.GOOS == "linux" {
		return linuxDirs
	}
	return ""
}

// raw is the flags as given.
type raw struct {
	server, dirs, regs, cert, pubkey, quarantine, config, data string
	enrollFile, respond, content                               string
	extension, extensionsSocket, osqueryTLS                    string
	interval                                                   time.Duration
	cpulimit                                                   float64
	insecure, debug                                            bool
}

func (r *raw) flags(out io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet("edr-agent", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.StringVar(&r.server, "server", "", "`URL` of the fleet server, such as https://edr.example:8443; without it the agent works alone")
	fs.DurationVar(&r.interval, "interval", 30*time.Second, "pace of polling sensors and of queries that name no interval")
	fs.StringVar(&r.dirs, "dirs", defaultDirs(), "folders to watch, separated by commas")
	fs.StringVar(&r.regs, "regs", "", "registry keys to watch, separated by commas (Windows)")
	fs.StringVar(&r.cert, "cert", "", "PEM `file` of a certificate to trust for the server's TLS")
	fs.BoolVar(&r.insecure, "insecure", false, "do not verify the server's TLS certificate; messages stay sealed and signed")
	fs.StringVar(&r.pubkey, "pubkey", "", "PEM `file` of the server's RSA public key")
	fs.StringVar(&r.quarantine, "quarantine", "", "`folder` for quarantined files (default: quarantine under -data)")
	fs.Float64Var(&r.cpulimit, "cpulimit", 5, "CPU limit in `percent` of one core")
	fs.BoolVar(&r.debug, "debug", false, "log more")
	fs.StringVar(&r.config, "config", "", "JSON `file` with the same settings; flags win over it")
	fs.StringVar(&r.data, "data", defaultData(), "`folder` of the agent's state")
	fs.StringVar(&r.enrollFile, "enroll-file", "", "`file` that holds the enrol token (or set EDR_ENROLL)")
	fs.StringVar(&r.respond, "respond", "observe", "how far rules may act: observe, approve or auto")
	fs.StringVar(&r.content, "content", "", "`folder` or file of packs and rules to run without a server (default: those built in)")
	fs.StringVar(&r.extension, "extension", "", "not built yet: osquery extension to start")
	fs.StringVar(&r.extensionsSocket, "extensions-socket", "", "not built yet: socket for osquery extensions")
	fs.StringVar(&r.osqueryTLS, "osquery-tls", "", "not built yet: server that speaks osquery's TLS API")
	return fs
}

// parseSettings reads flags and file, and checks what they say.
func parseSettings(args []string, out io.Writer) (agent.Settings, error) {
	var r raw
	fs := r.flags(out)
	if err := settings.Parse(fs, args, fileKeys); err != nil {
		return agent.Settings{}, err
	}
	return r.settings()
}

func (r *raw) settings() (agent.Settings, error) {
	s := agent.Settings{
		Server: strings.TrimRight(r.server, "/"), Interval: r.interval,
		Dirs: split(r.dirs), Regs: split(r.regs), CertFile: r.cert, Insecure: r.insecure,
		PublicKeyFile: r.pubkey, QuarantineDir: r.quarantine, CPULimit: r.cpulimit,
		Debug: r.debug, Data: r.data, Respond: r.respond, Content: r.content,
	}
	for name, val := range map[string]string{"extension": r.extension, "extensions-socket": r.extensionsSocket, "osquery-tls": r.osqueryTLS} {
		if val != "" {
			return s, fmt.Errorf("-%s: not built yet in this version; leave it out", name)
		}
	}
	if s.Server != "" {
		u, err := url.Parse(s.Server)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" {
			return s, fmt.Errorf("-server %q: want an https address such as https://edr.example:8443", r.server)
		}
	}
	if s.Interval < time.Second || s.Interval > 7*24*time.Hour {
		return s, fmt.Errorf("-interval %s: want between 1s and 168h", s.Interval)
	}
	if math.IsNaN(s.CPULimit) || s.CPULimit < 0.1 || s.CPULimit > 100*float64(runtime.NumCPU()) {
		return s, fmt.Errorf("-cpulimit %g: want between 0.1 and %d percent of one core", s.CPULimit, 100*runtime.NumCPU())
	}
	switch s.Respond {
	case "observe", "approve", "auto":
	default:
		return s, fmt.Errorf("-respond %q: want observe, approve or auto", s.Respond)
	}
	for _, dir := range s.Dirs {
		if !filepath.IsAbs(dir) {
			return s, fmt.Errorf("-dirs: %q is not an absolute path", dir)
		}
	}
	if s.Data == "" {
		return s, errors.New("-data: want a folder for the agent's state")
	}
	for flagName, file := range map[string]string{"cert": s.CertFile, "pubkey": s.PublicKeyFile, "content": s.Content, "enroll-file": r.enrollFile} {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			return s, fmt.Errorf("-%s: %w", flagName, err)
		}
	}
	if s.QuarantineDir == "" {
		s.QuarantineDir = filepath.Join(s.Data, "quarantine")
	}
	token, err := enrolToken(r.enrollFile)
	if err != nil {
		return s, err
	}
	s.EnrolToken = token
	return s, nil
}

// enrolToken never comes from the command line, which every user of the
// machine can read.
func enrolToken(file string) (string, error) {
	if file == "" {
		return strings.TrimSpace(os.Getenv("EDR_ENROLL")), nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("-enroll-file: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" {
		return "", fmt.Errorf("-enroll-file %s: the file is empty; make a token in the console under Hosts, or with edr-server enrol", file)
	}
	return token, nil
}

func split(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
