package aadplugin

import (
	"slices"

	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// kindAtPage is the partition of a PRT that a sign-in page brought. What the user
// began with decides: a second factor on top of a password leaves it the PRT of a
// password, and a security key alone is one of a security key. An identity provider
// that does not list methods says less in amr (RFC 8176): there a certificate, a
// Hello key and the authenticator look alike, and are kept apart from all the others.
func kindAtPage(methods, amr []string) partition.Kind {
	for _, m := range methods {
		switch m {
		case "password", "federatedSingleFactor", "federatedMultiFactor":
			return partition.Password
		case "windowsHelloForBusiness":
			return partition.Hello
		case "fido2":
			return partition.FIDO
		case "x509CertificateSingleFactor", "x509CertificateMultiFactor":
			return partition.SmartCard
		case "temporaryAccessPassOneTime", "temporaryAccessPassMultiUse":
			return partition.AccessPass
		case "deviceBasedPush":
			return partition.Web
		}
	}
	for _, row := range []struct {
		value string
		kind  partition.Kind
	}{
		{"pwd", partition.Password}, {"fed", partition.Password}, {"tap", partition.AccessPass},
		{"fido", partition.FIDO}, {"x509", partition.SmartCard},
	} {
		if slices.Contains(amr, row.value) {
			return row.kind
		}
	}
	return partition.Web
}
