package front_test

import (
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

const (
	oneStatement = `{"PublicArea":"YQ==","Attestation":"Yg==","Signature":"Yw=="}`
	attested     = `"LockstepAttestation":{"Challenge":"c","DeviceKey":` + oneStatement + `,"TransportKey":` + oneStatement + `}`
)

func TestREG26_AttestationOnTheWire(t *testing.T) {
	c := newCloud()
	const ask = idpv1.DeviceRegistrationService_RequestAttestationChallenge_FullMethodName
	always(c, ask, &idpv1.RequestAttestationChallengeResponse{Challenge: "1.c.c", CredentialBlob: []byte("b"), EncryptedSecret: []byte("s")})
	r := raw(t, c, device("POST", "lockstep/attestation", "", `{"EndorsementKey":"ZQ==","EndorsementCertificate":"Yw==","AttestationKey":"YQ==","Tenant":"contoso.test"}`))
	wantStatus(t, r, 200)
	if r.text != `{"Challenge":"1.c.c","CredentialBlob":"Yg==","EncryptedSecret":"cw=="}` {
		t.Errorf("answered %s", r.text)
	}
	q := asked[*idpv1.RequestAttestationChallengeRequest](t, c, ask)
	if string(q.GetEndorsementKey()) != "e" || string(q.GetEndorsementCertificate()) != "c" || string(q.GetAttestationKey()) != "a" || q.GetTenant() != "contoso.test" || q.GetCaller() == nil {
		t.Errorf("%v", q)
	}
	refuse(c, ask, prterr.New(prterr.Invalid, "endorsement_key is not taken"))
	for _, body := range []string{`{}`, `[]`, ``, `{"EndorsementKey":"!"}`} {
		r := raw(t, c, device("POST", "lockstep/attestation", "", body))
		wantStatus(t, r, 400)
		wantMember(t, r, "operation", `"Attestation"`)
	}

	const register = idpv1.DeviceRegistrationService_RegisterDevice_FullMethodName
	always(c, register, &idpv1.RegisterDeviceResponse{
		Certificate: []byte("cert"), Thumbprint: "AB", KeyProtection: idpv1.KeyProtection_KEY_PROTECTION_HARDWARE, NativeSessionKeys: true,
	})
	const head = `{"CertificateRequest":{"Type":"pkcs10","Data":"Y3Ny"},"TransportKey":"UlNBMQ==","JoinType":0`
	r = raw(t, c, device("POST", "device", drsBearer, head+`,`+attested+`}`))
	wantStatus(t, r, 200)
	wantMember(t, r, "LockstepKeys", `{"Protection":"hardware","NativeSessionKeys":true}`)
	a := asked[*idpv1.RegisterDeviceRequest](t, c, register).GetAttestation()
	if a.GetChallenge() != "c" || string(a.GetTransportKey().GetSignature()) != "c" || string(a.GetDeviceKey().GetPublicArea()) != "a" || a.GetStorageKey() != nil {
		t.Errorf("%v", a)
	}
	// Whoever sends none gets Entra's answer and nothing else.
	r = raw(t, c, device("POST", "device", drsBearer, head+`}`))
	if r.text != `{"Certificate":{"Thumbprint":"AB","RawBody":"Y2VydA=="},"User":{"Upn":""}}` || asked[*idpv1.RegisterDeviceRequest](t, c, register).GetAttestation() != nil {
		t.Errorf("answered %s", r.text)
	}
	wantStatus(t, raw(t, c, device("POST", "device", drsBearer, head+`,"LockstepAttestation":"x"}`)), 400)
}

func TestReplacementOfKeysOnTheWire(t *testing.T) {
	c := newCloud()
	const replace = idpv1.DeviceRegistrationService_ReplaceDeviceKeys_FullMethodName
	always(c, replace, &idpv1.ReplaceDeviceKeysResponse{Certificate: []byte("cert"), Thumbprint: "AB", KeyProtection: idpv1.KeyProtection_KEY_PROTECTION_EMULATED})
	const body = `{"Request":"h.p.s","CertificateRequest":{"Type":"pkcs10","Data":"Y3Ny"},"TransportKey":"UlNBMQ=="`
	r := raw(t, c, device("POST", "lockstep/keys", "", body+`,`+attested+`}`))
	wantStatus(t, r, 200)
	if r.text != `{"Certificate":{"Thumbprint":"AB","RawBody":"Y2VydA=="},"User":{"Upn":""},"LockstepKeys":{"Protection":"emulated","NativeSessionKeys":false}}` {
		t.Errorf("answered %s", r.text)
	}
	q := asked[*idpv1.ReplaceDeviceKeysRequest](t, c, replace)
	if q.GetRequest() != "h.p.s" || string(q.GetCertificateRequest()) != "csr" || string(q.GetTransportKey()) != "RSA1" || q.GetAttestation().GetChallenge() != "c" || q.GetCaller() == nil {
		t.Errorf("%v", q)
	}
	for spoiled, field := range map[string]string{`{"Request":"h.p.s"}`: "CertificateRequest", strings.Replace(body, "UlNBMQ==", "!", 1) + "}": "TransportKey"} {
		r := raw(t, c, device("POST", "lockstep/keys", "", spoiled))
		wantStatus(t, r, 400)
		wantMember(t, r, "operation", `"DeviceRenew"`)
		if !strings.Contains(r.member(t, "message"), field) {
			t.Errorf("%s: %s", spoiled, r.text)
		}
	}
}

// TestA08_GraphShowsTheLevelToWhoAsks and to nobody else: the standard answer is Graph's.
func TestA08_GraphShowsTheLevelToWhoAsks(t *testing.T) {
	c := newCloud()
	always(c, idpv1.ResourceService_ListDevices_FullMethodName, &idpv1.ListDevicesResponse{Devices: []*idpv1.DirectoryDevice{{DeviceId: "d", KeyProtection: "software"}}})
	ask := func(query string) reply {
		return raw(t, c, "GET /v1.0/devices"+query+" HTTP/1.1\nHost: "+graph+drsBearer+"\n\n")
	}
	if r := ask("?$select=deviceId,keyProtection"); r.StatusCode != 200 || r.member(t, "value") != `[{"deviceId":"d","keyProtection":"software"}]` {
		t.Errorf("answered %s", r.text)
	}
	if r := ask(""); r.StatusCode != 200 || strings.Contains(r.text, "keyProtection") {
		t.Errorf("answered %s", r.text)
	}
}

func TestINV06_CheckOfADeviceOnTheWire(t *testing.T) {
	c := newCloud()
	const check = idpv1.DeviceRegistrationService_CheckDevice_FullMethodName
	always(c, check, &idpv1.CheckDeviceResponse{})
	r := raw(t, c, device("POST", "lockstep/device", "", `{"Request":"h.p.s"}`))
	wantStatus(t, r, 200)
	if q := asked[*idpv1.CheckDeviceRequest](t, c, check); r.text != `{}` || q.GetRequest() != "h.p.s" || q.GetCaller() == nil {
		t.Errorf("answered %s for %v", r.text, q)
	}
	refuse(c, check, prterr.AADSTS(aadsts.DeviceDisabled, ""))
	r = raw(t, c, device("POST", "lockstep/device", "", `{"Request":"h.p.s"}`))
	wantStatus(t, r, 403)
	wantMember(t, r, "operation", `"DeviceCheck"`)
	if !strings.HasPrefix(r.member(t, "message"), `"AADSTS135011: `) {
		t.Errorf("answered %s", r.text)
	}
	wantStatus(t, raw(t, c, device("POST", "lockstep/device", "", `[]`)), 400)
}
