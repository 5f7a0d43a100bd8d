package rpc

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/durable"
)

// The files of an identity in a folder.
const (
	certFile = "cert.pem"
	keyFile  = "key.pem"
	caFile   = "ca.pem"
)

const (
	// lookEvery bounds how often the files are looked at, whatever the number of
	// handshakes: a look is three system calls.
	lookEvery = time.Second
	// retryEvery is when files that were refused are read again although they look the
	// same: somebody may have been in the middle of writing them.
	retryEvery = 10 * time.Second
)

// Save writes the identity as cert.pem, key.pem and ca.pem, readable by the
// owner only, for a component in a process of its own.
func (id *Identity) Save(dir string) error {
	m := id.current.Load()
	key, err := x509.MarshalPKCS8PrivateKey(m.cert.PrivateKey)
	if err != nil {
		return fmt.Errorf("identity of %s: %w", id.Name, err)
	}
	var chain bytes.Buffer
	for _, der := range m.cert.Certificate {
		chain.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	for name, data := range map[string][]byte{
		certFile: chain.Bytes(), keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), caFile: m.authorities,
	} {
		if err := durable.WriteFile(filepath.Join(dir, name), data, nil); err != nil {
			return fmt.Errorf("identity of %s: %w", id.Name, err)
		}
	}
	return nil
}

// LoadIdentity reads what Save wrote, or what a cluster put there in the same form:
// cert.pem holds the certificate and those between it and its authority, ca.pem all
// authorities to trust. The name comes from the certificate.
//
// The folder is followed: when its files have changed, handshakes from then on use the
// new ones, at the latest a second later. Files that cannot be used, as half-written
// ones, a certificate that ended or has not begun, or one for another name, change nothing and are logged.
func LoadIdentity(dir string) (*Identity, error) {
	f := &folder{dir: dir, log: orDiscard(nil)}
	seen := f.look()
	name, m, err := f.read()
	if err != nil {
		return nil, fmt.Errorf("identity in %s: %w", dir, err)
	}
	f.taken, f.next = seen, time.Now().Add(lookEvery)
	id := &Identity{Name: name, folder: f}
	id.current.Store(m)
	return id, nil
}

// LogTo says where the folder's changes are logged; it belongs before the first
// handshake.
func (id *Identity) LogTo(log *slog.Logger) {
	if id.folder != nil {
		id.folder.log = orDiscard(log)
	}
}

// fresh is the state of the identity for a handshake now.
func (id *Identity) fresh() *material {
	if id.folder != nil {
		id.folder.follow(id)
	}
	return id.current.Load()
}

// folder is where an identity comes from.
type folder struct {
	dir string
	log *slog.Logger

	mu sync.Mutex
	// taken are the files of the current state, refused the last that were not taken; nil
	// when the last were.
	taken   look
	refused *look
	// next is when the files are looked at again, retry when refused ones are read again.
	next, retry time.Time
}

// look is what tells files from those that were there before: the kubelet puts new
// files in a new folder and swaps a symbolic link, others write anew.
type look [3]os.FileInfo

func (a look) same(b look) bool {
	for i := range a {
		if a[i] == nil || b[i] == nil {
			if a[i] != nil || b[i] != nil {
				return false
			}
			continue
		}
		if !os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size() {
			return false
		}
	}
	return true
}

// look leaves out what is not there, which is the same as nothing.
func (f *folder) look() (l look) {
	for i, name := range []string{certFile, keyFile, caFile} {
		if info, err := os.Stat(filepath.Join(f.dir, name)); err == nil {
			l[i] = info
		}
	}
	return l
}

// follow takes the files over when they are new and good. Who comes while somebody
// else looks does not wait.
func (f *folder) follow(id *Identity) {
	if !f.mu.TryLock() {
		return
	}
	defer f.mu.Unlock()
	now := time.Now()
	if now.Before(f.next) {
		return
	}
	f.next = now.Add(lookEvery)
	seen := f.look()
	known := f.refused != nil && seen.same(*f.refused)
	if seen.same(f.taken) || known && now.Before(f.retry) {
		return
	}
	m, err := f.successor(id.Name, now)
	if err != nil {
		if !known {
			f.log.Warn("the new files of the identity cannot be used, the old ones stay", "folder", f.dir, "error", err)
		}
		f.refused, f.retry = &seen, now.Add(retryEvery)
		return
	}
	id.current.Store(m)
	f.taken, f.refused = seen, nil
	f.log.Info("the identity has new files", "folder", f.dir, "until", m.cert.Leaf.NotAfter)
}

// successor reads the files and checks that they may follow those of a component.
func (f *folder) successor(name string, now time.Time) (*material, error) {
	got, m, err := f.read()
	switch {
	case err != nil:
		return nil, err
	case got != name:
		return nil, fmt.Errorf("the certificate is for %s, and this is %s", got, name)
	case now.After(m.cert.Leaf.NotAfter):
		return nil, fmt.Errorf("the certificate ended at %s", m.cert.Leaf.NotAfter.Format(time.RFC3339))
	case now.Before(m.cert.Leaf.NotBefore):
		return nil, fmt.Errorf("the certificate begins at %s", m.cert.Leaf.NotBefore.Format(time.RFC3339))
	}
	return m, nil
}

func (f *folder) read() (string, *material, error) {
	var data [3][]byte
	for i, name := range []string{certFile, keyFile, caFile} {
		b, err := durable.ReadFile(filepath.Join(f.dir, name))
		if err != nil {
			return "", nil, err
		}
		data[i] = b
	}
	cert, err := tls.X509KeyPair(data[0], data[1])
	if err != nil {
		return "", nil, err
	}
	name, err := componentName(cert.Leaf)
	if err != nil {
		return "", nil, err
	}
	m, err := newMaterial(cert, data[2])
	return name, m, err
}

// parseAuthorities wants every block of a bundle to be a certificate. The standard
// library takes what it can read of one, which may be half of the authorities.
func parseAuthorities(bundle []byte) (*x509.CertPool, error) {
	pool, blocks := x509.NewCertPool(), bytes.Count(bundle, []byte("-----BEGIN "))
	for b, rest := pem.Decode(bundle); b != nil; b, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", caFile, err)
		}
		if b.Type != "CERTIFICATE" || !cert.IsCA {
			return nil, errors.New(caFile + " holds something else than certificates of authorities")
		}
		pool.AddCert(cert)
		blocks--
	}
	if blocks != 0 || pool.Equal(x509.NewCertPool()) {
		return nil, errors.New(caFile + " holds no certificate, or not all of one")
	}
	return pool, nil
}
