package operator

import (
	"context"
	"strconv"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
)

// UserMethods lists how a user can prove who they are.
func (c *Client) UserMethods(ctx context.Context, upn string) (List, error) {
	l := List{Head: []string{"method", "kind", "shown as", "added", "default", "device", "provenance"}}
	list, err := c.Read.ListUserMethods(ctx, &directoryv1.ListUserMethodsRequest{UserPrincipalName: upn})
	for _, m := range list.GetMethods() {
		l.add(m, m.GetMethodId(), m.GetKind(), m.GetDisplay(), when(m.GetAddedAt()), yes(m.GetIsDefault()), m.GetDeviceId(), m.GetProvenance())
	}
	return l, err
}

// Messages lists what went to telephones, the newest last.
func (c *Client) Messages(ctx context.Context, upn string) (List, error) {
	l := List{Head: []string{"at", "user", "channel", "number", "text"}}
	list, err := c.Read.ListMessages(ctx, &directoryv1.ListMessagesRequest{UserPrincipalName: upn})
	for _, m := range list.GetMessages() {
		l.add(m, when(m.GetSentAt()), m.GetUserPrincipalName(), m.GetChannel(), m.GetPhoneNumber(), m.GetText())
	}
	return l, err
}

// Challenges lists the questions that wait for an answer, oldest first.
func (c *Client) Challenges(ctx context.Context, upn string) (List, error) {
	l := List{Head: []string{"challenge", "user", "method", "number", "application", "from", "ends"}}
	list, err := c.Read.ListChallenges(ctx, &directoryv1.ListChallengesRequest{UserPrincipalName: upn})
	for _, w := range list.GetChallenges() {
		method := w.GetMethodId()
		if w.GetPhoneSignIn() {
			method += " (sign-in)"
		}
		l.add(w, w.GetChallengeId(), w.GetUserPrincipalName(), method, Number(w), w.GetApplication(), w.GetIpAddress(), when(w.GetExpiresAt()))
	}
	return l, err
}

// Number is what the page of a challenge shows, empty where nothing is compared.
func Number(w *directoryv1.Challenge) string {
	if w.GetNumber() == 0 {
		return ""
	}
	return strconv.Itoa(int(w.GetNumber()))
}
