package status

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
	eventv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/event/v1"
)

// eventApp is the event of an application that got no token (AAD/Operational).
const eventApp = 1098

// appFailures asks a broker for its events of applications that got no token.
func appFailures(ctx context.Context, broker grpc.ClientConnInterface) ([]*eventv1.Event, error) {
	resp, err := eventv1.NewEventServiceClient(broker).ListEvents(ctx, &eventv1.ListEventsRequest{})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(resp.GetEvents(), func(e *eventv1.Event) bool { return e.GetId() != eventApp }), nil
}

// whyApp tells of the last application that got no token, when nothing else is wrong: a
// policy that blocks one application leaves every PRT as good as it was. That it got one
// since is no event, so only the refresh cycle's time is looked back.
func (v *view) whyApp() []Finding {
	for _, e := range slices.Backward(v.AppFailures) {
		upn, text := eventField(e, "UPN"), eventField(e, "Error")
		if v.user.upn != "" && upn != "" && !strings.EqualFold(upn, v.user.upn) {
			continue
		}
		if v.Now.Sub(e.GetTime().AsTime()) > StaleAfter {
			return nil
		}
		return []Finding{appFinding(e, upn, text)}
	}
	return nil
}

func appFinding(e *eventv1.Event, upn, text string) Finding {
	who := "somebody"
	if upn != "" {
		who = upn
	}
	row, _ := wincode.Lookup(wincode.Code(e.GetStatus()))
	f := Finding{
		Problem: "An application got no token for " + who + " at " + utc(e.GetTime().AsTime()) + "; the PRT is good.",
		Code:    wincode.Code(e.GetStatus()).String(), Cause: sentence(row.Meaning, row.Cause), Next: row.Next,
		Evidence: []string{"event 1098: " + line(e.GetMessage()), text}, Trace: e.GetCorrelationId(),
	}
	name, _, _ := strings.Cut(text, ":")
	for _, known := range aadsts.Table() {
		if known.Code.String() == name {
			f.Code = name
			f.Cause, f.Next = halves(known)
		}
	}
	if f.Next == "" {
		f.Cause, f.Next = text, "Read the events of that time."
	}
	return f
}

func eventField(e *eventv1.Event, name string) string {
	for _, f := range e.GetFields() {
		if f.GetName() == name {
			return line(f.GetValue())
		}
	}
	return ""
}
