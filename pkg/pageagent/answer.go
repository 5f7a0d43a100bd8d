package pageagent

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// The ids of the buttons that go on and back.
const (
	buttonNext = "idSIButton9"
	buttonBack = "idBtn_Back"
	// buttonLater puts off what the organisation asks for without need.
	buttonLater = "btnAskLater"
)

// maxSame bounds how often one kind of page is answered.
const maxSame = 8

// answer goes on from a page.
func (v *visit) answer(ctx context.Context, p *page) (step, error) {
	kind := p.config.PageID
	if p.config.ErrorNumber != 0 && (kind == "ConvergedError" || v.answered[kind] > 0 && v.last == kind) {
		return step{}, refused(p)
	}
	v.last = kind
	if err := v.once(kind, maxSame+p.polls()); err != nil {
		return step{}, err
	}
	switch kind {
	case "ConvergedSignIn":
		return v.signIn(ctx, p)
	case "ConvergedTFA":
		return v.factor(ctx, p)
	case "KmsiInterrupt":
		return v.either(ctx, p, v.cfg.Person.Stay)
	case "ConvergedConsent":
		v.ask(Consent)
		return v.either(ctx, p, v.cfg.Person.Consents)
	case "CmsiInterrupt":
		v.ask(ConfirmDevice)
		return v.either(ctx, p, v.cfg.Person.ConfirmsDevice)
	case "ConvergedRemoteConnect":
		return v.userCode(ctx, p)
	case "ConvergedChangePassword":
		return v.changePassword(ctx, p)
	case "ConvergedProofUpRedirect":
		if p.hasButton(buttonLater) {
			return v.press(ctx, p, buttonLater, nil)
		}
		return step{}, notOffered(p, aadsts.MFAEnrolmentRequired, "the page wants a method registered first")
	case "FormPost":
		return v.only(ctx, p)
	case "ConvergedError":
		return step{}, refused(p)
	case "":
		return v.federated(ctx, p)
	default:
		if v.redirect == "" {
			return step{final: p.at.String()}, nil
		}
		return step{}, prterr.New(prterr.Denied, "the pages ended without an answer for the application")
	}
}

// either presses the button that goes on, or the one that goes back.
func (v *visit) either(ctx context.Context, p *page, on bool) (step, error) {
	id := buttonBack
	if on {
		id = buttonNext
	}
	return v.press(ctx, p, id, nil)
}

// press types into the form of a button and presses it.
func (v *visit) press(ctx context.Context, p *page, id string, typed map[string]string) (step, error) {
	for _, f := range p.forms {
		if b := f.button(id); b != nil {
			return v.submit(ctx, p, f, b, typed)
		}
	}
	return step{}, noButton(p)
}

// fill types into the form of a field and presses its first button.
func (v *visit) fill(ctx context.Context, p *page, f *form, typed map[string]string) (step, error) {
	if len(f.buttons) == 0 {
		return step{}, noButton(p)
	}
	return v.submit(ctx, p, f, &f.buttons[0], typed)
}

func (p *page) hasButton(id string) bool {
	return slices.ContainsFunc(p.forms, func(f *form) bool { return f.button(id) != nil })
}

func noButton(p *page) error {
	return prterr.New(prterr.Denied, "the page %.40s has not the button it needs", name(p.config.PageID))
}

// only sends the one form of a page that goes on by itself.
func (v *visit) only(ctx context.Context, p *page) (step, error) {
	if len(p.forms) != 1 {
		return step{}, prterr.New(prterr.Denied, "the page that goes on by itself has not one form")
	}
	return v.submit(ctx, p, p.forms[0], nil, nil)
}

// userCode types the code of another device, or sends the one in the form.
func (v *visit) userCode(ctx context.Context, p *page) (step, error) {
	v.ask(UserCode)
	typed := map[string]string{}
	if code := v.cfg.Person.UserCode; code != "" {
		typed["otc"] = code
	}
	return v.press(ctx, p, buttonNext, typed)
}

func (v *visit) changePassword(ctx context.Context, p *page) (step, error) {
	who := &v.cfg.Person
	if who.Password.Empty() || who.NewPassword.Empty() {
		return step{}, notOffered(p, aadsts.PasswordChangeRequired, "the page wants a new password, and the person has none to give")
	}
	v.ask(NewPassword)
	return v.press(ctx, p, buttonNext, map[string]string{
		"currentpasswd": who.Password.Reveal(), "newpasswd": who.NewPassword.Reveal(), "confirmnewpasswd": who.NewPassword.Reveal(),
	})
}

// federated answers the pages of a federation provider, which have no $Config: a
// form for name and password, or one that goes back by itself.
func (v *visit) federated(ctx context.Context, p *page) (step, error) {
	who := &v.cfg.Person
	for _, f := range p.forms {
		if !f.field("UserName") || !f.field("Password") {
			continue
		}
		if v.answered[Federated] > 0 {
			return step{}, prterr.New(prterr.Unauthenticated, "the federation provider did not take user name and password")
		}
		if !who.has(Federated) {
			return step{}, prterr.New(prterr.Interaction, "the federation provider asks for a password, and the person has none")
		}
		v.answered[Federated]++
		v.ask(Federated)
		return v.fill(ctx, p, f, map[string]string{"UserName": who.Name, "Password": who.Password.Reveal()})
	}
	if p.status == 200 && len(p.forms) == 1 {
		return v.only(ctx, p)
	}
	return step{}, prterr.New(prterr.Denied, "a page that is no sign-in page, with status %d", p.status)
}

// refused is the error that a page shows. The page's own words stay behind: another
// server wrote them.
func refused(p *page) error {
	code := aadsts.Code(p.config.ErrorNumber)
	if code == 0 {
		code = codeIn(p.config.Exception)
	}
	return coded(code, p.config.ErrorText)
}

// coded is an error of a code that a server named; one that is in no table is
// refused all the same.
func coded(code aadsts.Code, words string) error {
	row, ok := aadsts.Lookup(code)
	if !ok {
		return prterr.New(prterr.Denied, "the sign-in page refused, with a code that is in no table: %d", int(code))
	}
	plain := prterr.AADSTS(code, "")
	if words == "" || words == row.Meaning {
		return plain
	}
	e := prterr.Wrap(plain.Kind, said(words), "%s", row.Meaning)
	e.Code = code
	return e
}

// said are the words of another server, bounded: for the log of this room alone.
type said string

func (s said) Error() string { return strings.ToValidUTF8(string(s)[:min(len(s), 512)], "?") }

// notOffered is the error of a page that the person cannot answer: the page's own
// code when it has one.
func notOffered(p *page, code aadsts.Code, format string) error {
	if _, ok := aadsts.Lookup(aadsts.Code(p.config.ErrorNumber)); ok {
		code = aadsts.Code(p.config.ErrorNumber)
	}
	e := prterr.New(prterr.Interaction, "%s", format)
	e.Code = code
	return e
}

// codeIn is the code that a text of an error begins with, or 0.
func codeIn(text string) aadsts.Code {
	rest, ok := strings.CutPrefix(text, "AADSTS")
	digits, _, _ := strings.Cut(rest, ":")
	n, err := strconv.ParseInt(digits, 10, 32)
	if !ok || err != nil {
		return 0
	}
	return aadsts.Code(n)
}

// name is a kind of page as it may stand in a message.
func name(kind string) string {
	for i := range len(kind) {
		if c := kind[i] | 0x20; c < 'a' || c > 'z' {
			return "(unnamed)"
		}
	}
	return kind
}

// Answer reads the address that a run ended at: the parameters for the application,
// from the query and the fragment, or the error in them. An error has the code that
// error_description names, and the claims challenge when there is one.
func Answer(final string) (url.Values, error) {
	u, err := url.Parse(final)
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "the address that the pages ended at is not one")
	}
	q := u.Query()
	if fragment, err := url.ParseQuery(u.Fragment); err == nil {
		for k, all := range fragment {
			q[k] = append(q[k], all...)
		}
	}
	if q.Get("error") == "" {
		return q, nil
	}
	description := q.Get("error_description")
	code := codeIn(description)
	if code == 0 {
		return q, prterr.Wrap(prterr.Denied, said(description), "the sign-in ended with an error that has no code")
	}
	err = coded(code, description)
	if e, ok := err.(*prterr.Error); ok && len(q.Get("claims")) <= prterr.MaxClaims { //nolint:errorlint // made above
		return q, e.WithClaims(q.Get("claims"))
	}
	return q, err
}
