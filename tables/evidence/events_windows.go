package evidence

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/aiedr/edr/tables"
)

// The event log's interface, which golang.org/x/sys has not.
var (
	wevtapi       = windows.NewLazySystemDLL("wevtapi.dll")
	procEvtQuery  = wevtapi.NewProc("EvtQuery")
	procEvtNext   = wevtapi.NewProc("EvtNext")
	procEvtRender = wevtapi.NewProc("EvtRender")
	procEvtClose  = wevtapi.NewProc("EvtClose")
)

const (
	evtQueryChannelPath      = 0x1
	evtQueryForwardDirection = 0x100
	evtRenderEventXML        = 1
	evtBatch                 = 64
	evtTimeout               = 10_000 // milliseconds for one batch
	maxEventXML              = 4 << 20
)

// liveEvents reads the channels of the running machine, oldest first. This
// reader was compiled and never run on Windows: where it was tried, wine, the
// interface answers success and does nothing, which is taken for a failure.
func liveEvents(ctx context.Context, q *tables.Query, f eventFilter) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if !q.Host.Root.Live() {
			yield(nil, unread(q, "windows_events"))
			return
		}
		if err := errors.Join(procEvtQuery.Find(), procEvtNext.Find(), procEvtRender.Find(), procEvtClose.Find()); err != nil {
			yield(nil, fmt.Errorf("%w: the event log of this Windows cannot be read: %w", tables.ErrNotSupported, err))
			return
		}
		if q.QueryName != "" && f.low == math.MinInt64 {
			// Each run would report the whole log as new.
			yield(nil, fmt.Errorf("%w: a scheduled query over the live event log that goes on where it was; bound it, such as time > unixepoch() - 3600", tables.ErrNotBuilt))
			return
		}
		channels, named := q.Strings("source")
		if !named {
			channels = liveChannels
		}
		read := 0
		var first error
		for _, c := range channels {
			more, err := readChannel(ctx, c, f, yield)
			if !more {
				return
			}
			switch {
			case ctx.Err() != nil:
				yield(nil, ctx.Err())
				return
			case err != nil:
				if first == nil {
					first = err
				}
				q.Warn(err)
			default:
				read++
			}
		}
		if read == 0 && first != nil {
			yield(nil, first)
		}
	}
}

// readChannel yields the events of one channel, and says whether to go on.
func readChannel(ctx context.Context, channel string, f eventFilter, yield func(*Record, error) bool) (more bool, err error) {
	path, err := windows.UTF16PtrFromString(channel)
	if err != nil {
		return true, fmt.Errorf("read the event log's channel %q: %w", channel, err)
	}
	query, err := windows.UTF16PtrFromString(f.xpath())
	if err != nil {
		return true, fmt.Errorf("read the event log's channel %q: %w", channel, err)
	}
	h, _, err := procEvtQuery.Call(0, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(query)), evtQueryChannelPath|evtQueryForwardDirection)
	if h == 0 {
		return true, fmt.Errorf("read the event log's channel %s: %w; Security needs an administrator", channel, failed(err))
	}
	defer procEvtClose.Call(h)
	buf := make([]uint16, 32<<10)
	for {
		if err := ctx.Err(); err != nil {
			return true, err
		}
		var events [evtBatch]uintptr
		var n uint32
		ok, _, err := procEvtNext.Call(h, evtBatch, uintptr(unsafe.Pointer(&events[0])), evtTimeout, 0, uintptr(unsafe.Pointer(&n)))
		if ok == 0 {
			if errors.Is(err, windows.ERROR_NO_MORE_ITEMS) {
				return true, nil
			}
			return true, fmt.Errorf("read the event log's channel %s: next events: %w", channel, failed(err))
		}
		if n == 0 || n > evtBatch {
			return true, fmt.Errorf("read the event log's channel %s: next events: Windows says success and gives %d events", channel, n)
		}
		for i := range events[:n] {
			r, grown, err := renderEvent(events[i], buf)
			buf = grown
			procEvtClose.Call(events[i])
			if err != nil {
				closeEvents(events[i+1 : n])
				return true, fmt.Errorf("read the event log's channel %s: %w", channel, err)
			}
			if f.has(r.Time.Unix(), int64(r.EventID)) && !yield(r, nil) {
				closeEvents(events[i+1 : n])
				return false, nil
			}
		}
	}
}

func closeEvents(events []uintptr) {
	for _, e := range events {
		procEvtClose.Call(e)
	}
}

// renderEvent reads one event by its XML; the buffer grows as needed.
func renderEvent(event uintptr, buf []uint16) (*Record, []uint16, error) {
	for range 2 {
		var used, properties uint32
		ok, _, err := procEvtRender.Call(0, event, evtRenderEventXML, uintptr(2*len(buf)), uintptr(unsafe.Pointer(&buf[0])),
			uintptr(unsafe.Pointer(&used)), uintptr(unsafe.Pointer(&properties)))
		if ok != 0 {
			r, err := ParseEventXML(windows.UTF16ToString(buf[:min(int(used/2), len(buf))]))
			return r, buf, err
		}
		if !errors.Is(err, windows.ERROR_INSUFFICIENT_BUFFER) || used > maxEventXML || int(used) <= 2*len(buf) {
			return nil, buf, fmt.Errorf("render an event: %w", failed(err))
		}
		buf = make([]uint16, used/2+1)
	}
	return nil, buf, errors.New("render an event: it grows while it is read")
}

// failed is an error also where none is set: a stub of the event log, such as
// wine's, says success and gives no handle.
func failed(err error) error {
	if err == nil || errors.Is(err, windows.ERROR_SUCCESS) {
		return fmt.Errorf("%w: the event log says success and gives nothing", tables.ErrNotSupported)
	}
	return err
}
