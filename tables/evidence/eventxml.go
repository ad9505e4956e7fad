package evidence

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// ParseEventXML reads a record in the XML that Windows renders of it.
func ParseEventXML(text string) (*Record, error) {
	dec := xml.NewDecoder(strings.NewReader(text))
	// Windows renders in UTF-16, which is UTF-8 by the time that it is here.
	dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	var root *element
	var open []*element
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the XML of an event: %w", err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			e := &element{name: tok.Name.Local}
			for _, a := range tok.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
					e.attrs = append(e.attrs, attribute{a.Name.Local, a.Value})
				}
			}
			switch {
			case len(open) >= maxXMLDepth:
				return nil, fmt.Errorf("read the XML of an event: deeper than %d elements", maxXMLDepth)
			case len(open) > 0:
				up := open[len(open)-1]
				up.kids = append(up.kids, e)
			case root != nil:
				return nil, errors.New("read the XML of an event: more than one element")
			default:
				root = e
			}
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(tok)
			}
		}
	}
	if root == nil {
		return nil, errors.New("read the XML of an event: it is empty")
	}
	trim(root)
	r, err := newRecord(root, 0, time.Time{})
	if err != nil {
		return nil, fmt.Errorf("read the XML of an event: %w", err)
	}
	r.ID = r.RecordID
	return r, nil
}

// trim drops the spaces between elements, which are the renderer's.
func trim(e *element) {
	if len(e.kids) > 0 {
		e.text = strings.TrimSpace(e.text)
	}
	for _, k := range e.kids {
		trim(k)
	}
}
