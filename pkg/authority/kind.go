package authority

import "slices"

// Kinds of credential behind a PRT, as the tpm-agent binds session keys to them.
const (
	KindPassword   = "password"
	KindHello      = "hello"
	KindSmartCard  = "smartcard"
	KindFIDO       = "fido"
	KindAccessPass = "tap"
	KindWeb        = "web"
)

// Kinds lists them all.
func Kinds() []string {
	return []string{KindPassword, KindHello, KindSmartCard, KindFIDO, KindAccessPass, KindWeb}
}

// KindAtPage is the kind of a PRT that a sign-in page brought. What the user began
// with decides: a second factor on top of a password leaves it the PRT of a password,
// and a security key alone is one of a security key. An identity provider that does
// not list methods says less in amr (RFC 8176): there a certificate, a Hello key and
// the authenticator look alike, and are kept apart from all the others.
func KindAtPage(who Identity) string {
	for _, m := range who.Methods {
		switch m {
		case "password", "federatedSingleFactor", "federatedMultiFactor":
			return KindPassword
		case "windowsHelloForBusiness":
			return KindHello
		case "fido2":
			return KindFIDO
		case "x509CertificateSingleFactor", "x509CertificateMultiFactor":
			return KindSmartCard
		case "temporaryAccessPassOneTime", "temporaryAccessPassMultiUse":
			return KindAccessPass
		case "deviceBasedPush":
			return KindWeb
		}
	}
	for _, row := range []struct{ value, kind string }{
		{"pwd", KindPassword}, {"fed", KindPassword}, {"tap", KindAccessPass}, {"fido", KindFIDO}, {"x509", KindSmartCard},
	} {
		if slices.Contains(who.AMR, row.value) {
			return row.kind
		}
	}
	return KindWeb
}
