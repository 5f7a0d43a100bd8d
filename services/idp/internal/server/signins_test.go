package server

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
)

type events []signinlog.Event

func (e events) Events() []signinlog.Event { return e }

// A log of long events is answered with the newest that fit into a message.
func TestTheNewestSignInsFitIntoAMessage(t *testing.T) {
	var all events
	for i := range 1000 {
		all = append(all, signinlog.Event{Detail: signinlog.Detail{ID: fmt.Sprint(i), UserAgent: strings.Repeat("x", 2000)}})
	}
	read := &Read{SignIns: all}
	a, err := read.ListSignIns(t.Context(), &directoryv1.ListSignInsRequest{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	n := len(a.GetSignIns())
	if size := proto.Size(a); size >= 256<<10 || n < 20 {
		t.Fatalf("%d events of %d bytes", n, size)
	}
	if first, last := a.GetSignIns()[0].GetSignInId(), a.GetSignIns()[n-1].GetSignInId(); last != "999" || first != fmt.Sprint(1000-n) {
		t.Errorf("events %s to %s", first, last)
	}
	few, err := read.ListSignIns(t.Context(), &directoryv1.ListSignInsRequest{Limit: 5})
	if err != nil || len(few.GetSignIns()) != 5 {
		t.Errorf("%d events, %v", len(few.GetSignIns()), err)
	}
}
