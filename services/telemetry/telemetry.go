// Package telemetry brings traces and metrics out of a component that may open no
// connection, as the tpm-agent's: a spool beside the component takes what it exports, and
// a pump elsewhere fetches it and sends it to a collector.
//
// What lives here: exports of OTLP, on their way. What never may: a key, or a way from
// the spool to anywhere: it listens, and others come. The component calls the spool over a
// unix socket; the observer, which is the pump, calls it over mutual TLS.
package telemetry

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	telemetryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/telemetry/v1"
)

const (
	// DefaultKeep is how much a spool keeps, in bytes: some hours of a busy tpm-agent.
	DefaultKeep = 16 << 20
	// maxItem bounds one export and all exports of an answer, in bytes, so that an answer
	// fits a message (pkg/rpc).
	maxItem = 192 << 10
	// itemCost is what an export costs beside its bytes.
	itemCost = 64
	// maxWait bounds how long a caller waits for something.
	maxWait = 30 * time.Second
)

// Config is what a spool needs.
type Config struct {
	// Keep is how much is kept, in bytes; 0 is DefaultKeep. When more comes, the oldest is
	// dropped and counted.
	Keep int
}

// Spool keeps what a component exported until somebody fetched it.
type Spool struct {
	telemetryv1.UnimplementedSpoolServiceServer
	keep int
	// instance tells this spool from the one before a restart.
	instance string

	mu      sync.Mutex
	items   []item
	size    int
	last    uint64
	dropped uint64
	// came is closed when something comes.
	came chan struct{}
}

type item struct {
	number uint64
	signal telemetryv1.Signal
	export []byte
}

// New makes an empty spool.
func New(cfg Config) (*Spool, error) {
	if cfg.Keep == 0 {
		cfg.Keep = DefaultKeep
	}
	if cfg.Keep < 2*maxItem {
		return nil, fmt.Errorf("telemetry: Keep is %d bytes: use at least %d", cfg.Keep, 2*maxItem)
	}
	return &Spool{keep: cfg.Keep, instance: rand.Text(), came: make(chan struct{})}, nil
}

// Register serves the contract for the observer.
func (s *Spool) Register(r grpc.ServiceRegistrar) { telemetryv1.RegisterSpoolServiceServer(r, s) }

// Close has nothing to end: what is kept goes with the process.
func (*Spool) Close() error { return nil }

// Allow says who may call.
func Allow() rpc.AllowList {
	return rpc.AllowList{telemetryv1.SpoolService_FetchTelemetry_FullMethodName: {"observer"}}
}

// put keeps an export, and drops the oldest when there is no room.
func (s *Spool) put(signal telemetryv1.Signal, export []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	s.items = append(s.items, item{number: s.last, signal: signal, export: export})
	s.size += len(export) + itemCost
	drop := 0
	for s.size > s.keep {
		s.size -= len(s.items[drop].export) + itemCost
		drop++
	}
	s.dropped += uint64(drop)
	s.behind(drop)
	close(s.came)
	s.came = make(chan struct{})
}

// lose counts an export that cannot be kept at all.
func (s *Spool) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped++
}

// FetchTelemetry hands out the oldest, once the caller has acknowledged what it got before.
func (s *Spool) FetchTelemetry(ctx context.Context, r *telemetryv1.FetchTelemetryRequest) (*telemetryv1.FetchTelemetryResponse, error) {
	wait := r.GetWait().AsDuration()
	if r.GetWait() != nil && r.GetWait().CheckValid() != nil || wait < 0 || wait > maxWait {
		return nil, prterr.New(prterr.Invalid, "wait: must be at most 30 seconds")
	}
	if len(r.GetAcknowledged()) > 100 {
		return nil, prterr.New(prterr.Invalid, "acknowledged: is no cursor of a spool")
	}
	s.forget(r.GetAcknowledged())
	late := time.NewTimer(wait)
	defer late.Stop()
	for {
		answer, came := s.oldest()
		if len(answer.GetItems()) > 0 || wait == 0 {
			return answer, nil
		}
		select {
		case <-came:
		case <-late.C:
			return answer, nil
		case <-ctx.Done():
			return nil, prterr.FromContext(ctx)
		}
	}
}

// forget drops what has arrived. A cursor of another spool says nothing of this one.
func (s *Spool) forget(cursor string) {
	instance, text, _ := strings.Cut(cursor, "-")
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil || instance != s.instance {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(s.items) && s.items[n].number <= number {
		s.size -= len(s.items[n].export) + itemCost
		n++
	}
	s.behind(n)
}

// behind takes the first n exports off the list, and out of the memory that it goes on
// using: it may have room for many before it moves to another place. s.mu is held.
func (s *Spool) behind(n int) {
	clear(s.items[:n])
	s.items = s.items[n:]
}

// oldest are the oldest exports that fit an answer, and what is closed when more comes.
func (s *Spool) oldest() (*telemetryv1.FetchTelemetryResponse, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := &telemetryv1.FetchTelemetryResponse{Dropped: s.dropped}
	size := 0
	for _, i := range s.items {
		if size += len(i.export) + itemCost; size > maxItem+itemCost {
			break
		}
		answer.Items = append(answer.Items, &telemetryv1.Item{Signal: i.signal, Export: i.export})
		answer.Cursor = s.instance + "-" + strconv.FormatUint(i.number, 10)
	}
	return answer, s.came
}
