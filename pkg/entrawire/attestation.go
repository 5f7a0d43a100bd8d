package entrawire

// The shapes of attestation and of what else is ours in device registration over HTTPS:
// the protocol has none. Bytes are base64 with padding, as registration has all of them.

// Where they are, below the address of the registration service.
const (
	ChallengePath   = "/EnrollmentServer/lockstep/attestation"
	ReplacementPath = "/EnrollmentServer/lockstep/keys"
	CheckPath       = "/EnrollmentServer/lockstep/device"
)

// Names of what is proven of keys.
const (
	ProtectionSoftware = "software"
	ProtectionEmulated = "emulated"
	ProtectionHardware = "hardware"
)

// ChallengeRequest carries the public keys of a TPM: two TPMT_PUBLIC and, if there is
// one, a certificate in DER.
type ChallengeRequest struct {
	EndorsementKey         []byte `json:"EndorsementKey"`
	EndorsementCertificate []byte `json:"EndorsementCertificate,omitempty"`
	AttestationKey         []byte `json:"AttestationKey"`
	// Tenant is an id or a domain.
	Tenant string `json:"Tenant"`
}

// ChallengeAnswer carries a credential (TPM 2.0 Part 1, 24).
type ChallengeAnswer struct {
	Challenge       string `json:"Challenge"`
	CredentialBlob  []byte `json:"CredentialBlob"`
	EncryptedSecret []byte `json:"EncryptedSecret"`
}

// Attestation is the member LockstepAttestation of an enrolment.
type Attestation struct {
	Challenge    string        `json:"Challenge"`
	DeviceKey    KeyStatement  `json:"DeviceKey"`
	TransportKey KeyStatement  `json:"TransportKey"`
	StorageKey   *KeyStatement `json:"StorageKey,omitempty"`
}

// KeyStatement is what an attestation key says of one key: a TPMT_PUBLIC, a
// TPMS_ATTEST and a TPMT_SIGNATURE.
type KeyStatement struct {
	PublicArea  []byte `json:"PublicArea"`
	Attestation []byte `json:"Attestation"`
	Signature   []byte `json:"Signature"`
}

// KeyState is the member LockstepKeys of the answer, for who sent an attestation.
type KeyState struct {
	// Protection is ProtectionSoftware, ProtectionEmulated or ProtectionHardware.
	Protection        string `json:"Protection"`
	NativeSessionKeys bool   `json:"NativeSessionKeys"`
}
