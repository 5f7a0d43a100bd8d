package authority

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
)

// Attempt is an attempt to obtain, renew or use a PRT that failed, as the diagnostics of
// dsregcmd /status show it. The zero value is none.
type Attempt struct {
	At time.Time
	// Status is the Windows code of its end.
	Status wincode.Code
	UPN    ids.UPN
	// Kind of credential, or empty when there was none.
	Kind string
	// Correlation is the trace id.
	Correlation string
	Where       prterr.Where
	Code        aadsts.Code
	ErrorKind   prterr.Kind
	// Message is in words of ours.
	Message string
}

// Failed is an attempt that ended now, with an error, in the trace of ctx.
func Failed(ctx context.Context, now time.Time, err error) Attempt {
	a := Attempt{At: now, Status: wincode.Of(err), Where: prterr.WhereOf(err), Code: prterr.CodeOf(err), ErrorKind: prterr.KindOf(err)}
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		a.Correlation = sc.TraceID().String()
	}
	return a
}

// Proto is the attempt as a message, nil for none.
func (a Attempt) Proto() *authorityv1.Attempt {
	if a.At.IsZero() {
		return nil
	}
	m := &authorityv1.Attempt{
		Time: timestamppb.New(a.At), Status: uint32(a.Status), UserIdentity: string(a.UPN), CredentialType: CredentialType(a.Kind),
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

// CredentialType is a kind of credential in the words of dsregcmd /status, empty for none.
func CredentialType(kind string) string {
	switch kind {
	case KindPassword:
		return "Password"
	case KindHello:
		return "NGC"
	case KindSmartCard:
		return "SmartCard"
	case KindFIDO:
		return "FIDO"
	case KindAccessPass:
		return "TAP"
	case KindWeb:
		return "Web"
	default:
		return ""
	}
}
