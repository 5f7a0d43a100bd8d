package keystore

import (
	"crypto/x509"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// Components that may be the authority of the PRT.
const (
	authorityCloudAP = "lsa-cloudap"
	authorityWAM     = "wam-broker"
)

// joinType reads out of a device certificate how the device is known to its tenant;
// empty when it does not say, and then nobody is the authority of a PRT.
func joinType(der []byte) entrawire.JoinType {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return ""
	}
	id, err := entrawire.ParseDeviceCertificate(cert)
	if err != nil {
		return ""
	}
	return id.JoinType
}

// May reports whether a component is the authority of the PRT on this device: the
// CloudAP plug-in on a joined or hybrid joined one, the WAM plug-in on a registered
// one. The installed certificate decides, so that neither can take the other's place
// by what it says of itself. An error is prterr.Denied, or prterr.Conflict on a
// device without an identity.
func (s *Store) May(caller string) error {
	_, _, err := s.currentFor(caller)
	return err
}

// currentFor is current for a caller that uses keys as the authority of the PRT.
func (s *Store) currentFor(caller string) (*keySet, *chip, error) {
	set, p, err := s.current()
	if set == nil {
		return nil, nil, err
	}
	if refused := set.mayBeUsedBy(caller); refused != nil {
		return nil, nil, refused
	}
	return set, p, err
}

func (set *keySet) mayBeUsedBy(caller string) error {
	switch {
	case set.join == entrawire.JoinJoined && caller == authorityCloudAP, set.join == entrawire.JoinRegistered && caller == authorityWAM:
		return nil
	case set.join == entrawire.JoinJoined:
		return prterr.New(prterr.Denied, "this device is joined: %s is the authority of its PRTs, and nobody else uses their keys", authorityCloudAP)
	case set.join == entrawire.JoinRegistered:
		return prterr.New(prterr.Denied, "this device is registered, not joined: %s is the authority of its PRTs, and nobody else uses their keys", authorityWAM)
	default:
		return prterr.New(prterr.Denied, "the device certificate does not say whether the device is joined or registered: nobody is the authority of a PRT here")
	}
}
