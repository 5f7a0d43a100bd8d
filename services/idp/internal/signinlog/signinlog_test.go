package signinlog_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

func TestKeepsTheNewestInOrder(t *testing.T) {
	l := signinlog.New(slog.New(slog.DiscardHandler), nil)
	for i := range signinlog.Size + 10 {
		l.Add(context.Background(), signinlog.Event{Time: time.Unix(int64(i), 0)})
	}
	got := l.Events()
	if len(got) != signinlog.Size || got[0].Time.Unix() != 10 || got[len(got)-1].Time.Unix() != signinlog.Size+9 {
		t.Errorf("%d events from %v", len(got), got[0].Time)
	}
}

func TestOutcomes(t *testing.T) {
	l := signinlog.New(slog.New(slog.DiscardHandler), nil)
	for _, err := range []error{nil, prterr.AADSTS(aadsts.InvalidNonce, ""), errors.New("disk on fire"), prterr.New(prterr.Internal, "text")} {
		l.Record(context.Background(), time.Now(), signinlog.Event{}, err)
	}
	got := l.Events()
	if got[0].Outcome != signinlog.Success || got[1].Outcome != signinlog.Refused || got[1].Code != aadsts.InvalidNonce || got[1].Reason == "" ||
		got[2].Outcome != signinlog.Failed || got[2].Reason != "internal error" || got[3].Outcome != signinlog.Failed {
		t.Errorf("%+v", got)
	}
}
