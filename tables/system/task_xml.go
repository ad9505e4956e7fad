package system

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf16"

	"github.com/aiedr/edr/tables"
)

// WindowsTask is a task of the Windows Task Scheduler as its XML file says.
type WindowsTask struct {
	Name    string // last part of the URI
	URI     string // path in the scheduler, such as \Microsoft\Windows\Backup
	Author  string
	User    string // user or group as whom it runs; a name or a SID
	Enabled bool
	Hidden  bool
	// Actions are what it does, in order.
	Actions []TaskAction
	// Triggers are the kinds of trigger with their times, such as
	// "CalendarTrigger 2026-03-04T05:00:00".
	Triggers []string
}

// TaskAction is one action: a command, or the handler of another kind.
type TaskAction struct {
	Command   string // program; empty for a handler
	Arguments string
	Handler   string // such as "COM {CLSID}"
}

// Line is the action as a command line.
func (a TaskAction) Line() string {
	if a.Command == "" {
		return a.Handler
	}
	return strings.TrimSpace(a.Command + " " + a.Arguments)
}

// ErrNotTask says that a file is no task of the Task Scheduler.
var ErrNotTask = errors.New("not the XML of a scheduled task")

// MaxTaskXML bounds a task's file in bytes.
const MaxTaskXML = 4 << 20

type taskXML struct {
	XMLName xml.Name `xml:"Task"`
	URI     string   `xml:"RegistrationInfo>URI"`
	Author  string   `xml:"RegistrationInfo>Author"`
	User    []string `xml:"Principals>Principal>UserId"`
	Group   []string `xml:"Principals>Principal>GroupId"`
	Enabled string   `xml:"Settings>Enabled"`
	Hidden  string   `xml:"Settings>Hidden"`
	Trigger struct {
		List []struct {
			XMLName xml.Name
			Start   string `xml:"StartBoundary"`
			Every   string `xml:"Repetition>Interval"`
			Enabled string `xml:"Enabled"`
		} `xml:",any"`
	} `xml:"Triggers"`
	Actions struct {
		List []struct {
			XMLName xml.Name
			Command string `xml:"Command"`
			Args    string `xml:"Arguments"`
			Class   string `xml:"ClassId"`
			Data    string `xml:"Data"`
			To      string `xml:"To"`
			Title   string `xml:"Title"`
		} `xml:",any"`
	} `xml:"Actions"`
}

// ParseTaskXML reads a task in UTF-8 or UTF-16, with or without a byte order
// mark. The file's name stands in for a URI that the task does not have.
func ParseTaskXML(name string, data []byte) (*WindowsTask, error) {
	text, err := toUTF8(data)
	if err != nil {
		return nil, err
	}
	if !isTaskXML(text) {
		return nil, fmt.Errorf("%w: its first element is not <Task>", ErrNotTask)
	}
	dec := xml.NewDecoder(bytes.NewReader(text))
	dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // it is UTF-8 by now
	var x taskXML
	if err := dec.Decode(&x); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotTask, err)
	}
	t := &WindowsTask{URI: strings.TrimSpace(x.URI), Author: strings.TrimSpace(x.Author), Enabled: truth(x.Enabled, true), Hidden: truth(x.Hidden, false)}
	if t.URI == "" {
		t.URI = `\` + strings.TrimSuffix(path.Base(name), ".xml")
	}
	t.Name = t.URI[strings.LastIndexByte(t.URI, '\\')+1:]
	for _, u := range append(x.User, x.Group...) {
		if t.User = strings.TrimSpace(u); t.User != "" {
			break
		}
	}
	for _, a := range x.Actions.List {
		act := TaskAction{Command: strings.TrimSpace(a.Command), Arguments: strings.TrimSpace(a.Args)}
		switch a.XMLName.Local {
		case "Exec":
		case "ComHandler":
			act.Handler = strings.TrimSpace("COM " + strings.TrimSpace(a.Class) + " " + strings.TrimSpace(a.Data))
		case "SendEmail":
			act.Handler = "mail to " + strings.TrimSpace(a.To)
		case "ShowMessage":
			act.Handler = "message " + strings.TrimSpace(a.Title)
		default:
			act.Handler = a.XMLName.Local
		}
		t.Actions = append(t.Actions, act)
	}
	for _, tr := range x.Trigger.List {
		s := tr.XMLName.Local
		if tr.Start != "" {
			s += " " + strings.TrimSpace(tr.Start)
		}
		if tr.Every != "" {
			s += " every " + strings.TrimSpace(tr.Every)
		}
		if !truth(tr.Enabled, true) {
			s += " (disabled)"
		}
		t.Triggers = append(t.Triggers, s)
	}
	return t, nil
}

func truth(s string, unset bool) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "":
		return unset
	case "true", "1":
		return true
	}
	return false
}

// toUTF8 reads a text in UTF-8 or UTF-16 of either order.
func toUTF8(b []byte) ([]byte, error) {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(b, []byte{0xef, 0xbb, 0xbf}):
		return b[3:], nil
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		order, b = binary.LittleEndian, b[2:]
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		order, b = binary.BigEndian, b[2:]
	case len(b) >= 2 && b[0] == '<' && b[1] == 0:
		order = binary.LittleEndian
	case len(b) >= 2 && b[0] == 0 && b[1] == '<':
		order = binary.BigEndian
	default:
		return b, nil
	}
	if len(b)%2 != 0 {
		return nil, fmt.Errorf("%w: its UTF-16 ends in half a character: the file is cut off", ErrNotTask)
	}
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = order.Uint16(b[2*i:])
	}
	return []byte(string(utf16.Decode(u))), nil
}

// isTaskXML says whether the first element of a text is <Task>.
func isTaskXML(text []byte) bool {
	head := text[:min(len(text), 64<<10)]
	for {
		i := bytes.IndexByte(head, '<')
		if i < 0 || i+1 >= len(head) {
			return false
		}
		if i > 0 && len(bytes.TrimSpace(head[:i])) > 0 {
			return false
		}
		head = head[i:]
		switch {
		case head[1] == '?':
			i = bytes.Index(head, []byte("?>"))
		case bytes.HasPrefix(head, []byte("<!--")):
			i = bytes.Index(head, []byte("-->"))
		default:
			rest, ok := bytes.CutPrefix(head, []byte("<Task"))
			return ok && len(rest) > 0 && bytes.IndexByte([]byte(" \t\r\n>/"), rest[0]) >= 0
		}
		if i < 0 {
			return false
		}
		head = head[i:]
		head = head[bytes.IndexByte(head, '>')+1:]
	}
}

// TaskFile reads a file of evidence that may be a task: nil without an error
// for a file of another kind, unless it was named itself.
func TaskFile(root tables.Root, name string, named bool) (*WindowsTask, error) {
	if strings.EqualFold(path.Ext(name), ".job") {
		return nil, errors.New("a task in the format before Windows Vista (.job), which this version does not read")
	}
	data, err := root.ReadFile(name, MaxTaskXML)
	if err != nil {
		if !named && errors.Is(err, tables.ErrTooLarge) {
			return nil, nil // no task is so long
		}
		return nil, err
	}
	t, err := ParseTaskXML(name, data)
	if err != nil {
		if text, bad := toUTF8(data); !named && bad == nil && !isTaskXML(text) {
			return nil, nil
		}
		return nil, err
	}
	return t, nil
}
