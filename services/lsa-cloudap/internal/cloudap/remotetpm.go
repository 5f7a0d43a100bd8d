package cloudap

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/hello"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// tpm is the tpm-agent as the framework uses it: to import session keys, and for the
// life of Windows Hello keys. What is signed, the plug-in asks for.
type tpm struct {
	keys    tpmv1.PRTKeyServiceClient
	hello   tpmv1.HelloKeyServiceClient
	timeout time.Duration
}

func newTPM(conn grpc.ClientConnInterface, timeout time.Duration) tpm {
	return tpm{keys: tpmv1.NewPRTKeyServiceClient(conn), hello: tpmv1.NewHelloKeyServiceClient(conn), timeout: timeout}
}

// importSessionKey has the TPM unwrap a session key with the transport key and
// protect it under its own. What comes back is safe on disk.
func (t tpm) importSessionKey(ctx context.Context, k partition.Key, wrapped string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	a, err := t.keys.ImportSessionKey(ctx, &tpmv1.ImportSessionKeyRequest{Partition: keyMessage(k), SessionKeyJwe: wrapped})
	if err != nil {
		return nil, err
	}
	sealed := a.GetSessionKey().GetSealed()
	if len(sealed) == 0 || len(sealed) > artefact.MaxSealedKey {
		return nil, prterr.New(prterr.TPMFailed, "tpm-agent: answer is not usable: session_key is empty or too long")
	}
	return sealed, nil
}

// protectPRT has the tpm-agent seal a PRT. What comes back is safe on disk, and what
// signs takes it as it is.
func (t tpm) protectPRT(ctx context.Context, k partition.Key, prt secret.Text) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	a, err := t.keys.ProtectPRT(ctx, &tpmv1.ProtectPRTRequest{Partition: keyMessage(k), Prt: prt.Reveal()})
	if err != nil {
		return nil, err
	}
	sealed := a.GetSealedPrt().GetSealed()
	if len(sealed) == 0 || len(sealed) > artefact.MaxSealedPRT {
		return nil, prterr.New(prterr.TPMFailed, "tpm-agent: answer is not usable: sealed_prt is empty or too long")
	}
	return sealed, nil
}

func helloUser(u hello.User) *tpmv1.HelloUser {
	return &tpmv1.HelloUser{TenantId: string(u.Tenant), UserId: string(u.User)}
}

// verifyPIN has the TPM judge a PIN. Its errors pass as they are: they say how many
// tries are left, or how long to wait.
func (t tpm) verifyPIN(ctx context.Context, h helloPIN) error {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	_, err := t.hello.VerifyHelloPIN(ctx, &tpmv1.VerifyHelloPINRequest{User: helloUser(h.user), Pin: h.pin.Reveal()})
	return err
}

// createHello makes a key. RSA keys take their time, so the caller's is what bounds it.
func (t tpm) createHello(ctx context.Context, u hello.User, pin secret.Text, resetKey []byte) (*tpmv1.CreateHelloKeyResponse, error) {
	a, err := t.hello.CreateHelloKey(ctx, &tpmv1.CreateHelloKeyRequest{User: helloUser(u), Pin: pin.Reveal(), PinResetKey: resetKey})
	if err != nil {
		return nil, err
	}
	if len(a.GetPublicKey()) == 0 || a.GetKeyId() == "" {
		return nil, prterr.New(prterr.TPMFailed, "tpm-agent: answer is not usable: public_key or key_id is missing")
	}
	return a, nil
}

// deleteHello destroys a key; that there is none is no error.
func (t tpm) deleteHello(ctx context.Context, u hello.User) error {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	_, err := t.hello.DeleteHelloKey(ctx, &tpmv1.DeleteHelloKeyRequest{User: helloUser(u)})
	if prterr.KindOf(err) == prterr.NotFound {
		return nil
	}
	return err
}

func (t tpm) changePIN(ctx context.Context, u hello.User, pin, next secret.Text) error {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	_, err := t.hello.ChangeHelloPIN(ctx, &tpmv1.ChangeHelloPINRequest{User: helloUser(u), Pin: pin.Reveal(), NewPin: next.Reveal()})
	return err
}

func (t tpm) resetPIN(ctx context.Context, u hello.User, reset secret.Bytes, next secret.Text) error {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	_, err := t.hello.ResetHelloPIN(ctx, &tpmv1.ResetHelloPINRequest{User: helloUser(u), ResetSecret: reset.Reveal(), NewPin: next.Reveal()})
	return err
}

func (t tpm) describeHello(ctx context.Context, u hello.User) (*tpmv1.DescribeHelloKeyResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	return t.hello.DescribeHelloKey(ctx, &tpmv1.DescribeHelloKeyRequest{User: helloUser(u)})
}
