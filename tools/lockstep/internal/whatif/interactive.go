package whatif

import (
	"context"
	"net/http"
	"sync"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
)

// token is an app that asks the broker: silently first, and before the user when it
// is told that the user must do something (as authentication libraries do).
func (k *desk) token(ctx context.Context, a App, o *Outcome) error {
	req := &wamv1.RequestTokenRequest{
		LogonSession: k.session.Reveal(), ClientId: a.Client, Resource: a.Resource, ForceRefresh: true,
	}
	_, err := k.tokens.RequestToken(ctx, req)
	if prterr.KindOf(err) != prterr.Interaction {
		return o.ended(err)
	}
	w := &window{desk: k}
	stop := w.watch(ctx)
	req.Interactive = true
	_, err = k.tokens.RequestToken(ctx, req)
	asked, shown := stop()
	o.Asked = append(o.Asked, asked...)
	// What was proven is in the PRT now, and the next cell has to begin at a new desk. A
	// page that asked for nothing and refused has left everything as it was.
	k.spent = len(asked) > 0 || err == nil
	if err != nil && shown != nil {
		err = shown // the page's own words say more than that the window was closed
	}
	return o.ended(err)
}

// window is the broker's sign-in window with the person before it.
type window struct {
	desk  *desk
	mu    sync.Mutex
	asked []string
	err   error
}

// watch shows what the broker wants shown, until the returned function is called.
func (w *window) watch(ctx context.Context) (stop func() (asked []string, shown error)) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil && w.show(ctx) {
		}
	})
	return func() ([]string, error) {
		cancel()
		watching.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.asked, w.err
	}
}

// show fetches one page, has the person answer it and says where it ended.
func (w *window) show(ctx context.Context) (again bool) {
	session := w.desk.session.Reveal()
	r, err := w.desk.windows.AwaitInteraction(ctx, &wamv1.AwaitInteractionRequest{LogonSession: session})
	if err != nil {
		return false
	}
	if r.GetInteraction() == nil {
		return true
	}
	final, asked, err := w.desk.interact(ctx, r.GetInteraction())
	w.mu.Lock()
	w.asked, w.err = append(w.asked, asked...), err
	w.mu.Unlock()
	_, err = w.desk.windows.FinishInteraction(ctx, &wamv1.FinishInteractionRequest{
		LogonSession: session, InteractionId: r.GetInteraction().GetInteractionId(), FinalUri: final,
	})
	return err == nil
}

// interact has the person answer a page that a component made.
func (k *desk) interact(ctx context.Context, i *authorityv1.Interaction) (final string, asked []string, err error) {
	headers := http.Header{}
	for _, h := range i.GetHeaders() {
		headers.Set(h.GetName(), h.GetValue())
	}
	return k.browse(ctx, i.GetUrl(), headers)
}
