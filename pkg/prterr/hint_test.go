package prterr

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// TestFLT09_AHintDoesNotStopADeviceForEver: whoever throttles says for how long, at most a
// day; a hint that is no time is none.
func TestFLT09_AHintDoesNotStopADeviceForEver(t *testing.T) {
	for _, c := range []struct {
		hint *durationpb.Duration
		want time.Duration
	}{
		{durationpb.New(5 * time.Minute), 5 * time.Minute},
		{&durationpb.Duration{Seconds: 315_576_000_000}, MaxRetryAfter},
		{&durationpb.Duration{Seconds: math.MaxInt64}, 0},
		{&durationpb.Duration{Seconds: -1}, 0},
		{&durationpb.Duration{Seconds: 1, Nanos: -1}, 0},
		{nil, 0},
	} {
		s, err := status.New(codes.ResourceExhausted, "too many").WithDetails(&errdetails.RetryInfo{RetryDelay: c.hint})
		if err != nil {
			t.Fatal(err)
		}
		if got := RetryAfterOf(FromStatus(s.Err())); got != c.want {
			t.Errorf("%v: %v, want %v", c.hint, got, c.want)
		}
	}
	if got := RetryAfterOf(New(Exhausted, "").WithRetryAfter(math.MaxInt64)); got != MaxRetryAfter {
		t.Errorf("%v", got)
	}
}

// TestWhatIsToldHasABound: a text that repeats a long input does not become too long for a
// header, in which the caller would then see no error of ours at all.
func TestWhatIsToldHasABound(t *testing.T) {
	err := ToStatus(New(Invalid, "%s", "a"+strings.Repeat("é", 1<<17)))
	s, ok := status.FromError(err)
	if n := proto.Size(s.Proto()); !ok || n > 2*maxMsg || !utf8.ValidString(s.Message()) || KindOf(FromStatus(err)) != Invalid {
		t.Errorf("%d bytes", n)
	}
}
