package lab

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
)

// Person puts a user before the sign-in pages, with a browser of their own and their
// telephone in hand: its codes, its text messages and its authenticator. What the
// person takes is for the caller to say.
func (l *Lab) Person(ctx context.Context, upn string, password secret.Text) (pageagent.Config, error) {
	client, err := l.Web()
	if err != nil {
		return pageagent.Config{}, err
	}
	conn, err := l.Dial(ctx, "operator", "idp")
	if err != nil {
		return pageagent.Config{}, err
	}
	t := actor.Telephone{UPN: upn, Person: directoryv1.NewPersonServiceClient(conn), Read: directoryv1.NewReadServiceClient(conn)}
	return pageagent.Config{HTTP: client, Origins: []string{"https://" + stsName}, Person: pageagent.Person{
		Name: upn, Password: password, Code: t.Code, Approve: t.Approve,
	}}, nil
}
