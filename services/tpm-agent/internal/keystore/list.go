package keystore

import (
	"cmp"
	"crypto"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// Key is the public view of a long-lived key.
type Key struct {
	SetID     string
	Purpose   Purpose
	Installed bool
	// Public is an RSA or an ECDSA P-256 key; of the storage key, whose curve is for
	// key agreement, the point is given in the same form.
	Public crypto.PublicKey
	// The attributes as the TPM keeps them.
	FixedTPM, FixedParent, SensitiveDataOrigin bool
}

// Keys lists the asymmetric keys of all sets, by set and purpose.
func (s *Store) Keys() ([]Key, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var keys []Key
	for _, set := range s.sets {
		for _, k := range set.keys() {
			area, err := k.blob.area()
			if err != nil {
				return nil, err
			}
			public, err := publicKey(area)
			if err != nil {
				return nil, err
			}
			a := area.ObjectAttributes
			keys = append(keys, Key{
				SetID: set.ID, Purpose: k.purpose, Installed: set.ID == s.installed, Public: public,
				FixedTPM: a.FixedTPM, FixedParent: a.FixedParent, SensitiveDataOrigin: a.SensitiveDataOrigin,
			})
		}
	}
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.SetID, b.SetID), cmp.Compare(a.Purpose, b.Purpose))
	})
	return keys, nil
}

func publicKey(area *tpm2.TPMTPublic) (crypto.PublicKey, error) {
	if area.Type != tpm2.TPMAlgECC {
		return tpm2.Pub(*area)
	}
	parms, err := area.Parameters.ECCDetail()
	if err != nil {
		return nil, err
	}
	point, err := area.Unique.ECC()
	if err != nil {
		return nil, err
	}
	return tpm2.ECDSAPub(parms, point)
}
