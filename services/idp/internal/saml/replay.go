package saml

import (
	"container/heap"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
)

// maxReplays bounds how many used assertions of one issuer are remembered,
// some 40 MiB. At the bound that issuer's sign-ins are refused until old
// assertions end: forgetting one early would let it be used again. The bound
// is for each issuer, so that one federation cannot stop another.
const maxReplays = 1 << 18

// replays remembers used assertions until they end by themselves. It forgets
// at a restart; an assertion that was stolen and is brought again after one
// still needs a fresh nonce signed by a registered device.
type replays struct {
	mu    sync.Mutex
	limit int
	of    map[string]*issuerReplays
}

type issuerReplays struct {
	used map[[sha256.Size]byte]struct{}
	ends endHeap
}

func newReplays(limit int) *replays { return &replays{limit: limit, of: map[string]*issuerReplays{}} }

// use marks an assertion as used until end. The time is read under the lock,
// so that an entry cannot be forgotten between somebody's look at the clock
// and their look at the memory.
func (r *replays) use(clk clock.Clock, issuer, id string, end time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := clk.Now()
	if !now.Before(end) {
		return whyLate
	}
	// Issuers come from the federation settings, so there are few.
	i := r.of[issuer]
	if i == nil {
		i = &issuerReplays{used: map[[sha256.Size]byte]struct{}{}}
		r.of[issuer] = i
	}
	i.forget(now)
	key := sha256.Sum256([]byte(id))
	if _, again := i.used[key]; again {
		return whyReplay
	}
	if len(i.used) >= r.limit {
		return whyFull
	}
	i.used[key] = struct{}{}
	heap.Push(&i.ends, ending{end: end, key: key})
	return nil
}

func (i *issuerReplays) forget(now time.Time) {
	for len(i.ends) > 0 && !now.Before(i.ends[0].end) {
		delete(i.used, i.ends[0].key)
		heap.Pop(&i.ends)
	}
}

// ending is when a used assertion can be forgotten.
type ending struct {
	end time.Time
	key [sha256.Size]byte
}

// endHeap has the earliest end first.
type endHeap []ending

func (h endHeap) Len() int           { return len(h) }
func (h endHeap) Less(a, b int) bool { return h[a].end.Before(h[b].end) }
func (h endHeap) Swap(a, b int)      { h[a], h[b] = h[b], h[a] }
func (h *endHeap) Push(x any)        { *h = append(*h, x.(ending)) }
func (h *endHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	*h = (*h)[:last]
	return e
}
