package outbox_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/outbox"
)

func TestTheNewestAreKept(t *testing.T) {
	lab := clock.NewLab()
	b := outbox.New(outbox.Config{Clock: lab})
	for i := range outbox.Size + 3 {
		user := "a@x.test"
		if i%2 == 1 {
			user = "b@x.test"
		}
		b.Send(outbox.Message{User: "a@x.test", Channel: outbox.SMS, Phone: "+1 5550100", Text: secret.NewText(fmt.Sprint(user, i))})
		lab.Advance(time.Second)
	}
	b.Send(outbox.Message{User: "b@x.test", Channel: outbox.Voice})
	all := b.Messages("")
	if len(all) != outbox.Size || all[0].Text.Reveal() != "a@x.test4" || all[len(all)-1].Channel != outbox.Voice {
		t.Errorf("%d messages, the first %q", len(all), all[0].Text.Reveal())
	}
	if !all[0].Sent.Before(all[1].Sent) {
		t.Error("messages have no order")
	}
	if got := b.Messages("b@x.test"); len(got) != 1 || got[0].User != "b@x.test" {
		t.Errorf("%d messages of one user", len(got))
	}
	if got := fmt.Sprintf("%v %+v", all[0], all[1]); len(got) == 0 || strings.Contains(got, "a@x.test4") {
		t.Error("a message prints its text")
	}
}
