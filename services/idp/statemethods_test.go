package idp_test

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

// TestDEP05_PeoplesMethodsOutliveARestart: what somebody proves who they are with, a
// pass that is used up, and the key that PIN resets are wrapped for.
func TestDEP05_PeoplesMethodsOutliveARestart(t *testing.T) {
	cfg := idp.Config{StateDir: filepath.Join(t.TempDir(), "state")}
	resetKey := func(w *world) []byte {
		a, err := idpv1.NewPINResetServiceClient(connect(t, w.svc, "lsa-cloudap")).DescribePINReset(context.Background(), &idpv1.DescribePINResetRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return a.GetKey()
	}
	before := newPages(t, cfg)
	done[*directoryv1.SetUserMethodsResponse](t)(before.admin.SetUserMethods(context.Background(), &directoryv1.SetUserMethodsRequest{
		UserPrincipalName: bob, Push: true, PhoneSignIn: true, PhoneNumber: "+1 5550100", DefaultMethod: sms,
	}))
	before.join(t, bob, bobPassword, 1, 2).provision(t, bob, 3, time.Now())
	used, _ := before.pass(t, alice, 0, true)
	next := before.submitPass(t, before.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), alice, used)
	cookie := before.code(t, next.GetSignedIn(), next)
	open, _ := before.pass(t, mia, 0, true)
	list, key := before.methodsOf(t, bob), resetKey(before.world)
	if err := before.svc.Close(); err != nil {
		t.Fatal(err)
	}
	after := newPages(t, cfg)
	if again := after.methodsOf(t, bob); len(again) != 3 || len(again) != len(list) {
		t.Errorf("%d methods became %d", len(list), len(again))
	} else {
		for i := range list {
			if !proto.Equal(list[i], again[i]) {
				t.Errorf("%v became %v", list[i], again[i])
			}
		}
	}
	if len(key) == 0 || !bytes.Equal(resetKey(after.world), key) {
		t.Error("another key for PIN resets")
	}
	if cookie.Credential != sealed.Pass {
		t.Errorf("%+v", cookie)
	}
	for upn, pass := range map[string]string{alice: used, mia: open} {
		next := after.submitPass(t, after.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), upn, pass)
		if in := next.GetSignedIn() != nil; in != (upn == mia) {
			t.Errorf("%s: signed in %v", upn, in)
		}
	}
	if m := after.messages(t, ""); len(m) != 0 {
		t.Errorf("messages were kept: %v", m)
	}
}
