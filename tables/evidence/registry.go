package evidence

import (
	"context"
	"errors"
	"iter"

	"github.com/aiedr/edr/tables"
)

// RegistryValue is a row of registry.
type RegistryValue struct {
	Key          string `col:"key,additional,optimized" doc:"Key that the value or subkey is in, such as HKEY_LOCAL_MACHINE\\SOFTWARE. Of evidence it begins where the hive belongs: HKEY_LOCAL_MACHINE\\SOFTWARE, SYSTEM, SAM or SECURITY by the hive's own path or its file's name; HKEY_USERS and the user's folder for NTUSER.DAT, with _Classes for UsrClass.dat; else the file's name."`
	Path         string `col:"path,index,optimized" doc:"Key and name together."`
	Name         string `col:"name" doc:"Name of the value or subkey; (Default) for the value without a name."`
	Type         string `col:"type" doc:"Type of the value, such as REG_SZ, or subkey."`
	Data         string `col:"data" doc:"Data of the value as text: numbers in decimal, several texts joined by commas, bytes in hexadecimal."`
	MTime        int64  `col:"mtime" doc:"Last write to the key, or to the subkey itself, in seconds since the Unix epoch."`
	Evidence     string `col:"evidence,index,optimized,ours" doc:"Hive file or folder of hives to read instead of the live registry, as asked; empty for the live one."`
	EvidenceFile string `col:"evidence_file,ours" doc:"Hive that the row was read from; empty for the live registry."`
}

// Registry is the table of the Windows registry.
var Registry = tables.New(tables.Spec[RegistryValue]{
	Name: "registry", Doc: "Keys and values of the Windows registry, live or, on any system, of hive files given as evidence. In LIKE on key or path % stands for any text within one name, and %% at the end for everything below, as in osquery; of evidence a pattern that begins with % looks through whole hives, as does a statement that constrains neither.",
	Examples: []string{
		`SELECT name, data FROM registry WHERE key = 'HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Run'`,
		`SELECT path, data FROM registry WHERE evidence = '/cases/7/SOFTWARE' AND key LIKE '%\CurrentVersion\Run'`,
		`SELECT path, data, datetime(mtime, 'unixepoch') FROM registry WHERE evidence = '/cases/7' AND key LIKE 'HKEY_USERS\%\Software\Microsoft\Windows\CurrentVersion\Run%'`,
	},
	Class: tables.Inventory, Platforms: tables.Windows,
	Scan: scanRegistry,
})

var hiveKind = kind{what: "registry hive", magic: "regf"}

var errStopped = errors.New("the reader wants no more")

func scanRegistry(ctx context.Context, q *tables.Query) iter.Seq2[RegistryValue, error] {
	if live(q) {
		return liveRegistry(ctx, q)
	}
	match := newKeyMatch(q)
	return scanSources(ctx, q, hiveKind, func(s source, warn func(error), yield func(RegistryValue) bool) error {
		h, err := OpenHive(s.path, s.r, s.size, warn)
		if err != nil {
			return err
		}
		emit := func(row RegistryValue) error {
			row.Evidence, row.EvidenceFile = s.asked, s.path
			match.spell(&row)
			if !yield(row) {
				return errStopped
			}
			return nil
		}
		err = h.Walk(ctx, func(k Key) (bool, error) {
			if k.Parent != "" && match.row(k.Parent, k.Name) {
				row := RegistryValue{Key: k.Parent, Path: k.Path, Name: k.Name, Type: "subkey", MTime: k.MTime.Unix()}
				if err := emit(row); err != nil {
					return false, err
				}
			}
			if match.inside(k.Path) {
				for v := range h.Values(k) {
					if !match.row(k.Path, v.Name) {
						continue
					}
					row := RegistryValue{Key: k.Path, Path: k.Path + `\` + v.Name, Name: v.Name, Type: v.Type, Data: v.Data, MTime: k.MTime.Unix()}
					if err := emit(row); err != nil {
						return false, err
					}
				}
			}
			return match.below(k.Path), nil
		})
		if errors.Is(err, errStopped) {
			return nil
		}
		return err
	})
}
