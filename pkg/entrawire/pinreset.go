package entrawire

// The shapes of the PIN reset service over HTTPS. They are ours: the protocol of the
// public service is not known. Bytes are base64 with padding, as registration has all
// of them.

// PINResetPath is below the address of the registration service: GET gives the key, and
// POST, with an access token for the PIN reset resource, opens a secret.
const PINResetPath = "/EnrollmentServer/lockstep/pinreset"

// PINResetKey is the answer to GET.
type PINResetKey struct {
	// Key is a DER SubjectPublicKeyInfo, RSA-2048; none when there is no such service.
	Key []byte `json:"Key,omitempty"`
}

// PINResetRequest is the body of POST.
type PINResetRequest struct {
	// KeyID is the kid of the Hello key, and WrappedSecret what was wrapped when it was
	// made.
	KeyID         string `json:"KeyId"`
	WrappedSecret []byte `json:"WrappedSecret"`
}

// PINResetAnswer is the answer to POST.
type PINResetAnswer struct {
	// Secret is for the tpm-agent.
	Secret []byte `json:"Secret"`
}
