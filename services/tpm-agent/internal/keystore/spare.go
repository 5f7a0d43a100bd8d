package keystore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

const (
	spareSuffix = ".spare"
	maxSpares   = 4
	// spareRetry is how long the making of spares rests after a failure.
	spareRetry = time.Minute
)

// spares are key sets made in advance: two RSA keys take a TPM from half a second
// to some seconds (tpm.md section 2), and a person waits for a registration. They
// are whole sets with ids of their own, because the id is in the authorisation
// values of the keys.
type spares struct {
	mu   sync.Mutex
	sets []*keySet
	// making is closed when the set that is being made is there, or will not be; nil
	// when none is.
	making chan struct{}
	wanted chan struct{}
	cancel context.CancelFunc
	done   chan struct{}
}

func (s *Store) sparePath(id string) string { return filepath.Join(s.cfg.Dir, id+spareSuffix) }

// startSpares reads the spares on disk and has missing ones made, in the
// background: the TPM's owner lets whoever waits for an answer go first.
func (s *Store) startSpares() error {
	if s.cfg.Spares < 0 || s.cfg.Spares > maxSpares {
		return fmt.Errorf("keystore: Spares is %d, must be 0 to %d", s.cfg.Spares, maxSpares)
	}
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("agent folder: %w", err)
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), spareSuffix)
		if !ok || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		set, err := readSet(s.sparePath(id), id)
		// A spare is worth nothing: a damaged one goes, and one that became a set
		// before a crash could remove it here.
		if err != nil || s.sets[id] != nil {
			if err := durable.Remove(s.sparePath(id)); err != nil {
				return err
			}
			continue
		}
		s.spares.sets = append(s.spares.sets, set)
	}
	if s.cfg.Spares == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.spares.cancel, s.spares.done, s.spares.wanted = cancel, make(chan struct{}), make(chan struct{}, 1)
	go s.keepSpares(ctx)
	return nil
}

// stop ends the making of spares, after the key under way.
func (p *spares) stop() {
	if p.cancel != nil {
		p.cancel()
		<-p.done
	}
}

func (s *Store) keepSpares(ctx context.Context) {
	defer close(s.spares.done)
	for {
		err := s.fillSpares(ctx)
		rest := make(<-chan time.Time)
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.WarnContext(ctx, "no spare keys could be made: registrations will wait for theirs", "error", err)
			rest = time.After(spareRetry)
		}
		select {
		case <-ctx.Done():
			return
		case <-rest:
		case <-s.spares.wanted:
		}
	}
}

func (s *Store) fillSpares(ctx context.Context) error {
	for s.beginSpare() {
		if err := s.makeSpare(ctx); err != nil {
			return err
		}
	}
	return nil
}

// beginSpare says whether another one is wanted, and that it is being made.
func (s *Store) beginSpare() bool {
	s.spares.mu.Lock()
	defer s.spares.mu.Unlock()
	if len(s.spares.sets) >= s.cfg.Spares {
		return false
	}
	s.spares.making = make(chan struct{})
	return true
}

func (s *Store) makeSpare(ctx context.Context) error {
	defer func() {
		s.spares.mu.Lock()
		defer s.spares.mu.Unlock()
		close(s.spares.making)
		s.spares.making = nil
	}()
	set, err := s.makeSet(ctx, func(string) {})
	if err != nil {
		return err
	}
	set.Version = setVersion
	b, err := json.Marshal(set)
	if err != nil {
		return fmt.Errorf("spare key set: %w", err)
	}
	if err := durable.WriteFile(s.sparePath(set.ID), b, nil); err != nil {
		return err
	}
	s.spares.mu.Lock()
	s.spares.sets = append(s.spares.sets, set)
	s.spares.mu.Unlock()
	return nil
}

// takeSpare gives a spare of the best provider that the TPM still knows, or nil. One
// that is being made is waited for: it will be there before one that is begun now.
func (s *Store) takeSpare(ctx context.Context) *keySet {
	for {
		s.spares.mu.Lock()
		if making := s.spares.making; len(s.spares.sets) == 0 {
			s.spares.mu.Unlock()
			if making == nil {
				return nil
			}
			s.cfg.Progress("finishing keys that were begun")
			select {
			case <-making:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		set := s.spares.sets[0]
		s.spares.sets = s.spares.sets[1:]
		s.spares.mu.Unlock()
		select {
		case s.spares.wanted <- struct{}{}:
		default:
		}
		err := s.spareUsable(ctx, set)
		if err == nil {
			// The set is written before the spare goes: a crash leaves both, and the
			// next start removes the spare.
			err = s.writeSet(set)
		}
		if gone := durable.Remove(s.sparePath(set.ID)); err == nil && gone == nil {
			return set
		}
		s.cfg.Log.InfoContext(ctx, "a spare key set was dropped", "key_set", set.ID, "error", err)
	}
}

func (s *Store) spareUsable(ctx context.Context, set *keySet) error {
	p := s.best()
	if set.Provider != p.provider {
		return errors.New("it was made in another provider")
	}
	return p.run(ctx, use{what: "look for the spare keys"}, func(*tpmio.Conn) error { return p.same(set) })
}
