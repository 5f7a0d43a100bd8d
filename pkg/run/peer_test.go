package run_test

import (
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// A peer may be known under one name and serve under another's identity; who dials it
// says which, and nobody else is taken for it.
func TestAPeerUnderAnotherIdentity(t *testing.T) {
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	net := rpc.NewMem()
	start := func(name string, wire run.Wire) *run.Running {
		id, err := ca.Issue(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := run.Start(run.Config{Name: name, Identity: id, Network: net, Listen: "mem:" + name, Peers: map[string]string{"domain": "mem:adfs"}}, wire)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Stop() })
		return r
	}
	start("adfs", wire(""))
	start("lsa-cloudap", func(env *run.Env) (*run.Component, error) {
		if !env.HasPeer("domain") || env.HasPeer("idp") {
			t.Error("HasPeer is wrong")
		}
		right, err := env.PeerOf("domain", "adfs")
		if err != nil {
			return nil, err
		}
		wrong, err := env.Peer("domain")
		if err != nil {
			return nil, err
		}
		got, err := idpv1.NewNonceServiceClient(right).IssueNonce(t.Context(), &idpv1.IssueNonceRequest{})
		if err != nil || got.GetNonce() != "for lsa-cloudap" {
			t.Errorf("as adfs: %v, %v", got, err)
		}
		if _, err := idpv1.NewNonceServiceClient(wrong).IssueNonce(t.Context(), &idpv1.IssueNonceRequest{}); prterr.KindOf(err) != prterr.Unavailable {
			t.Errorf("as domain, which nobody is: %v", err)
		}
		if _, err := env.PeerOf("idp", "adfs"); err == nil {
			t.Error("a peer without an address was reached")
		}
		return wire("")(env)
	})
}
