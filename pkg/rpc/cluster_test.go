package rpc_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
)

// TestT1_T13_IdentitiesOfACluster has components of a cluster talk under identities that its
// signer issued: those of one device to each other and to the cloud, and none to those
// of another device. The folder is filled by the tests of tools/identity.
func TestT1_T13_IdentitiesOfACluster(t *testing.T) {
	folder := os.Getenv("LOCKSTEP_CLUSTER_IDENTITIES")
	if folder == "" {
		t.Skip("LOCKSTEP_CLUSTER_IDENTITIES names no folder with identities: make identity-test makes one")
	}
	load := func(namespace, name string) *rpc.Identity {
		t.Helper()
		id, err := rpc.LoadIdentity(filepath.Join(folder, namespace, name))
		must(t, err)
		if id.Name != name {
			t.Fatalf("%s of %s is %s", name, namespace, id.Name)
		}
		return id
	}
	net := rpc.NewMem()
	serve := func(namespace, name string) {
		s, err := rpc.NewServer(rpc.ServerConfig{Identity: load(namespace, name)})
		must(t, err)
		l, err := net.Listen("mem:" + namespace + "/" + name)
		must(t, err)
		go func() { _ = s.Serve(l) }()
		t.Cleanup(s.Stop)
	}
	serve("lockstep-cloud", "idp")
	serve("lockstep-device-1", "tpm-agent")
	for _, c := range []struct {
		fromPlace, from, toPlace, to string
		ok                           bool
	}{
		{"lockstep-device-1", "dsreg", "lockstep-cloud", "idp", true},
		{"lockstep-device-2", "dsreg", "lockstep-cloud", "idp", true},
		{"lockstep-device-1", "dsreg", "lockstep-device-1", "tpm-agent", true},
		{"lockstep-device-2", "dsreg", "lockstep-device-1", "tpm-agent", false},
		{"lockstep-player", "operator", "lockstep-device-1", "tpm-agent", true},
		{"lockstep-device-1", "dsreg", "lockstep-cloud", "adfs", false}, // it is idp that answers
	} {
		answers := c.to
		if answers == "adfs" {
			answers = "idp"
		}
		conn, err := rpc.Dial(rpc.DialConfig{Network: net, Addr: "mem:" + c.toPlace + "/" + answers, Identity: load(c.fromPlace, c.from), Server: c.to})
		must(t, err)
		if err := health(t.Context(), conn); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
		must(t, conn.Close())
	}
}
