package flows

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/describe"
)

// onTheWire carries out the commands in which somebody who stands in the place of CloudAP
// renews a PRT by hand, looks at what travels, and spoils it.
func (r *Runner) onTheWire(ctx context.Context, command string, arg map[string]string) (string, bool) {
	switch command {
	case "renewal-request": // renewal-request user=alice [password=wrong]: what it holds
		return r.renewalRequest(ctx, arg), true
	case "renew-by-hand": // renew-by-hand user=alice [password=wrong] [spoil=signature|nonce]
		return r.renewByHand(ctx, arg), true
	case "offer-prt": // offer-prt user=alice of=bob: CloudAP is handed a genuine PRT
		return r.offerPRT(ctx, arg), true
	case "session-key": // session-key user=alice
		return r.sessionKey(ctx, arg), true
	default:
		return "", false
	}
}

// inHand is a PRT as CloudAP holds it, and the components it is used with.
type inHand struct {
	upn   string
	part  *tpmv1.Partition
	key   *tpmv1.SealedSessionKey
	prt   *tpmv1.SealedPRT
	chip  tpmv1.PRTKeyServiceClient
	cloud idpv1.IssuanceServiceClient
	nonce func(context.Context) (string, error)
}

func (r *Runner) inHand(ctx context.Context, user string) (inHand, error) {
	upn, _, err := r.person(map[string]string{"user": user})
	if err != nil {
		return inHand{}, err
	}
	names, _ := filepath.Glob(filepath.Join(r.device.StateDir("lsa-cloudap"), "partitions", "*.json"))
	for _, name := range names {
		var c struct {
			cached
			PRT []byte `json:"sealed_prt"`
		}
		if raw, err := os.ReadFile(name); err != nil || json.Unmarshal(raw, &c) != nil {
			return inHand{}, fmt.Errorf("partition %s cannot be read", name)
		}
		if c.UPN != upn {
			continue
		}
		chip, err := r.lab.Dial(ctx, "lsa-cloudap", r.device.Key("tpm-agent"))
		if err != nil {
			return inHand{}, err
		}
		cloud, err := r.lab.Dial(ctx, "lsa-cloudap", "idp")
		if err != nil {
			return inHand{}, err
		}
		return inHand{
			upn: upn, part: &tpmv1.Partition{TenantId: c.Tenant, UserId: c.User, CredentialKind: c.Kind},
			key: &tpmv1.SealedSessionKey{Sealed: c.Key}, prt: &tpmv1.SealedPRT{Sealed: c.PRT},
			chip: tpmv1.NewPRTKeyServiceClient(chip), cloud: idpv1.NewIssuanceServiceClient(cloud),
			nonce: func(ctx context.Context) (string, error) {
				a, err := idpv1.NewNonceServiceClient(cloud).IssueNonce(ctx, &idpv1.IssueNonceRequest{})
				return a.GetNonce(), err
			},
		}, nil
	}
	return inHand{}, fmt.Errorf("%s has no PRT on this device", upn)
}

// request has the tpm-agent sign a renewal, with a password or without one.
func (h inHand) request(ctx context.Context, nonce string, password secret.Text) (string, error) {
	req := &tpmv1.SignPRTRenewalRequest{Partition: h.part, SessionKey: h.key, SealedPrt: h.prt, RequestNonce: nonce}
	if !password.Empty() {
		req.UserPrincipalName = h.upn
		req.Credential = &tpmv1.Credential{Kind: &tpmv1.Credential_Password{Password: password.Reveal()}}
	}
	a, err := h.chip.SignPRTRenewal(ctx, req)
	return a.GetRequest(), err
}

// signed is a renewal with a nonce that was just given.
func (r *Runner) signed(ctx context.Context, arg map[string]string) (inHand, string, error) {
	h, err := r.inHand(ctx, arg["user"])
	if err != nil {
		return h, "", err
	}
	_, password, err := r.person(arg)
	if err != nil {
		return h, "", err
	}
	nonce, err := h.nonce(ctx)
	if arg["spoil"] == "nonce" {
		nonce = "AQAB.nobody-gave-it"
	}
	if err != nil {
		return h, "", err
	}
	request, err := h.request(ctx, nonce, password)
	return h, request, err
}

// renewalRequest shows the parts of a renewal as the command describe tells them.
func (r *Runner) renewalRequest(ctx context.Context, arg map[string]string) string {
	_, request, err := r.signed(ctx, arg)
	if err != nil {
		return failure(err)
	}
	token, err := describe.Read(request)
	if err != nil {
		return failure(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s; verified: %v\n", token.Kind, token.Verified)
	writeMembers(&b, "header", token.Header)
	writeMembers(&b, "claims", token.Claims)
	for _, p := range token.Parts {
		fmt.Fprintf(&b, "%s\n", p)
	}
	return b.String()
}

// random are members whose values are another in each run, or in each form of key.
func random(name string) bool {
	return strings.Contains(" ctx kdf_ver request_nonce iat exp nbf ", " "+name+" ")
}

func writeMembers(b *strings.Builder, part string, members []describe.Member) {
	for _, m := range members {
		switch {
		case m.Hidden:
			fmt.Fprintf(b, "%s %s: hidden\n", part, m.Name)
		case random(m.Name):
			fmt.Fprintf(b, "%s %s: is there\n", part, m.Name)
		default:
			fmt.Fprintf(b, "%s %s: %s\n", part, m.Name, m.Value)
		}
	}
}

// spoiled is a request in which one character of the signature is another.
func spoiled(request string) string {
	at := len(request) - 10
	letter := "A"
	if request[at] == 'A' {
		letter = "B"
	}
	return request[:at] + letter + request[at+1:]
}

// renewByHand sends a renewal, with one fault or none, and opens the answer in the TPM.
// CloudAP learns nothing of it: its own PRT stays.
func (r *Runner) renewByHand(ctx context.Context, arg map[string]string) string {
	h, request, err := r.signed(ctx, arg)
	if err != nil {
		return failure(err)
	}
	if arg["spoil"] == "signature" {
		request = spoiled(request)
	}
	opened, err := h.renew(ctx, request)
	if err != nil {
		return failure(err)
	}
	out := "the answer opens with the session key; in it is a new PRT"
	if opened.GetSessionKeyJwe() == "" {
		return out + " and no session key\n"
	}
	_, err = h.chip.ImportSessionKey(ctx, &tpmv1.ImportSessionKeyRequest{Partition: h.part, SessionKeyJwe: opened.GetSessionKeyJwe()})
	return outcome(out+", and a session key that the TPM unwraps", err)
}

func (h inHand) renew(ctx context.Context, request string) (*tpmv1.OpenPRTAnswerResponse, error) {
	a, err := h.cloud.RenewPRT(ctx, &idpv1.RenewPRTRequest{Request: request})
	if err != nil {
		return nil, err
	}
	return h.chip.OpenPRTAnswer(ctx, &tpmv1.OpenPRTAnswerRequest{Partition: h.part, SessionKey: h.key, Answer: a.GetAnswer()})
}

// offerPRT renews the PRT of one user by hand and offers it to the session of another, or
// of the same, as a broker does that got one beside a token.
func (r *Runner) offerPRT(ctx context.Context, arg map[string]string) string {
	h, request, err := r.signed(ctx, map[string]string{"user": arg["of"]})
	if err != nil {
		return failure(err)
	}
	opened, err := h.renew(ctx, request)
	if err != nil {
		return failure(err)
	}
	conn, err := r.lab.Dial(ctx, "wam-broker", r.device.Key("lsa-cloudap"))
	if err != nil {
		return failure(err)
	}
	_, err = authorityv1.NewTokenAuthorityServiceClient(conn).OfferPRT(ctx, &authorityv1.OfferPRTRequest{
		LogonSession: r.desktops[arg["user"]].Session.Reveal(), Prt: opened.GetPrt(), ExpiresIn: opened.GetPrtExpiresIn(),
	})
	return outcome("CloudAP adopted it", err)
}

// sessionKey has a name for the session key of a user: the same one while the identity
// provider wraps the same key. It is told by who can sign: a request that was signed with
// an earlier key is refused beside the PRT of now.
func (r *Runner) sessionKey(ctx context.Context, arg map[string]string) string {
	h, err := r.inHand(ctx, arg["user"])
	if err != nil {
		return failure(err)
	}
	old, had := r.seat.keys[arg["user"]]
	if r.seat.keys == nil {
		r.seat.keys = map[string][]byte{}
	}
	r.seat.keys[arg["user"]] = bytes.Clone(h.key.GetSealed())
	if !had {
		return "the session key is remembered\n"
	}
	nonce, err := h.nonce(ctx)
	if err != nil {
		return failure(err)
	}
	h.key = &tpmv1.SealedSessionKey{Sealed: old}
	request, err := h.request(ctx, nonce, secret.Text{})
	if err != nil {
		return failure(err)
	}
	if _, err = h.cloud.RenewPRT(ctx, &idpv1.RenewPRTRequest{Request: request}); err != nil {
		return "the key that was remembered signs for this PRT no more\n" + failure(err)
	}
	return "it is the key that was remembered\n"
}
