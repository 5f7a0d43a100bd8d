package keystore

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// A component that keeps state in files cannot see by itself that somebody put older
// ones in their place. So it has the agent remember the digest of what it wrote last,
// and the agent has the TPM count: a record carries what the counter says, and one
// that was restored has been left behind. Both directions of a crash are covered: a
// write announces the digest to come, so either digest is current until it is confirmed;
// and a record is written before the TPM counts, so it may be one ahead, which the next
// look sets right. The record is under the agent's secret: whoever may write the agent's
// folder but not read it makes none.

const (
	recordVersion = 1
	recordSuffix  = ".record"
	purposeRecord = "state record"
)

// Digest of a component's state.
type Digest [sha256.Size]byte

// StateOutcome is what a record says of a digest.
type StateOutcome int

// The outcomes.
const (
	StateCurrent StateOutcome = iota + 1
	// StateUnknown: there is no record, or it was made with a TPM that was cleared.
	StateUnknown
	// StateStale: not the digest that was confirmed last.
	StateStale
)

// record is what is kept of one caller.
type record struct {
	Version int    `json:"version"`
	Caller  string `json:"caller"`
	// Root is the name of the TPM's root key: tells a TPM that was cleared from one whose
	// counter somebody removed.
	Root []byte `json:"root"`
	// Current is the digest that was confirmed last, empty before the first.
	Current []byte `json:"current,omitempty"`
	// Next was announced and not confirmed yet, or is empty.
	Next []byte `json:"next,omitempty"`
	// Generation is the TPM's counter at the last confirmation; 0 without one.
	Generation uint64 `json:"generation,omitempty"`
	MAC        []byte `json:"mac"`
}

func (s *Store) recordPath(caller string) string {
	sum := sha256.Sum256([]byte(caller))
	return filepath.Join(s.cfg.Dir, hex.EncodeToString(sum[:16])+recordSuffix)
}

func (s *Store) recordCounter(caller string) counter {
	return counter{index: ownerIndex(purposeRecord + "\x00" + caller), auth: s.secret.auth(purposeRecord, "counter", caller)}
}

// mac is over everything else in a record.
func (s *Store) mac(r record) []byte {
	key := s.secret.auth(purposeRecord, "mac", r.Caller)
	defer key.Wipe()
	m := hmac.New(sha256.New, key.Reveal())
	for _, p := range [][]byte{r.Root, r.Current, r.Next, []byte(strconv.FormatUint(r.Generation, 10))} {
		_, _ = fmt.Fprintf(m, "%d:%s,", len(p), p) // a hash takes everything
	}
	return m.Sum(nil)
}

// readRecord reads a caller's record; nil when there is none, and ok is false when
// there is one that this agent did not write.
func (s *Store) readRecord(caller string) (r *record, ok bool) {
	r = new(record)
	err := readStrict(s.recordPath(caller), r)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, true
	case err != nil:
		s.cfg.Log.Warn("a state record cannot be read: the state counts as stale", "caller", caller, "error", err)
		return nil, false
	case r.Version != recordVersion || r.Caller != caller || !hmac.Equal(r.MAC, s.mac(*r)):
		s.cfg.Log.Warn("a state record is not this agent's: the state counts as stale", "caller", caller)
		return nil, false
	}
	return r, true
}

func (s *Store) writeRecord(r *record) error {
	r.Version, r.MAC = recordVersion, s.mac(*r)
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("state record: %w", err)
	}
	return durable.WriteFile(s.recordPath(r.Caller), b, s.cfg.Points)
}

// BeginState announces the digest that a caller's state will have. It costs a file and,
// but for the first time, no command of the TPM.
func (s *Store) BeginState(ctx context.Context, caller string, next Digest) error {
	s.records.Lock()
	defer s.records.Unlock()
	r, ok := s.readRecord(caller)
	if r == nil || !ok {
		var err error
		if r, err = s.firstRecord(ctx, caller); err != nil {
			return err
		}
	}
	r.Next = next[:]
	return s.writeRecord(r)
}

// firstRecord starts the counter of a caller. Where the owner of the TPM allows no
// index there is no counter, and the log says what that means.
func (s *Store) firstRecord(ctx context.Context, caller string) (*record, error) {
	r := &record{Caller: caller}
	n, p := s.recordCounter(caller), s.best()
	defer n.auth.Wipe()
	err := p.run(ctx, use{what: "start a state record"}, func(c *tpmio.Conn) (err error) {
		r.Root = bytes.Clone(p.root.name.Buffer)
		r.Generation, err = n.start(c)
		if notAllowed(err) {
			s.cfg.Log.Warn("the TPM keeps no counter for a state record: whoever can restore all files can bring an old state back", "caller", caller, "error", err)
			r.Generation, err = 0, nil
		}
		return err
	})
	return r, err
}

// notAllowed reports that a TPM that works has no place for a counter, or an owner who
// gives none. Whatever may pass is an error.
func notAllowed(err error) bool {
	return slices.Contains([]tpmio.Class{tpmio.Ownership, tpmio.Hierarchy, tpmio.Refused, tpmio.Resource}, tpmio.Classify(err))
}

// ConfirmState makes the announced digest the current one. The record is written
// before the TPM counts, so a crash between the two leaves it one ahead.
func (s *Store) ConfirmState(ctx context.Context, caller string, digest Digest) error {
	s.records.Lock()
	defer s.records.Unlock()
	r, ok := s.readRecord(caller)
	if r == nil || !ok || !bytes.Equal(r.Next, digest[:]) {
		return prterr.New(prterr.Conflict, "digest: it is not the one that was announced")
	}
	return s.confirm(ctx, r)
}

// confirm makes Next current; records is held. The caller is alive and says what its
// state is, so the record is put on the TPM's count, wherever that is.
func (s *Store) confirm(ctx context.Context, r *record) error {
	r.Current, r.Next = r.Next, nil
	if r.Generation == 0 {
		return s.writeRecord(r)
	}
	n, p := s.recordCounter(r.Caller), s.best()
	defer n.auth.Wipe()
	err := p.run(ctx, use{what: "look at the count of a state record"}, func(c *tpmio.Conn) error {
		now, err := n.read(c)
		if noIndex(err) { // the TPM was cleared since
			now, err = n.start(c)
		}
		r.Root, r.Generation = bytes.Clone(p.root.name.Buffer), now+1
		return err
	})
	if err != nil {
		return err
	}
	if err := s.writeRecord(r); err != nil {
		return err
	}
	return p.run(ctx, use{what: "count a state record"}, func(c *tpmio.Conn) error { return n.increment(c, true) })
}

// CheckState tells whether a digest is the current one. When it is, and a write was
// left between its phases, the write is settled: it happened, or it did not.
func (s *Store) CheckState(ctx context.Context, caller string, digest Digest) (StateOutcome, error) {
	s.records.Lock()
	defer s.records.Unlock()
	r, ok := s.readRecord(caller)
	switch outcome, err := s.anchored(ctx, caller, r); {
	case err != nil || outcome == StateUnknown:
		return outcome, err
	case outcome == StateStale || !ok:
		return StateStale, nil
	}
	switch {
	case bytes.Equal(r.Next, digest[:]):
		return StateCurrent, s.confirm(ctx, r)
	case !bytes.Equal(r.Current, digest[:]):
		return StateStale, nil
	case r.Next != nil:
		r.Next = nil
		return StateCurrent, s.writeRecord(r)
	}
	return StateCurrent, nil
}

// anchored holds a record, or that there is none, against the TPM's counter.
func (s *Store) anchored(ctx context.Context, caller string, r *record) (outcome StateOutcome, err error) {
	if r != nil && r.Generation == 0 {
		return StateCurrent, nil
	}
	n, p := s.recordCounter(caller), s.best()
	defer n.auth.Wipe()
	again := false
	err = p.run(ctx, use{what: "check a state record"}, func(c *tpmio.Conn) error {
		now, err := n.read(c)
		switch {
		case noIndex(err) && !again:
			again = true // the same answer comes of a TPM that was reset or replaced: open it anew first
			return err
		case noIndex(err) && (r == nil || !bytes.Equal(r.Root, p.root.name.Buffer)):
			outcome = StateUnknown
			return nil
		case noIndex(err), tpmio.Classify(err) == tpmio.User: // gone from the same TPM, or another agent's
			outcome = StateStale
			return nil
		case err != nil:
			return err
		case r != nil && now == r.Generation:
			outcome = StateCurrent
			return nil
		case r != nil && now+1 == r.Generation:
			outcome = StateCurrent
			return n.increment(c, true)
		}
		outcome = StateStale
		return nil
	})
	return outcome, err
}
