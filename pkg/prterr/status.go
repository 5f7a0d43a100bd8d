package prterr

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
)

// domain marks the details as ours; details of another domain are not read.
const domain = "lockstep"

// maxMsg bounds what is told to, and what is taken over from, another component, in bytes.
const maxMsg = 1024

// ToStatus puts an error into gRPC form. The cause of an Error and the text of
// any other error stay behind: only what was written for the caller crosses.
func ToStatus(err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		if s, ok := status.FromError(err); ok {
			return s.Err()
		}
		e = &Error{Kind: KindOf(err), Msg: "internal error: see the component's log"}
		if e.Kind == Deadline {
			e.Msg = "the deadline of the call passed"
		}
	}
	info := &errdetails.ErrorInfo{Reason: string(e.Kind), Domain: domain, Metadata: map[string]string{}}
	if e.Code != 0 {
		info.Metadata["aadsts"] = strconv.Itoa(int(e.Code))
	}
	if e.HRESULT != 0 {
		info.Metadata["hresult"] = strconv.FormatUint(uint64(e.HRESULT), 16)
	}
	if e.Claims != "" && len(e.Claims) <= MaxClaims {
		info.Metadata["claims"] = e.Claims
	}
	e.Where.put(info.GetMetadata())
	details := []protoadapt.MessageV1{info}
	if e.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	s, derr := status.New(grpcCode(e.Kind), clip(e.Msg)).WithDetails(details...)
	if derr != nil {
		return status.Error(codes.Internal, "error details could not be encoded")
	}
	return s.Err()
}

// FromStatus reads an error that came over gRPC. It is read as from a stranger:
// an unknown kind becomes Internal, an unknown code is dropped, text is cut.
func FromStatus(err error) error {
	if err == nil {
		return nil
	}
	var own *Error
	if errors.As(err, &own) {
		return err
	}
	s, ok := status.FromError(err)
	if !ok {
		s = status.FromContextError(err)
	}
	e := &Error{Kind: kindOfGRPC(s.Code()), Msg: clip(s.Message())}
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == domain {
			e.fill(info)
		}
		if hint, ok := d.(*errdetails.RetryInfo); ok && hint.GetRetryDelay().IsValid() {
			e = e.WithRetryAfter(hint.GetRetryDelay().AsDuration())
		}
	}
	return e
}

// Own reports whether a gRPC error was written by one of our components, and not
// by the transport on the way to it.
func Own(err error) bool {
	s, ok := status.FromError(err)
	if !ok {
		return false
	}
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == domain {
			return true
		}
	}
	return false
}

func (e *Error) fill(info *errdetails.ErrorInfo) {
	e.Kind = Internal
	for _, k := range Kinds() {
		if string(k) == info.GetReason() {
			e.Kind = k
		}
	}
	if n, err := strconv.Atoi(info.GetMetadata()["aadsts"]); err == nil {
		if _, known := aadsts.Lookup(aadsts.Code(n)); known {
			e.Code = aadsts.Code(n)
		}
	}
	if h, err := strconv.ParseUint(info.GetMetadata()["hresult"], 16, 32); err == nil {
		e.HRESULT = uint32(h)
	}
	if c := info.GetMetadata()["claims"]; len(c) <= MaxClaims && json.Valid([]byte(c)) {
		e.Claims = c
	}
	e.Where = readWhere(info.GetMetadata())
}

func clip(s string) string {
	if len(s) > maxMsg {
		return strings.ToValidUTF8(s[:maxMsg], "") // a letter may have been cut
	}
	return s
}

func grpcCode(k Kind) codes.Code {
	switch k {
	case Invalid:
		return codes.InvalidArgument
	case Unauthenticated:
		return codes.Unauthenticated
	case Denied:
		return codes.PermissionDenied
	case NotFound:
		return codes.NotFound
	case Conflict, Interaction, KeysLost:
		return codes.FailedPrecondition
	case Unavailable, TPMFailed:
		return codes.Unavailable
	case Deadline:
		return codes.DeadlineExceeded
	case Exhausted:
		return codes.ResourceExhausted
	default:
		return codes.Internal
	}
}

func kindOfGRPC(c codes.Code) Kind {
	switch c {
	case codes.InvalidArgument, codes.OutOfRange:
		return Invalid
	case codes.Unauthenticated:
		return Unauthenticated
	case codes.PermissionDenied:
		return Denied
	case codes.NotFound, codes.Unimplemented:
		return NotFound // Unimplemented is a method that an older component does not have
	case codes.FailedPrecondition, codes.AlreadyExists, codes.Aborted:
		return Conflict
	case codes.Unavailable, codes.Canceled:
		return Unavailable
	case codes.DeadlineExceeded:
		return Deadline
	case codes.ResourceExhausted:
		return Exhausted
	default:
		return Internal
	}
}

// FromContext names the end of a context, or returns nil.
func FromContext(ctx context.Context) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return New(Deadline, "the deadline passed")
	case ctx.Err() != nil:
		return New(Unavailable, "the call was given up")
	default:
		return nil
	}
}
