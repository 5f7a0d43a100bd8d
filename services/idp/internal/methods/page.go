package methods

// The names of second factors on the pages and in what clients send
// (authMethodId). Clients have them built in.
const (
	IDPush  = "PhoneAppNotification"
	IDCode  = "PhoneAppOTP"
	IDSMS   = "OneWaySMS"
	IDVoice = "TwoWayVoiceMobile"
	// IDPhoneSignIn is the authenticator of a user whose phone signs in without a
	// password, where nothing less is enough. Clients treat it as a push.
	IDPhoneSignIn = "CompanionAppsNotification"
	// IDPasskey, IDAccessPass and IDCertificate have forms of their own.
	IDPasskey     = "FidoKey"
	IDAccessPass  = "AccessPass"
	IDCertificate = "CertificateKey" // ours: the public service has no such name
)

// ByID is the method behind a name that clients know; false when there is none, or
// more than one: which pass it was, and what a certificate is worth, is known when
// it is checked.
func ByID(id string) (Method, bool) {
	switch id {
	case IDPush:
		return Push, true
	case IDPhoneSignIn:
		return PhoneSignIn, true
	case IDCode:
		return SoftwareOATH, true
	case IDSMS:
		return SMS, true
	case IDVoice:
		return Voice, true
	case IDPasskey:
		return FIDO2, true
	default:
		return "", false
	}
}

// ID is the name that clients know a method by; empty when no page asks for it.
func (m Method) ID() string {
	switch m {
	case Push:
		return IDPush
	case PhoneSignIn:
		return IDPhoneSignIn
	case SoftwareOATH, HardwareOATH:
		return IDCode
	case SMS:
		return IDSMS
	case Voice:
		return IDVoice
	case FIDO2:
		return IDPasskey
	case AccessPassOnce, AccessPassMany:
		return IDAccessPass
	case CertificateMulti, CertificateSingle:
		return IDCertificate
	default:
		return ""
	}
}
