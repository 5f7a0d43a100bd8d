package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/window"
)

// maxSession bounds a logon session, in bytes.
const maxSession = 256

// Window serves prt.wam.v1.WindowService.
type Window struct {
	wamv1.UnimplementedWindowServiceServer
	Desk *window.Desk
	// SignedIn fails for a session that is not open.
	SignedIn func(ctx context.Context, session secret.Text) error
}

// AwaitInteraction waits for a page to show. Nobody waits for a session that is not
// open: places are few, and there is no page to come.
func (s *Window) AwaitInteraction(ctx context.Context, req *wamv1.AwaitInteractionRequest) (*wamv1.AwaitInteractionResponse, error) {
	of, err := session(req.GetLogonSession())
	if err != nil {
		return nil, err
	}
	if err := s.SignedIn(ctx, of); err != nil {
		return nil, err
	}
	i, client, err := s.Desk.Await(ctx, of)
	if err != nil {
		return nil, err
	}
	return &wamv1.AwaitInteractionResponse{Interaction: i, ClientId: client}, nil
}

// FinishInteraction says where a page ended.
func (s *Window) FinishInteraction(_ context.Context, req *wamv1.FinishInteractionRequest) (*wamv1.FinishInteractionResponse, error) {
	of, err := session(req.GetLogonSession())
	if err != nil {
		return nil, err
	}
	return &wamv1.FinishInteractionResponse{}, s.Desk.Finish(of, req.GetInteractionId(), req.GetFinalUri())
}

func session(s string) (secret.Text, error) {
	if s == "" || len(s) > maxSession {
		return secret.Text{}, prterr.New(prterr.Invalid, "logon_session is not 1 to %d bytes: use it as the sign-in gave it", maxSession)
	}
	return secret.NewText(s), nil
}
