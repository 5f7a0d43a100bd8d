package authority

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Set is the authorities of all namespaces.
type Set struct {
	folder string
	all    map[string]*Authority
}

// Open reads the authorities of the namespaces from a folder, and makes those that are
// not there. A key that others can read is closed to them first: the group of a volume
// is given rights to its files at each mount.
func Open(folder string, namespaces []string, now time.Time) (*Set, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	s := &Set{folder: folder, all: map[string]*Authority{}}
	for _, n := range namespaces {
		a, err := s.open(n, now)
		if err != nil {
			return nil, fmt.Errorf("authority of %s: %w", n, err)
		}
		s.all[n] = a
	}
	return s, nil
}

// Of is the authority of a namespace, nil for one that is not in the set.
func (s *Set) Of(namespace string) *Authority { return s.all[namespace] }

// Bundle is the certificates of several authorities, in PEM.
func (s *Set) Bundle(namespaces []string) []byte {
	var b bytes.Buffer
	for _, n := range namespaces {
		b.Write(s.all[n].PEM())
	}
	return b.Bytes()
}

// open reads one file that has the key and the certificate, so that there is never one
// without the other.
func (s *Set) open(namespace string, now time.Time) (*Authority, error) {
	path := filepath.Join(s.folder, namespace+".pem")
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s.create(path, namespace, now)
	}
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("its key can be read by others: %w", err)
	}
	pair, err := tls.X509KeyPair(raw, raw)
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, errors.New("the file holds another kind of key or certificate")
	}
	if now.After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("it ended at %s: remove %s, and the next start makes a new one", pair.Leaf.NotAfter.Format(time.RFC3339), path)
	}
	return &Authority{cert: pair.Leaf, key: key}, nil
}

func (s *Set) create(path, namespace string, now time.Time) (*Authority, error) {
	a, err := generate(namespace, now)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, err
	}
	return a, write(path, append(a.PEM(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...))
}

// write leaves the whole file or none, whatever happens.
func write(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
