package cloudap

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/hello"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// HelloPolicy is what the device's policy says about Windows Hello for Business. The
// zero value is the standard: offered after the first sign-in to a joined device.
type HelloPolicy struct {
	// Off: it is not set up on this device.
	Off bool
	// NotAtLogon: it is not offered after a sign-in.
	NotAtLogon bool
	// HardwareOnly: only with keys in a TPM that is a chip.
	HardwareOnly bool
	// CertificateTrust: the key shall get a certificate, for which this device has no
	// enrolment.
	CertificateTrust bool
	// RemoteSession: people sit before this device over a network.
	RemoteSession bool
}

// Prerequisite is a line of the NGC prerequisite check of dsregcmd /status.
type Prerequisite struct {
	Name, Value string
	Met         bool
}

// HelloState is what there is of Windows Hello for a user.
type HelloState struct {
	Set           bool
	KeyID         string
	CanReset      string
	Prerequisites []Prerequisite
}

// WillProvision reports whether a key will be offered.
func (h HelloState) WillProvision() bool { return !h.Set && h.unmet() == "" }

// unmet is the first line that is not met.
func (h HelloState) unmet() string {
	for _, p := range h.Prerequisites {
		if !p.Met {
			return p.Name
		}
	}
	return ""
}

// DescribeHello tells the user of a session what there is.
func (c *CloudAP) DescribeHello(ctx context.Context, session secret.Text) (HelloState, error) {
	_, p, err := c.signedIn(session)
	if err != nil {
		return HelloState{}, err
	}
	return c.describeHello(ctx, p)
}

// describeHello asks device registration and the TPM. A TPM that does not answer is no
// error: it is the line DeviceEligible.
func (c *CloudAP) describeHello(ctx context.Context, p partition.Partition) (HelloState, error) {
	device, err := c.recovery.state(ctx, c.cfg.CallTimeout)
	if err != nil {
		return HelloState{}, err
	}
	u := hello.User{Tenant: p.Tenant, User: p.User}
	key, err := c.tpm.describeHello(ctx, u)
	usable := err == nil
	h := HelloState{CanReset: "none"}
	c.mu.Lock()
	r, there := c.hellos[u]
	c.mu.Unlock()
	if there && usable && key.GetKeyId() == r.KeyID {
		h.Set, h.KeyID, h.CanReset = true, r.KeyID, "DestructiveOnly"
		if key.GetCanReset() == tpmv1.CanReset_CAN_RESET_DESTRUCTIVE_AND_NON_DESTRUCTIVE && len(r.WrappedReset) > 0 {
			h.CanReset = "DestructiveAndNonDestructive"
		}
	}
	joined := device.GetJoinState() == dsregv1.JoinState_JOIN_STATE_JOINED || device.GetJoinState() == dsregv1.JoinState_JOIN_STATE_HYBRID
	policy := c.cfg.Hello
	h.Prerequisites = []Prerequisite{
		yes("IsDeviceJoined", joined),
		yes("IsUserAzureAD", device.GetTenantId() == string(p.Tenant)),
		yes("PolicyEnabled", !policy.Off),
		yes("PostLogonEnabled", !policy.NotAtLogon),
		yes("DeviceEligible", usable && (!policy.HardwareOnly || device.GetTpmProtected())),
		yes("SessionIsNotRemote", !policy.RemoteSession),
		// Key trust needs no certificate; there is nobody to enrol one for the other.
		{Name: "CertEnrollment", Value: "none", Met: !policy.CertificateTrust},
	}
	return h, nil
}

func yes(name string, met bool) Prerequisite {
	value := "NO"
	if met {
		value = "YES"
	}
	return Prerequisite{Name: name, Value: value, Met: met}
}

// offersHello is the short form of the check for the answer to a sign-in: what this
// component knows by itself. Whoever takes the offer is checked in full.
func (c *CloudAP) offersHello(p partition.Partition) bool {
	policy := c.cfg.Hello
	if p.Kind == partition.Hello || policy.Off || policy.NotAtLogon || policy.RemoteSession || policy.CertificateTrust {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, there := c.hellos[hello.User{Tenant: p.Tenant, User: p.User}]
	return !there
}
