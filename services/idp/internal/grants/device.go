package grants

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// DeviceKind is a kind of request that is signed with the device key. Every hook
// must be set.
type DeviceKind[C, A any] struct {
	Flow signinlog.Flow
	// Protocol is the version of the PRT protocol, 0 for 2: it fixes the algorithm.
	Protocol entrawire.Protocol
	// Correlation is the client's id for the request, for the log, or empty.
	Correlation string
	// Former takes a request also that is signed with the key that the device's own was
	// exchanged for; Answer must look at Device.Former. It is for the exchange itself,
	// whose answer may have been lost.
	Former bool
	// Nonce finds the nonce in the claims.
	Nonce func(*C) string
	// User and Client find who is asked for, for the log.
	User, Client func(*C) string
	// Check judges the form of the claims.
	Check func(*C) error
	// Answer authenticates the user, if the kind has one, and answers.
	Answer func(context.Context, Device, *C) (A, error)
}

// Device is what the phases of a device-signed request have established.
type Device struct {
	Tenant *tenant.Tenant
	// Device exists, is enabled, belongs to the tenant, and signed the request.
	Device store.Device
	// KDFVer is what the header announces, 0 when it does not.
	KDFVer int
	// Former says that not the device's key signed, but the one before the last exchange.
	Former bool

	event *signinlog.Event
}

// IsUser tells the log who the request turned out to be for.
func (d Device) IsUser(u store.User) { d.event.User = u.UPN }

// ByDevice runs a device-signed request: form, algorithm (RS256, ES256 in version
// 4), certificate, signature, nonce, replay, device, claims, answer (MS-OAPXBC
// 3.2.5.1.2).
func ByDevice[C, A any](ctx context.Context, g *Gate, k DeviceKind[C, A], request secret.Text) (answer A, err error) {
	e := &signinlog.Event{Flow: k.Flow, Correlation: k.Correlation}
	NoteCaller(ctx, e)
	defer g.record(ctx, e, &err)
	alg := jose.RS256
	if k.Protocol == entrawire.Protocol4 {
		alg = jose.ES256
	}
	t, err := parse(request, alg)
	if err != nil {
		return answer, err
	}
	d, err := g.deviceOf(ctx, t, e, k.Former)
	if err != nil {
		return answer, err
	}
	var c C
	if err := claims(t, &c); err != nil {
		return answer, err
	}
	e.User, e.Client = name(k.User(&c)), client(k.Client(&c))
	if err := g.fresh(ctx, d.Tenant.Profile, t, k.Nonce(&c)); err != nil {
		return answer, err
	}
	if err := d.standing(k.Flow); err != nil {
		return answer, err
	}
	if err := shape(k.Check(&c)); err != nil {
		return answer, err
	}
	answer, err = k.Answer(ctx, d, &c)
	if err == nil {
		g.noteUse(ctx, d)
	}
	return answer, err
}

// noteUse keeps that a device has its certificate, with its first request that was carried
// out: from then on nobody is answered with that device who asks to register one. It has
// no say in what is answered; a device that has just removed itself is gone.
func (g *Gate) noteUse(ctx context.Context, d Device) {
	if !d.Device.Used && !d.Former {
		_ = g.Directory.NoteUse(context.WithoutCancel(ctx), d.Device.ID)
	}
}

// deviceOf is the phase that finds the device and verifies its signature. The
// certificate must chain to the tenant's device authority, name a device of that
// tenant, and be, byte for byte and key for key, the one the directory holds for
// it. The signature is verified with the directory's key and no other.
func (g *Gate) deviceOf(ctx context.Context, t *jose.Token, e *signinlog.Event, former bool) (Device, error) {
	refused := prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "")
	if len(t.Header.X5C) == 0 {
		return Device{}, prterr.AADSTS(aadsts.DeviceInformationNotPresent, "")
	}
	id, cert, err := g.Authority.CheckDeviceCertificate(t.Header.X5C[0])
	if err != nil {
		return Device{}, err
	}
	home, ok := g.Tenants.Tenant(id.TenantID)
	if !ok {
		return Device{}, refused
	}
	dev, err := g.Directory.Device(ctx, id.TenantID, id.DeviceID)
	if err != nil {
		return Device{}, err
	}
	former = former && isFormer(dev, cert)
	var key crypto.PublicKey = cert.PublicKey
	if !former {
		if key, err = storedKey(dev, cert); err != nil {
			return Device{}, err
		}
	}
	if err := verifyDevice(t, key); err != nil {
		return Device{}, prterr.AADSTS(aadsts.InvalidGrant, "the request is not signed with the device key of its certificate")
	}
	// Only now is it known that the device itself speaks.
	e.Tenant, e.Device, e.Protection = home.ID, dev.ID, string(dev.KeyProtection)
	NoteDevice(e, dev)
	return Device{Tenant: home, Device: dev, KDFVer: t.Header.KDFVer, Former: former, event: e}, nil
}

// verifyDevice verifies with the directory's key. The step fixed the algorithm, so
// a key of the other kind refuses: no device speaks both.
func verifyDevice(t *jose.Token, key crypto.PublicKey) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return t.VerifyRS256(k)
	case *ecdsa.PublicKey:
		return t.VerifyES256(k)
	}
	return jose.ErrKey
}

// isFormer reports whether a certificate of this tenant's authority is the one that the
// device had before its keys were exchanged, byte for byte.
func isFormer(dev store.Device, cert *x509.Certificate) bool {
	sum := sha256.Sum256(cert.Raw)
	return len(dev.ReplacedCertificate) == len(sum) && bytes.Equal(dev.ReplacedCertificate, sum[:])
}

func storedKey(dev store.Device, cert *x509.Certificate) (crypto.PublicKey, error) {
	refused := prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "")
	if !bytes.Equal(dev.Certificate, cert.Raw) || !bytes.Equal(dev.DeviceKey, cert.RawSubjectPublicKeyInfo) {
		return nil, refused
	}
	pub, err := x509.ParsePKIXPublicKey(dev.DeviceKey)
	if err != nil {
		return nil, refused
	}
	return pub, nil
}
