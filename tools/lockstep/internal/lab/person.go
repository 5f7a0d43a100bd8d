package lab

import (
	"context"
	"errors"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
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
	t := telephone{upn, directoryv1.NewPersonServiceClient(conn), directoryv1.NewReadServiceClient(conn)}
	return pageagent.Config{HTTP: client, Origins: []string{"https://" + stsName}, Person: pageagent.Person{
		Name: upn, Password: password, Code: t.code, Approve: t.approve,
	}}, nil
}

// telephone is a user's, played by the laboratory.
type telephone struct {
	upn    string
	person directoryv1.PersonServiceClient
	read   directoryv1.ReadServiceClient
}

// code looks at the authenticator, or for the newest text message.
func (t telephone) code(ctx context.Context, method string) (secret.Text, error) {
	if method == pageagent.SoftwareOATH {
		a, err := t.person.ReadOneTimeCode(ctx, &directoryv1.ReadOneTimeCodeRequest{UserPrincipalName: t.upn})
		return secret.NewText(a.GetOneTimeCode()), err
	}
	list, err := t.read.ListMessages(ctx, &directoryv1.ListMessagesRequest{UserPrincipalName: t.upn})
	if err != nil {
		return secret.Text{}, err
	}
	for i := len(list.GetMessages()) - 1; i >= 0; i-- {
		m := list.GetMessages()[i]
		if m.GetChannel() != method {
			continue
		}
		for _, word := range strings.FieldsFunc(m.GetText(), func(r rune) bool { return r < '0' || r > '9' }) {
			if len(word) == 6 {
				return secret.NewText(word), nil
			}
		}
	}
	return secret.Text{}, errors.New("the telephone got no code")
}

// approve answers on the telephone, with the number that the page shows.
func (t telephone) approve(ctx context.Context, c pageagent.Challenge) error {
	_, err := t.person.AnswerChallenge(ctx, &directoryv1.AnswerChallengeRequest{
		UserPrincipalName: t.upn, ChallengeId: c.ID, Number: int32(c.Number), Approve: true,
	})
	return err
}
