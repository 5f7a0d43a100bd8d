package partition

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// version of the file format, and those before, which are still read. The first one has no
// standing, and its PRT is in the clear, and is sealed with the next write that finds the
// tpm-agent; the second one names no membership. A file of another version is not read:
// guessing at it could lose a PRT that another release can still use.
const (
	version       = 3
	secondVersion = 2
	firstVersion  = 1
)

// file is the JSON form of a Partition.
type file struct {
	Version        int    `json:"version"`
	TenantID       string `json:"tenant_id"`
	UserID         string `json:"user_id"`
	CredentialKind string `json:"credential_kind"`
	UPN            string `json:"user_principal_name"`
	DisplayName    string `json:"display_name"`
	// PRT is in the clear in files of the first version, and in those that had to be
	// written while the tpm-agent was away.
	PRT       string `json:"prt,omitempty"`
	SealedPRT []byte `json:"sealed_prt,omitempty"`
	// PRTHash is SHA-256 of the PRT, in hex: it tells one PRT from another.
	PRTHash        string    `json:"prt_sha256,omitempty"`
	SealedKey      []byte    `json:"sealed_session_key"`
	Verifier       string    `json:"password_verifier,omitempty"`
	ObtainedAt     time.Time `json:"obtained_at"`
	ExpiresAt      time.Time `json:"expires_at"`
	WrongPasswords int       `json:"wrong_passwords"`
	LastWrongAt    time.Time `json:"last_wrong_at,omitzero"`
	standing
}

// encode is one of the places where a PRT is revealed, when it is not sealed yet: it
// goes to disk, mode 0600.
func encode(p Partition) ([]byte, error) {
	f := file{
		Version: version, TenantID: string(p.Tenant), UserID: string(p.User), CredentialKind: string(p.Kind),
		UPN: string(p.UPN), DisplayName: p.DisplayName, PRT: p.PRT.Reveal(), SealedKey: p.SealedKey,
		Verifier: p.Verifier.phc.Reveal(), ObtainedAt: p.ObtainedAt.UTC(), ExpiresAt: p.ExpiresAt.UTC(),
		WrongPasswords: p.WrongPasswords, LastWrongAt: p.LastWrongAt.UTC(), standing: p.form(),
	}
	if len(p.SealedPRT) > 0 {
		f.PRT, f.SealedPRT, f.PRTHash = "", p.SealedPRT, hex.EncodeToString(p.PRTHash[:])
	}
	return json.Marshal(f)
}

// decode reads a file as from a stranger. Errors name the member and never quote
// its value.
func decode(data []byte) (Partition, error) {
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Partition{}, errors.New("it is not whole JSON of the expected form")
	}
	if head.Version == nil || *head.Version < firstVersion || *head.Version > version {
		return Partition{}, fmt.Errorf("its version is not one of %d to %d: it was written by another release", firstVersion, version)
	}
	var f file
	if err := durable.DecodeJSON(data, &f); err != nil {
		return Partition{}, errors.New("it has a member of the wrong type or with an unknown name")
	}
	return f.partition()
}

func (f file) partition() (Partition, error) {
	key, err := ParseKey(f.TenantID, f.UserID, f.CredentialKind)
	if err != nil {
		return Partition{}, err
	}
	upn, err := ids.ParseUPN(f.UPN)
	if err != nil {
		return Partition{}, err
	}
	prt, hash, err := f.prt()
	if err != nil {
		return Partition{}, err
	}
	var verifier Verifier
	if f.Verifier != "" {
		if verifier, err = ParseVerifier(secret.NewText(f.Verifier)); err != nil {
			return Partition{}, err
		}
	}
	standing, err := f.read()
	if err != nil {
		return Partition{}, err
	}
	if f.Version == firstVersion {
		// The one contact with the identity provider that such a file tells of.
		standing = Standing{LastOnlineAt: f.ObtainedAt}
	}
	switch {
	case f.Version <= secondVersion && f.Membership != "":
		return Partition{}, errors.New("membership_id stands in a file that is too old for it")
	case !verifier.Empty() && key.Kind != Password:
		return Partition{}, errors.New("password_verifier stands in a partition that no password opens")
	case len(f.SealedKey) == 0 || len(f.SealedKey) > artefact.MaxSealedKey:
		return Partition{}, errors.New("sealed_session_key is empty or too long")
	case len(f.DisplayName) > artefact.MaxName:
		return Partition{}, errors.New("display_name is too long")
	case f.ObtainedAt.IsZero() || !f.ExpiresAt.After(f.ObtainedAt):
		return Partition{}, errors.New("expires_at is not after obtained_at")
	case f.WrongPasswords < 0:
		return Partition{}, errors.New("wrong_passwords is negative")
	}
	return Partition{
		Key: key, UPN: upn, DisplayName: f.DisplayName, PRT: prt, SealedPRT: f.SealedPRT, PRTHash: hash, SealedKey: f.SealedKey,
		Verifier: verifier, ObtainedAt: f.ObtainedAt, ExpiresAt: f.ExpiresAt,
		WrongPasswords: f.WrongPasswords, LastWrongAt: f.LastWrongAt, Standing: standing,
	}, nil
}

// prt reads the PRT, which is there in one form.
func (f file) prt() (prt secret.Text, hash [sha256.Size]byte, err error) {
	if len(f.SealedPRT) == 0 {
		if !artefact.Opaque(f.PRT, artefact.MaxPRT) {
			return prt, hash, errors.New("prt is empty, too long or has a character that is not allowed")
		}
		return secret.NewText(f.PRT), sha256.Sum256([]byte(f.PRT)), nil
	}
	n, err := hex.Decode(hash[:], []byte(f.PRTHash[:min(len(f.PRTHash), 2*len(hash))]))
	switch {
	case f.Version == firstVersion || f.PRT != "":
		return prt, hash, errors.New("the PRT is there sealed and in the clear, or in a file that is too old for that")
	case len(f.SealedPRT) > artefact.MaxSealedPRT:
		return prt, hash, errors.New("sealed_prt is too long")
	case err != nil || n != len(hash) || len(f.PRTHash) != 2*len(hash):
		return prt, hash, errors.New("prt_sha256 is not 64 hex digits")
	}
	return prt, hash, nil
}
