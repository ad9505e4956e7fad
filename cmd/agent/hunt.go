package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/aiedr/edr/queries/content"
	"github.com/aiedr/edr/queries/document"
	"github.com/aiedr/edr/queries/hunt"
	"github.com/aiedr/edr/queries/rule"
)

// pathList is a flag that may be given several times.
type pathList []string

func (l *pathList) String() string     { return strings.Join(*l, ",") }
func (l *pathList) Set(s string) error { *l = append(*l, s); return nil }

func runHunt(ctx context.Context, args []string, out, errs io.Writer) error {
	fs := flag.NewFlagSet("edr-agent hunt", flag.ContinueOnError)
	fs.SetOutput(errs)
	asJSON := fs.Bool("json", false, "a JSON object for each match")
	asCSV := fs.Bool("csv", false, "comma-separated values with a header")
	var paths pathList
	fs.Var(&paths, "rules", "file or folder of `rules` to use in place of the embedded ones; may be given several times")
	if err := fs.Parse(args); err != nil {
		return quiet(err)
	}
	if fs.NArg() == 0 {
		return usageError{"hunt: want files or folders of evidence: EVTX files, registry hives, task XML, JSON lines"}
	}
	if *asJSON && *asCSV {
		return usageError{"hunt: want one of -json and -csv"}
	}
	format := "text"
	if *asJSON {
		format = "json"
	} else if *asCSV {
		format = "csv"
	}
	s := &hunting{errs: errs, print: newMatchPrinter(format, out), byKind: map[string]int{}, byRule: map[string]int64{}}
	rules, err := s.rules(paths)
	if err != nil {
		return err
	}
	s.hunter = hunt.New(rules, s.match)
	if s.hunter.Rules() == 0 {
		return errors.New("hunt: there is no rule that is enabled and has no problem; edr-agent check PATH says what is wrong")
	}
	for _, name := range fs.Args() {
		s.evidence(ctx, name)
		if err := ctx.Err(); err != nil {
			s.fail("the hunt was stopped: %v", err)
			break
		}
	}
	if err := s.print.end(); err != nil {
		return fmt.Errorf("hunt: write the matches: %w", err)
	}
	s.summary()
	switch {
	case s.written != nil:
		return fmt.Errorf("hunt: write the matches: %w", s.written)
	case s.failures > 0:
		return errSaid
	}
	return nil
}

// hunting is one run of the command.
type hunting struct {
	errs   io.Writer
	print  matchPrinter
	hunter *hunt.Hunter

	files    int // read, at least in part
	byKind   map[string]int
	byRule   map[string]int64
	broken   int // files with something that could not be read
	ignored  int // files of a folder that are none of the kinds
	failures int
	written  error // the first failure to print
}

// maxIgnoredShown is how many files of other kinds are named; the rest is
// counted.
const maxIgnoredShown = 20

func (s *hunting) fail(format string, args ...any) {
	s.failures++
	fmt.Fprintf(s.errs, "error: %s\n", visible(fmt.Sprintf(format, args...)))
}

func (s *hunting) ignore(name, why string) {
	if s.ignored++; s.ignored <= maxIgnoredShown {
		fmt.Fprintf(s.errs, "left out: %s: %s\n", visible(name), visible(why))
	}
}

func (s *hunting) match(m hunt.Match) {
	s.byRule[m.Rule.ID]++
	if err := s.print.match(m); err != nil && s.written == nil {
		s.written = err
	}
}

// rules are the embedded ones, or those of the paths. A problem costs its rule
// and is said.
func (s *hunting) rules(paths []string) ([]*rule.Rule, error) {
	if len(paths) == 0 {
		return content.LoadRules()
	}
	var all []*rule.Rule
	seen := map[string]*rule.Rule{}
	for _, p := range paths {
		err := filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir():
				return nil
			case !ruleFile(name) && name != p:
				return nil
			}
			found, err := s.ruleFile(name)
			if err != nil {
				s.fail("rules: %v", err)
				return nil
			}
			for _, r := range found {
				if first := seen[r.ID]; first != nil {
					s.fail("rules: %s:%d: rule %s is also in %s:%d, which is used", name, r.Line, r.ID, first.File, first.Line)
					continue
				}
				seen[r.ID] = r
				all = append(all, r)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("hunt: read the rules: %w", err)
		}
	}
	return all, nil
}

func ruleFile(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".json", ".yaml", ".yml":
		return true
	}
	return false
}

func (s *hunting) ruleFile(name string) ([]*rule.Rule, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > document.MaxBytes {
		return nil, fmt.Errorf("%s: no regular file of at most %d bytes", name, document.MaxBytes)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if roots, p := document.Parse(name, text); p == nil && len(roots) > 0 && roots[0].Get("detection") != nil {
		return nil, fmt.Errorf("%s: a Sigma rule, which hunt does not read in this version", name)
	}
	rules, problems := rule.Load(name, text)
	for _, p := range problems {
		s.fail("rules: %s", p.Error())
	}
	return rules, nil
}

func (s *hunting) summary() {
	kinds := ""
	for _, k := range []string{kindEVTX, kindHive, kindTask, kindJSON} {
		if n := s.byKind[k]; n > 0 {
			kinds += fmt.Sprintf(", %d %s", n, k)
		}
	}
	if kinds != "" {
		kinds = " (" + strings.TrimPrefix(kinds, ", ") + ")"
	}
	if s.ignored > maxIgnoredShown {
		fmt.Fprintf(s.errs, "left out: %d more files of other kinds\n", s.ignored-maxIgnoredShown)
	}
	fmt.Fprintf(s.errs, "%d files read%s, %d records, %d rules, %d matches of %d rules; %d files with errors, %d files left out\n",
		s.files, kinds, s.hunter.Records(), s.hunter.Rules(), s.hunter.Matches(), len(s.byRule), s.broken, s.ignored)
	if n := s.hunter.Failed(); n > 0 {
		s.fail("%d comparisons ended in an internal error; report this as a bug", n)
	}
}
