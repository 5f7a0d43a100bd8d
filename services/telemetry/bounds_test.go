package telemetry

import (
	"runtime"
	"strconv"
	"testing"

	telemetryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/telemetry/v1"
)

// TestOBS12_WhatWasDroppedIsGone: a list of thousands of tiny exports has room for
// thousands; large ones that come and go through it do not stay in memory behind it,
// whether they were dropped or fetched.
func TestOBS12_WhatWasDroppedIsGone(t *testing.T) {
	for name, fetched := range map[string]bool{"dropped": false, "fetched": true} {
		t.Run(name, func(t *testing.T) {
			s, err := New(Config{Keep: 2 * maxItem})
			if err != nil {
				t.Fatal(err)
			}
			for range s.keep / itemCost {
				s.put(telemetryv1.Signal_SIGNAL_TRACES, nil)
			}
			before := heap()
			for range cap(s.items) - len(s.items) {
				s.put(telemetryv1.Signal_SIGNAL_TRACES, make([]byte, maxItem/2))
				if fetched {
					s.forget(s.instance + "-" + strconv.FormatUint(s.last, 10))
				}
			}
			if grown := int64(heap()) - int64(before); grown > int64(3*s.keep) {
				t.Errorf("a spool that keeps %d bytes holds %d more", s.keep, grown)
			}
			runtime.KeepAlive(s)
		})
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
