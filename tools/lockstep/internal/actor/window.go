package actor

import (
	"context"
	"errors"
	"net/http"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
)

// Window is the broker's sign-in window with a person before it. It is scripted: a
// window for people is a browser.
type Window struct {
	Broker grpc.ClientConnInterface
	// Pages is how the window reaches the sign-in pages, and who sits there.
	Pages pageagent.Config
}

// Serve shows the pages that come for a session until ctx ends, one after the other,
// and answers with what the person was asked for. A person who gives up closes the
// window; why is the error.
func (w Window) Serve(ctx context.Context, d Desktop) (prompts []string, err error) {
	broker := wamv1.NewWindowServiceClient(w.Broker)
	for {
		page, waiting := broker.AwaitInteraction(ctx, &wamv1.AwaitInteractionRequest{LogonSession: d.Session.Reveal()})
		switch {
		case ctx.Err() != nil:
			return prompts, err
		case waiting != nil:
			return prompts, errors.Join(err, waiting)
		case page.GetInteraction() == nil:
			continue
		}
		final, asked, failed := Show(ctx, w.Pages, page.GetInteraction())
		prompts, err = append(prompts, asked...), errors.Join(err, failed)
		_, told := broker.FinishInteraction(ctx, &wamv1.FinishInteractionRequest{
			LogonSession: d.Session.Reveal(), InteractionId: page.GetInteraction().GetInteractionId(), FinalUri: final,
		})
		if told != nil && ctx.Err() == nil {
			return prompts, errors.Join(err, told)
		}
	}
}

// Show goes through a page that lsa-cloudap made: its headers on the first request, to
// its address alone.
func Show(ctx context.Context, pages pageagent.Config, i *authorityv1.Interaction) (final string, prompts []string, err error) {
	agent, err := pageagent.New(pages)
	if err != nil {
		return "", nil, err
	}
	headers := http.Header{}
	for _, h := range i.GetHeaders() {
		headers.Set(h.GetName(), h.GetValue())
	}
	return agent.Run(ctx, i.GetUrl(), headers)
}
