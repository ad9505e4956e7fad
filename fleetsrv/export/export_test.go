package export

import (
	"testing"

	"github.com/aiedr/edr/fleetsrv/store"
)

// ECSDocuments shows tests what a pump makes of documents of the journal.
func ECSDocuments(t *testing.T, docs ...store.ExportDocument) []Document {
	return encoded(t, FormatECS, docs)
}

// EDRDocuments is the same in the format "edr".
func EDRDocuments(t *testing.T, docs ...store.ExportDocument) []Document {
	return encoded(t, FormatEDR, docs)
}

func encoded(t *testing.T, format string, docs []store.ExportDocument) []Document {
	t.Helper()
	var out []Document
	for i := range docs {
		d, err := encode(format, &docs[i])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

// CheckAddress is what a webhook asks of an address, with these allowed.
func CheckAddress(t *testing.T, address string, allow ...string) error {
	t.Helper()
	allowed, err := parseAllowed(allow)
	if err != nil {
		t.Fatal(err)
	}
	return checkAddress(address, notPublic(), allowed)
}
