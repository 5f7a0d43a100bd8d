package keystore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// The blob of a Hello key from before a change of its PIN goes on opening with the
// old PIN: a TPM remembers no blobs. What it does remember is a counter in NV, one for
// each user, which grows with each change. The key's generation is in its
// authorisation value and in its file, so a file that was restored has a generation
// that the counter has left behind, and one that was edited has a key that does not
// open.

const (
	// The range of NV indexes that owners define (TCG Registry of Reserved TPM 2.0
	// Handles, 2.2), and how much of it the digest of a user chooses.
	ownerIndexes  = 0x01800000
	ownerIndexMax = 0x003fffff
	counterSize   = 8
	purposeCount  = "hello generation"
)

// counter is an NV counter: of the Hello key of a user, or of a caller's state record.
type counter struct {
	index tpm2.TPMHandle
	auth  secret.Bytes
}

func (s *Store) counter(u HelloUser) counter {
	return counter{
		index: ownerIndex(string(u.Tenant) + "\x00" + string(u.User)),
		auth:  s.secret.auth(purposeCount, string(u.Tenant), string(u.User)),
	}
}

// ownerIndex is where the counter of something with this name is.
func ownerIndex(name string) tpm2.TPMHandle {
	sum := sha256.Sum256([]byte(name))
	return tpm2.TPMHandle(ownerIndexes | binary.BigEndian.Uint32(sum[:])&ownerIndexMax)
}

func (n counter) public(written bool) tpm2.TPMSNVPublic {
	return tpm2.TPMSNVPublic{
		NVIndex: n.index, NameAlg: tpm2.TPMAlgSHA256, DataSize: counterSize,
		Attributes: tpm2.TPMANV{NT: tpm2.TPMNTCounter, AuthRead: true, AuthWrite: true, NoDA: true, Written: written},
	}
}

// named is the index with its name, which changes with the first increment.
func (n counter) named(written bool) (tpm2.NamedHandle, error) {
	public := n.public(written)
	name, err := tpm2.NVName(&public)
	if err != nil {
		return tpm2.NamedHandle{}, err
	}
	return tpm2.NamedHandle{Handle: n.index, Name: *name}, nil
}

func (n counter) increment(c *tpmio.Conn, written bool) error {
	at, err := n.named(written)
	if err != nil {
		return err
	}
	_, err = tpm2.NVIncrement{
		AuthHandle: tpm2.AuthHandle{Handle: at.Handle, Name: at.Name, Auth: c.Session(n.auth.Reveal(), tpmio.Neither)}, NVIndex: at,
	}.Execute(c)
	return err
}

func (n counter) read(c *tpmio.Conn) (uint64, error) {
	at, err := n.named(true)
	if err != nil {
		return 0, err
	}
	r, err := tpm2.NVRead{
		AuthHandle: tpm2.AuthHandle{Handle: at.Handle, Name: at.Name, Auth: c.Session(n.auth.Reveal(), tpmio.FromTPM)}, NVIndex: at, Size: counterSize,
	}.Execute(c)
	if err != nil {
		return 0, err
	}
	if len(r.Data.Buffer) != counterSize {
		return 0, errors.New("the counter has a wrong size")
	}
	return binary.BigEndian.Uint64(r.Data.Buffer), nil
}

// start makes the counter, or goes on with one that is there, and gives its value. A
// TPM starts a counter above every one that it ever had, so neither making it anew
// nor removing it takes time back.
func (n counter) start(c *tpmio.Conn) (uint64, error) {
	if err := n.increment(c, true); err != nil { // none there, or of an agent that is gone
		n.remove(c)
		_, err := tpm2.NVDefineSpace{
			AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)},
			Auth:       tpm2.TPM2BAuth{Buffer: n.auth.Reveal()}, PublicInfo: tpm2.New2B(n.public(false)),
		}.Execute(c, c.Session(nil, tpmio.ToTPM))
		if err != nil {
			return 0, err
		}
		if err := n.increment(c, false); err != nil {
			return 0, err
		}
	}
	return n.read(c)
}

// remove frees the index, as far as it is there.
func (n counter) remove(c *tpmio.Conn) {
	r, err := tpm2.NVReadPublic{NVIndex: n.index}.Execute(c)
	if err != nil {
		return
	}
	_, _ = tpm2.NVUndefineSpace{ // who may not cannot make one either, and start says so
		AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)},
		NVIndex:    tpm2.NamedHandle{Handle: n.index, Name: r.NVName},
	}.Execute(c)
}

// newGeneration starts the counter of a new key. Where the owner of the TPM allows no
// index, the key has no generation, and the log says what that means.
func (s *Store) newGeneration(c *tpmio.Conn, u HelloUser) (uint64, error) {
	n := s.counter(u)
	defer n.auth.Wipe()
	g, err := n.start(c)
	var rc tpm2.TPMRC
	if errors.As(err, &rc) && tpmio.Classify(err) != tpmio.Restarted {
		s.cfg.Log.Warn("the TPM keeps no counter for a Hello key: whoever can restore the agent's files can bring an old PIN back", "error", err)
		return 0, nil
	}
	return g, err
}

// noIndex reports whether a counter is not there.
func noIndex(err error) bool {
	var rc tpm2.TPMRC
	return errors.As(err, &rc) && rc.Is(tpm2.TPMRCHandle)
}

// checkGeneration holds that a key is the newest of its user. A change that was
// interrupted between file and counter is finished here: only the agent writes a
// generation that is one ahead.
func (s *Store) checkGeneration(c *tpmio.Conn, k *helloKey) error {
	if k.Generation == 0 {
		return nil
	}
	n := s.counter(HelloUser{k.Tenant, k.User})
	defer n.auth.Wipe()
	now, err := n.read(c)
	switch {
	case noIndex(err):
		return errRestored() // the index is not there: the key was deleted since, or the TPM cleared
	case err != nil:
		return err
	case now == k.Generation:
		return nil
	case now+1 == k.Generation:
		return n.increment(c, true)
	}
	return errRestored()
}

func errRestored() error {
	return prterr.New(prterr.Denied, "user: the Hello key of this user was restored from an older state and is not used: delete it and set up Hello again")
}
