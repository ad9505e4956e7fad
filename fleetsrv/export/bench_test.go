package export_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/export"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/fleetsrv/store/sqlite"
	"github.com/aiedr/edr/wire"
)

// BenchmarkPump is what carries a document from the journal to a file, synced
// every 500, and as ECS to a sink that takes all.
func BenchmarkPump(b *testing.B) {
	for _, format := range []string{export.FormatEDR, export.FormatECS} {
		b.Run(format, func(b *testing.B) { benchPump(b, format) })
	}
}

func benchPump(b *testing.B, format string) {
	dir, all, ctx := b.TempDir(), store.Everything(), context.Background()
	db, err := sqlite.Open(ctx, filepath.Join(dir, "edr.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	sinks, err := export.ParseConfig(json.RawMessage(fmt.Sprintf(`[{"name":"f","type":"file","path":"out.jsonl","format":%q}]`, format)), dir, func(string) string { return "" })
	if err != nil {
		b.Fatal(err)
	}
	m, err := export.New(ctx, export.Options{Store: db, Sinks: sinks, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	h := store.Host{ID: "h", State: store.HostAdmitted, PublicKey: []byte("k"), Fingerprint: "f", Groups: []string{store.GroupAll}}
	if _, _, err := db.Enrol(ctx, all, nil, h, time.Now()); err != nil {
		b.Fatal(err)
	}
	if err := db.AdmitHost(ctx, all, "h"); err != nil {
		b.Fatal(err)
	}
	const rows = 500
	for n := range (b.N + rows - 1) / rows {
		r := &store.ResultBatch{Query: "q", Time: time.Now(), Columns: []string{"pid", "path", "cmdline", "user"}}
		for i := range rows {
			r.Added = append(r.Added, json.RawMessage(fmt.Sprintf(`[%d,"/usr/bin/program-%d","program --with some --flags %d","root"]`, i, i, n)))
		}
		it := store.Item{Number: uint64(n + 1), Hash: []byte{1}, Kind: wire.KindResult, Time: r.Time, Result: r}
		if _, err := db.Receive(ctx, all, store.Delivery{Host: "h", Outbox: "o", Items: []store.Item{it}, Contiguous: it.Number, Time: r.Time}); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	if err := m.Drain(ctx); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64((b.N+rows-1)/rows*rows)/b.Elapsed().Seconds(), "documents/s")
}
