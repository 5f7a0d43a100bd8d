package pageagent

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// Polling of a question on the person's telephone.
const (
	maxPolls    = 120
	minInterval = 50 * time.Millisecond
	maxInterval = 5 * time.Second
)

// signIn answers the page for the name, and those for the first proof.
func (v *visit) signIn(ctx context.Context, p *page) (step, error) {
	if f := p.with("login"); f != nil {
		return v.fill(ctx, p, f, map[string]string{"login": v.cfg.Person.Name})
	}
	return v.prove(ctx, p, stage(p), p.ways())
}

// factor answers the pages for a second proof.
func (v *visit) factor(ctx context.Context, p *page) (step, error) {
	return v.prove(ctx, p, stage(p), p.ways())
}

// prove gives the proof that the page is at, when the person takes that one, or
// presses the button of the way that the person takes.
func (v *visit) prove(ctx context.Context, p *page, at string, ways map[string]way) (step, error) {
	offered := make([]string, 0, len(ways)+1)
	if at != "" {
		offered = append(offered, at)
	}
	for _, f := range p.forms {
		for i := range f.buttons {
			if m := wayOf(&f.buttons[i]); m != "" {
				offered = append(offered, m)
			}
		}
	}
	chosen, ok := v.cfg.Person.choose(offered)
	switch {
	case ok && chosen == at:
		return v.give(ctx, p, at)
	case ok:
		return v.submit(ctx, p, ways[chosen].form, ways[chosen].button, nil)
	}
	if f, b := p.pressing("signInAnotherWay"); f != nil {
		return v.submit(ctx, p, f, b, nil)
	}
	return step{}, notOffered(p, aadsts.MFARequired, "the page asks for a proof that the person has not, or does not take: it offers "+strings.Join(offered, ", "))
}

// way is a button that leads to a method.
type way struct {
	form   *form
	button *button
}

// ways are the methods that the page has buttons for.
func (p *page) ways() map[string]way {
	out := map[string]way{}
	for _, f := range p.forms {
		for i := range f.buttons {
			if m := wayOf(&f.buttons[i]); m != "" {
				if _, twice := out[m]; !twice {
					out[m] = way{f, &f.buttons[i]}
				}
			}
		}
	}
	return out
}

// wayOf is the method that a button leads to, or empty.
func wayOf(b *button) string {
	switch b.name {
	case "AuthMethodId":
		return methodOf(b.value)
	case "credential":
		return credentialOf(b.value)
	default:
		return ""
	}
}

// credentialOf is the name in the ledger of a way to begin a sign-in.
func credentialOf(value string) string {
	return map[string]string{
		"password": Password, "passkey": FIDO2, "phone": PhoneSignIn, "accesspass": AccessPass, "certificate": Certificate,
	}[value]
}

// stage is the proof that a page asks for, or empty when it only lists ways.
func stage(p *page) string {
	for _, f := range p.forms {
		switch {
		case f.field("passwd"):
			return Password
		case f.field("accesspass"):
			return AccessPass
		case f.options != "":
			return FIDO2
		case strings.HasPrefix(f.action.Host, certificateHost):
			return Certificate
		}
		if value, ok := f.hidden("credential"); ok && credentialOf(value) == PhoneSignIn {
			return PhoneSignIn
		}
		if _, ok := f.hidden("psRNGCSLK"); ok {
			return PhoneSignIn
		}
		if id, ok := f.hidden("AuthMethodId"); ok {
			return methodOf(id)
		}
	}
	return ""
}

// give gives a proof.
func (v *visit) give(ctx context.Context, p *page, method string) (step, error) {
	who := &v.cfg.Person
	switch method {
	case Password:
		v.ask(method)
		return v.fill(ctx, p, p.with("passwd"), map[string]string{"passwd": who.Password.Reveal()})
	case AccessPass:
		v.ask(method)
		return v.fill(ctx, p, p.with("accesspass"), map[string]string{"accesspass": who.AccessPass.Reveal()})
	case FIDO2:
		v.ask(method)
		return v.passkey(ctx, p)
	case Certificate:
		v.ask(method)
		return v.certificate(ctx, p)
	case SoftwareOATH, SMS:
		f := p.with("otc")
		if f == nil {
			return step{}, noButton(p)
		}
		v.ask(method)
		code, err := v.codeOf(ctx, method)
		if err != nil {
			return step{}, err
		}
		return v.fill(ctx, p, f, map[string]string{"otc": code.Reveal()})
	default:
		return v.telephone(ctx, p, method)
	}
}

// telephone has the person answer on the telephone, once for each question, and then
// asks the page until it knows.
func (v *visit) telephone(ctx context.Context, p *page, method string) (step, error) {
	f, b := p.pressing(buttonNext)
	if f == nil {
		return step{}, noButton(p)
	}
	if _, ask := f.hidden("credential"); ask {
		return v.submit(ctx, p, f, b, nil) // this page only offers to send the question
	}
	c := Challenge{Method: method}
	for _, name := range []string{"SessionId", "psRNGCSLK"} {
		if id, ok := f.hidden(name); ok {
			c.ID = id
		}
	}
	for _, id := range []string{"idRichContext_DisplaySign", "idRemoteNGC_DisplaySign"} {
		if n, err := strconv.Atoi(p.texts[id]); err == nil {
			c.Number = n
		}
	}
	question := method + " " + c.ID
	if v.answered[question] == 0 {
		v.ask(method)
		if err := v.cfg.Person.Approve(ctx, c); err != nil {
			return step{}, prterr.Wrap(prterr.Interaction, err, "the person did not approve: %s", method)
		}
	} else if err := pause(ctx, p); err != nil {
		return step{}, err
	}
	if err := v.once(question, maxPolls); err != nil {
		return step{}, err
	}
	return v.submit(ctx, p, f, b, nil)
}

// polls is how many further answers a page that waits for a telephone may have.
func (p *page) polls() int {
	if f, _ := p.pressing(buttonNext); f != nil {
		for _, name := range []string{"pollCount", "psRNGCSLK"} {
			if _, ok := f.hidden(name); ok {
				return maxPolls
			}
		}
	}
	return 0
}

// pause waits as long as the page says between two questions, within bounds.
func pause(ctx context.Context, p *page) error {
	every := min(max(time.Duration(p.config.PollInterval)*time.Millisecond, minInterval), maxInterval)
	t := time.NewTimer(every)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// passkey has the person's authenticator answer the challenge of a page, for the
// origin that the page really has (WebAuthn, section 5.1.4).
func (v *visit) passkey(ctx context.Context, p *page) (step, error) {
	for _, f := range p.forms {
		if f.options == "" {
			continue
		}
		credential, err := v.cfg.Person.Passkey.Get(originOf(p.at), []byte(f.options))
		if err != nil {
			return step{}, prterr.Wrap(prterr.Interaction, err, "the passkey did not answer")
		}
		f.set("assertion", string(credential))
		return v.fill(ctx, p, f, nil)
	}
	return step{}, noButton(p)
}

// certificateHost begins the name of the host whose TLS asks for a certificate.
const certificateHost = "certauth."

// certificate goes to the host that asks for one; its TLS connection does the rest.
func (v *visit) certificate(ctx context.Context, p *page) (step, error) {
	for _, f := range p.forms {
		if strings.HasPrefix(f.action.Host, certificateHost) {
			return v.fill(ctx, p, f, nil)
		}
	}
	return step{}, noButton(p)
}

// certificateOrigin is the origin of that host for a sign-in page.
func certificateOrigin(u *url.URL) string { return u.Scheme + "://" + certificateHost + u.Host }
