package run

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/lockstep-sso/lockstep/pkg/durable"
)

// crashSetting names the crash point at which a process kills itself, as in "renamed",
// or "renamed#2" for the second time. It is for laboratories, where the next start then
// finds what a power cut would leave.
const crashSetting = "lab-crash-at"

// crashPoints are the points of a process, which does nothing at them but in a
// laboratory that has armed one.
func crashPoints(settings map[string]string, lab bool) (durable.Points, error) {
	armed := settings[crashSetting]
	switch {
	case armed == "":
		return nil, nil
	case !lab:
		return nil, errors.New("setting " + crashSetting + " is for a laboratory: give --lab too")
	}
	name, text, counted := strings.Cut(armed, "#")
	left := new(atomic.Int64)
	left.Store(1)
	if counted {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("setting %s is %q: use POINT or POINT#N", crashSetting, armed)
		}
		left.Store(n)
	}
	return func(point string) {
		if point != name || left.Add(-1) != 0 {
			return
		}
		if p, err := os.FindProcess(os.Getpid()); err == nil {
			_ = p.Kill() // SIGKILL: nothing is flushed and nothing is cleaned up
		}
		select {} // until it has come
	}, nil
}
