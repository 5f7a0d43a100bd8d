package datakey_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/authority/datakey"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// answers is a connection that answers each method with a message or an error.
type answers map[string]any

func (a answers) Invoke(_ context.Context, method string, _, reply any, _ ...grpc.CallOption) error {
	switch v := a[method].(type) {
	case error:
		return v
	case proto.Message:
		proto.Merge(reply.(proto.Message), v)
		return nil
	default:
		return prterr.New(prterr.Internal, "%s was not expected", method)
	}
}

func (answers) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, prterr.New(prterr.Internal, "there are no streams")
}

// TestPRO10_TheProviderIsReadAsAStranger: what it sends is bounded and has its form, of
// its refusals the code is kept and the words are not, and one that has no such keys is
// told from one that refuses.
func TestPRO10_TheProviderIsReadAsAStranger(t *testing.T) {
	const nonce, request = idpv1.NonceService_IssueNonce_FullMethodName, idpv1.DataKeyService_RequestDataKey_FullMethodName
	sealed, err := entrawire.SealAnswer(secret.NewBytes(make([]byte, 32)), []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	tpm := answers{tpmv1.DataKeyService_SignDataKeyRequest_FullMethodName: &tpmv1.SignDataKeyRequestResponse{Request: "a.b.c"}}
	good := func() answers {
		return answers{nonce: &idpv1.IssueNonceResponse{Nonce: "n"}, request: &idpv1.RequestDataKeyResponse{Answer: sealed}}
	}
	refusal := prterr.AADSTS(aadsts.UserDisabled, "words of a stranger")
	for name, c := range map[string]struct {
		method string
		answer any
		kind   prterr.Kind
		code   aadsts.Code
	}{
		"good":                 {request, &idpv1.RequestDataKeyResponse{Answer: sealed}, "", 0},
		"a nonce with a blank": {nonce, &idpv1.IssueNonceResponse{Nonce: "a b"}, prterr.Unavailable, 0},
		"a plain answer":       {request, &idpv1.RequestDataKeyResponse{Answer: `{"data_protection_key":"x"}`}, prterr.Unavailable, 0},
		"a refusal":            {request, refusal, refusal.Kind, aadsts.UserDisabled},
		"no network":           {nonce, prterr.New(prterr.Unavailable, "gone"), prterr.Unavailable, 0},
		"another provider":     {request, prterr.AADSTS(aadsts.UnsupportedGrantType, ""), prterr.NotFound, 0},
		"its HTTP 400":         {request, prterr.New(prterr.Invalid, "no"), prterr.NotFound, 0},
		"an older contract":    {request, prterr.New(prterr.NotFound, "no"), prterr.NotFound, 0},
	} {
		t.Run(name, func(t *testing.T) {
			idp := good()
			idp[c.method] = c.answer
			got, err := datakey.NewProvider(tpm, idp, 0).Fetch(t.Context(), &tpmv1.SignDataKeyRequestRequest{Prt: "p"})
			if c.kind == "" {
				if err != nil || got != sealed {
					t.Errorf("%q, %v", got, err)
				}
				return
			}
			if prterr.KindOf(err) != c.kind || prterr.CodeOf(err) != c.code || got != "" {
				t.Errorf("%q, %v (%s)", got, err, prterr.KindOf(err))
			}
			if err.Error() == refusal.Error() {
				t.Error("the words of the provider came through")
			}
		})
	}
}
