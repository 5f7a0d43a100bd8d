package run

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
)

// aheadFile is the file of the state folder that says how far a lab's clock is ahead.
const aheadFile = "lab-ahead"

// moveOn moves the clock of a lab to where it was when the process ended: what a
// component wrote down is of that time, and certificates from the future are refused.
// The function that it returns is told of each move before it is made, so that time
// never goes back; on a disk that is full it moves all the same. Without a state folder there is nothing to be of that time.
func moveOn(c *clock.Lab, f Flags, log *slog.Logger) (func(by time.Duration), error) {
	if f.State == "" {
		c.Advance(f.LabAhead)
		return nil, nil
	}
	path := filepath.Join(f.State, aheadFile)
	text, err := durable.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("how far the clock is ahead: %w", err)
	}
	ahead := f.LabAhead
	if text != nil {
		was, err := time.ParseDuration(strings.TrimSpace(string(text)))
		if err != nil || was < 0 {
			return nil, fmt.Errorf("%s does not say how far the clock is ahead: remove it, and the clock is that of the machine", path)
		}
		ahead = max(ahead, was)
	}
	c.Advance(ahead)
	var mu sync.Mutex
	return func(by time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		ahead += by
		if err := durable.WriteFile(path, []byte(ahead.String()+"\n"), nil); err != nil {
			log.Warn("how far the clock is ahead cannot be written down: a restart puts it back", "error", err)
		}
	}, nil
}
