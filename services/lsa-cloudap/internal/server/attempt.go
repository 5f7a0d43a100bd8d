package server

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/cloudap"
)

// attempt is a failed attempt as a message, nil for none.
func attempt(a cloudap.Attempt) *authorityv1.Attempt {
	if a.At.IsZero() {
		return nil
	}
	m := &authorityv1.Attempt{
		Time: timestamppb.New(a.At), Status: uint32(a.Status), UserIdentity: string(a.UPN), CredentialType: a.CredentialType(),
		CorrelationId: a.Correlation, EndpointUri: a.Where.URI, HttpMethod: a.Where.Method, HttpError: a.Where.HTTPError,
		HttpStatus:      uint32(max(0, min(a.Where.HTTPStatus, 599))),
		ServerErrorCode: a.Where.ServerError, Aadsts: uint32(max(0, a.Code)),
		Kind: string(a.ErrorKind), Message: a.Message, Step: a.Where.Step,
	}
	if row, ok := aadsts.Lookup(a.Code); ok {
		m.ServerErrorDescription = a.Code.String() + ": " + row.Meaning
		if m.GetServerErrorCode() == "" {
			m.ServerErrorCode, _ = row.V1() // over gRPC; the token endpoint of a PRT is the old one
		}
	}
	return m
}
