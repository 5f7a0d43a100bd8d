package actor

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
)

// codeDigits is how long the code in a text message is.
const codeDigits = 6

// Telephone is what a user holds in the hand before a sign-in page: the authenticator
// with its codes, and text messages. A laboratory plays it.
type Telephone struct {
	UPN    string
	Person directoryv1.PersonServiceClient
	Read   directoryv1.ReadServiceClient
}

// Code looks at the authenticator, or for the newest message of the method.
func (t Telephone) Code(ctx context.Context, method string) (secret.Text, error) {
	if method == pageagent.SoftwareOATH {
		a, err := t.Person.ReadOneTimeCode(ctx, &directoryv1.ReadOneTimeCodeRequest{UserPrincipalName: t.UPN})
		return secret.NewText(a.GetOneTimeCode()), err
	}
	list, err := t.Read.ListMessages(ctx, &directoryv1.ListMessagesRequest{UserPrincipalName: t.UPN})
	if err != nil {
		return secret.Text{}, err
	}
	for _, m := range slices.Backward(list.GetMessages()) {
		if m.GetChannel() != method {
			continue
		}
		for _, word := range strings.FieldsFunc(m.GetText(), func(r rune) bool { return r < '0' || r > '9' }) {
			if len(word) == codeDigits {
				return secret.NewText(word), nil
			}
		}
	}
	return secret.Text{}, errors.New("the telephone got no code")
}

// Approve answers the authenticator with the number that the page shows.
func (t Telephone) Approve(ctx context.Context, c pageagent.Challenge) error {
	_, err := t.Person.AnswerChallenge(ctx, &directoryv1.AnswerChallengeRequest{
		UserPrincipalName: t.UPN, ChallengeId: c.ID, Number: int32(c.Number), Approve: true,
	})
	return err
}
