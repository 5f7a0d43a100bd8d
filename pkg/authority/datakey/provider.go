package datakey

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/authority/freshnonce"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/step"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

const (
	// maxNonce and maxAnswer bound what an identity provider sends, in bytes.
	maxNonce  = 4 << 10
	maxAnswer = 64 << 10
)

// Provider asks the identity provider for its half of a data key.
type Provider struct {
	nonces  idpv1.NonceServiceClient
	keys    idpv1.DataKeyServiceClient
	device  tpmv1.DataKeyServiceClient
	timeout time.Duration
}

// NewProvider takes the connections to tpm-agent and identity provider. The timeout
// bounds each call; 0 is 10 seconds.
func NewProvider(tpm, idp grpc.ClientConnInterface, timeout time.Duration) *Provider {
	if timeout <= 0 {
		timeout = defaultCallTimeout
	}
	return &Provider{
		nonces: idpv1.NewNonceServiceClient(idp), keys: idpv1.NewDataKeyServiceClient(idp),
		device: tpmv1.NewDataKeyServiceClient(tpm), timeout: timeout,
	}
}

// Fetch obtains the answer for whom a request is about; its nonce is filled in here.
// What the answer holds only the tpm-agent sees. Of an error of the identity provider
// kind and code are kept, and its words dropped, as they are a stranger's. One that has
// no data keys, as any other than ours, is prterr.NotFound without a code.
func (p *Provider) Fetch(ctx context.Context, r *tpmv1.SignDataKeyRequestRequest) (string, error) {
	ctx = step.In(ctx, "") // part of whatever needs the key, and no row of its own
	return freshnonce.With(ctx, p.nonce, func(ctx context.Context, nonce string) (string, error) { return p.fetch(ctx, r, nonce) })
}

func (p *Provider) fetch(ctx context.Context, r *tpmv1.SignDataKeyRequestRequest, nonce string) (string, error) {
	signed, ok := proto.Clone(r).(*tpmv1.SignDataKeyRequestRequest)
	if !ok {
		return "", prterr.New(prterr.Internal, "the request for a data key does not copy")
	}
	signed.RequestNonce = nonce
	request, err := p.sign(ctx, signed)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	a, err := p.keys.RequestDataKey(ctx, &idpv1.RequestDataKeyRequest{Request: request})
	if unsupported(err) {
		return "", prterr.New(prterr.NotFound, "identity provider: it keeps no data keys")
	}
	if err != nil {
		return "", stranger(err)
	}
	if len(a.GetAnswer()) > maxAnswer || !entrawire.IsAnswer(a.GetAnswer()) {
		return "", prterr.New(prterr.Unavailable, "identity provider: answer is not usable: it is not encrypted under the session key")
	}
	return a.GetAnswer(), nil
}

func (p *Provider) nonce(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	a, err := p.nonces.IssueNonce(ctx, &idpv1.IssueNonceRequest{})
	if err != nil {
		return "", stranger(err)
	}
	if len(a.GetNonce()) > maxNonce || !entrawire.IsOpaque(a.GetNonce()) {
		return "", prterr.New(prterr.Unavailable, "identity provider: answer is not usable: nonce is empty, too long or has a character that is not allowed")
	}
	return a.GetNonce(), nil
}

func (p *Provider) sign(ctx context.Context, r *tpmv1.SignDataKeyRequestRequest) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	a, err := p.device.SignDataKeyRequest(ctx, r)
	if err != nil {
		return "", err
	}
	if len(a.GetRequest()) > maxAnswer || !entrawire.IsOpaque(a.GetRequest()) {
		return "", prterr.New(prterr.TPMFailed, "tpm-agent: answer is not usable: request is not a compact token")
	}
	return a.GetRequest(), nil
}

// unsupported says that an identity provider does not know the request, by contract or
// by grant type: what ours finds wrong with the form of one of ours, it finds never.
func unsupported(err error) bool {
	switch code := prterr.CodeOf(err); code {
	case 0:
		kind := prterr.KindOf(err)
		return err != nil && (kind == prterr.NotFound || kind == prterr.Invalid)
	default:
		return code == aadsts.UnsupportedGrantType || code == aadsts.InvalidRequest || code == aadsts.MissingParameter || code == aadsts.MalformedRequest
	}
}

// stranger keeps kind, code and HRESULT of an error from outside the device.
func stranger(err error) error {
	var e *prterr.Error
	if !errors.As(err, &e) {
		return prterr.New(prterr.KindOf(err), "identity provider: the key of this user was not given")
	}
	own := prterr.New(e.Kind, "identity provider: the key of this user was not given")
	if row, ok := aadsts.Lookup(e.Code); ok {
		own.Code, own.Msg = e.Code, row.Meaning
	}
	own.Where = e.Where // our own carriers wrote it
	return own.WithHRESULT(e.HRESULT)
}
