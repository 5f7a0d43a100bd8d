package rpc_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
)

// later is more than the time within which a folder is looked at again.
const later = 1100 * time.Millisecond

// place is a server whose identity lies in a folder as the kubelet fills it.
type place struct {
	t   *testing.T
	net *rpc.Mem
	dir string
	log bytes.Buffer
	seq int
}

// volume fills the folder as the kubelet's atomic writer does: the files of each state
// lie in a folder of their own, to which the symbolic link ..data is moved.
func (p *place) volume(files map[string][]byte) {
	p.t.Helper()
	p.seq++
	version := filepath.Join(p.dir, "..v"+strings.Repeat("i", p.seq))
	must(p.t, os.Mkdir(version, 0o700))
	for name, data := range files {
		must(p.t, os.WriteFile(filepath.Join(version, name), data, 0o600))
		if p.seq == 1 {
			must(p.t, os.Symlink(filepath.Join("..data", name), filepath.Join(p.dir, name)))
		}
	}
	must(p.t, os.Symlink(filepath.Base(version), filepath.Join(p.dir, "..tmp")))
	must(p.t, os.Rename(filepath.Join(p.dir, "..tmp"), filepath.Join(p.dir, "..data")))
}

// serve serves under what is in the folder until the test ends.
func (p *place) serve() {
	p.t.Helper()
	id, err := rpc.LoadIdentity(p.dir)
	must(p.t, err)
	id.LogTo(slog.New(slog.NewTextHandler(&p.log, nil)))
	s, err := rpc.NewServer(rpc.ServerConfig{Identity: id})
	must(p.t, err)
	l, err := p.net.Listen("mem:idp")
	must(p.t, err)
	go func() { _ = s.Serve(l) }()
	p.t.Cleanup(s.Stop)
}

// call makes a new connection, and with it a handshake.
func (p *place) call(id *rpc.Identity) error {
	conn, err := rpc.Dial(rpc.DialConfig{Network: p.net, Addr: "mem:idp", Identity: id, Server: "idp"})
	must(p.t, err)
	defer func() { _ = conn.Close() }()
	return health(p.t.Context(), conn)
}

func health(ctx context.Context, conn *grpc.ClientConn) error {
	_, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	return err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func authority(t *testing.T) *rpc.CA {
	t.Helper()
	ca, err := rpc.NewCA()
	must(t, err)
	return ca
}

func issue(t *testing.T, ca *rpc.CA, name string) *rpc.Identity {
	t.Helper()
	id, err := ca.Issue(name)
	must(t, err)
	return id
}

// files are what Save writes, with the authorities of others added to ca.pem.
func files(t *testing.T, id *rpc.Identity, others ...*rpc.CA) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	must(t, id.Save(dir))
	all := map[string][]byte{}
	for _, name := range []string{"cert.pem", "key.pem", "ca.pem"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		all[name] = b
	}
	for _, ca := range others {
		all["ca.pem"] = append(all["ca.pem"], files(t, issue(t, ca, "other"))["ca.pem"]...)
	}
	return all
}

// TestAnIdentityFollowsItsFolder rotates the server's certificate to that of another
// authority, and then its bundle, under callers that trust one of them or both.
func TestAnIdentityFollowsItsFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := authority(t), authority(t)
		p := &place{t: t, net: rpc.NewMem(), dir: t.TempDir()}
		p.volume(files(t, issue(t, one, "idp"), two))
		p.serve()
		ofOne, ofTwo := issue(t, one, "dsreg"), issue(t, two, "dsreg")
		if err := p.call(ofOne); err != nil {
			t.Errorf("before: %v", err)
		}
		if err := p.call(ofTwo); err == nil {
			t.Error("before: a caller that trusts another authority alone talks to the server")
		}
		p.volume(files(t, issue(t, two, "idp"), one))
		time.Sleep(later)
		if err := p.call(ofTwo); err != nil {
			t.Errorf("with the new certificate: %v", err)
		}
		if err := p.call(ofOne); err == nil {
			t.Error("the old certificate is still shown")
		}
		both, err := rpc.LoadIdentity(saved(t, files(t, ofOne, two)))
		must(t, err)
		if err := p.call(both); err != nil {
			t.Errorf("a caller of an authority in the bundle: %v", err)
		}
		p.volume(files(t, issue(t, two, "idp")))
		time.Sleep(later)
		if err := p.call(both); err == nil {
			t.Error("a caller of an authority that left the bundle is taken")
		}
		if err := p.call(ofTwo); err != nil {
			t.Errorf("a caller of the authority that stayed: %v", err)
		}
		if n := strings.Count(p.log.String(), "the identity has new files"); n != 2 {
			t.Errorf("%d changes are logged:\n%s", n, p.log.String())
		}
	})
}

// TestACallerFollowsItsFolder rotates the caller's: the connection that it has keeps
// working, and the next one shows the new certificate.
func TestACallerFollowsItsFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := authority(t), authority(t)
		p := &place{t: t, net: rpc.NewMem(), dir: t.TempDir()}
		p.volume(files(t, issue(t, one, "idp")))
		p.serve()
		mine := &place{t: t, dir: t.TempDir()}
		mine.volume(files(t, issue(t, two, "dsreg"), one))
		id, err := rpc.LoadIdentity(mine.dir)
		must(t, err)
		if err := p.call(id); err == nil {
			t.Error("a caller of a strange authority is taken")
		}
		mine.volume(files(t, issue(t, one, "dsreg")))
		time.Sleep(later)
		if err := p.call(id); err != nil {
			t.Errorf("with the new certificate: %v", err)
		}
	})
}

// TestBadFilesChangeNothing puts what cannot be used into the folder: the old state
// stays, the log says why, once, and good files are taken whenever they come.
func TestBadFilesChangeNothing(t *testing.T) {
	ca := authority(t)
	good, foreign, other := files(t, issue(t, ca, "idp")), files(t, issue(t, ca, "adfs")), files(t, issue(t, ca, "idp"), authority(t))
	with := func(name string, data []byte) map[string][]byte {
		all := map[string][]byte{}
		for n, d := range other {
			all[n] = d
		}
		all[name] = data
		return all
	}
	for name, bad := range map[string]map[string][]byte{
		"half a certificate":                 with("cert.pem", good["cert.pem"][:len(good["cert.pem"])/2]),
		"another key":                        with("key.pem", good["key.pem"]),
		"no key":                             with("key.pem", nil),
		"half a bundle":                      with("ca.pem", other["ca.pem"][:len(other["ca.pem"])-40]),
		"an empty bundle":                    with("ca.pem", nil),
		"a bundle with a leaf":               with("ca.pem", append(bytes.Clone(other["ca.pem"]), good["cert.pem"]...)),
		"a bundle of more than a megabyte":   with("ca.pem", append(bytes.Repeat([]byte("\n"), 1<<20), other["ca.pem"]...)),
		"the certificate of somebody else":   foreign,
		"a certificate that ended long ago":  outdated(t, "idp"),
		"a certificate that is not good yet": other, // made by the real clock, long after that below
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
				ca := authority(t)
				p := &place{t: t, net: rpc.NewMem(), dir: t.TempDir()}
				p.volume(files(t, issue(t, ca, "idp")))
				p.serve()
				caller := issue(t, ca, "dsreg")
				p.volume(bad)
				for range 3 {
					time.Sleep(later)
					if err := p.call(caller); err != nil {
						t.Errorf("with bad files: %v", err)
					}
				}
				if n := strings.Count(p.log.String(), "cannot be used"); n != 1 {
					t.Errorf("it is logged %d times:\n%s", n, p.log.String())
				}
				next := authority(t)
				p.volume(files(t, issue(t, next, "idp")))
				time.Sleep(later)
				if err := p.call(issue(t, next, "dsreg")); err != nil {
					t.Errorf("with good files again: %v", err)
				}
			})
		})
	}
}

// outdated is an identity made in 2000, where the clock of synctest begins.
func outdated(t *testing.T, name string) (all map[string][]byte) {
	synctest.Test(t, func(t *testing.T) { all = files(t, issue(t, authority(t), name)) })
	return all
}

// TestHandshakesDoNotWearOutTheDisk: files are read once a state, whatever the number
// of handshakes; within a second not even looked at.
func TestHandshakesDoNotWearOutTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := authority(t), authority(t)
		p := &place{t: t, net: rpc.NewMem(), dir: t.TempDir()}
		p.volume(files(t, issue(t, one, "idp")))
		p.serve()
		time.Sleep(later)
		must(t, p.call(issue(t, one, "dsreg")))
		p.volume(files(t, issue(t, two, "idp")))
		if err := p.call(issue(t, one, "dsreg")); err != nil {
			t.Errorf("the folder was looked at within a second: %v", err)
		}
	})
}

// saved puts files into a folder of their own.
func saved(t *testing.T, all map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range all {
		must(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	return dir
}
