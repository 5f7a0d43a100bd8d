package reach

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTry(t *testing.T) {
	var lc net.ListenConfig
	open, err1 := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	gone, err2 := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	defer func() { _ = open.Close() }()
	shut := gone.Addr().String()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	got := Try(t.Context(), []string{shut, open.Addr().String()}, 10*time.Second)
	if got[0].Open || got[0].Why != "refused" || got[0].Target != shut || !got[1].Open || got[1].Why != "" {
		t.Errorf("got %+v", got)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if got := Try(over, []string{open.Addr().String()}, time.Second); got[0].Open {
		t.Errorf("after its end: %+v", got)
	}
	var out bytes.Buffer
	if err := Write(&out, []Result{{Target: "a:1", Open: true, Millis: 2}, {Target: "b:1", Why: "timeout"}}); err != nil {
		t.Fatal(err)
	}
	if want := `{"target":"a:1","open":true,"ms":2}` + "\n" + `{"target":"b:1","open":false,"why":"timeout","ms":0}` + "\n"; out.String() != want {
		t.Errorf("wrote %s", out.String())
	}
}

func TestTargets(t *testing.T) {
	got, err := Targets("# pods\n10.0.0.1:9443\n\n [::1]:80 \n")
	if err != nil || !slices.Equal(got, []string{"10.0.0.1:9443", "[::1]:80"}) {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"10.0.0.1", strings.Repeat("a:1\n", MaxTargets+1)} {
		if _, err := Targets(bad); err == nil {
			t.Errorf("taken: %.20s", bad)
		}
	}
}
