package browsertest

import "testing"

// Whoever has a method proves it before another is added.
func TestRegisterAsksForWhatIsThere(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Rita").authenticator(true, false), private(t)
	b.security(p)
	b.registered("softwareOath")
	b.add("Text message")
	b.enter(p.code())
	b.See("#add")
	b.add("Text message")
	b.Type("#phone", number(p))
	b.Press("#idSIButton9")
	b.Type("#code", digits(t, p.message("sms")))
	b.Press("#idSIButton9")
	b.registered("sms")
}

// A method that is removed is not offered any more, and somebody who knows no more
// than the password removes none.
func TestRemoveAMethod(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Remi").authenticator(true, false), private(t)
	b.security(p)
	b.PressNamed("button", "Remove: Authenticator app with codes")
	b.enter(p.code())
	b.registered("softwareOath")
	b.PressNamed("button", "Remove: Authenticator app with codes")
	b.See("#add")
	if b.Sees(`#methods li[data-kind="softwareOath"]`) {
		t.Errorf("it is still there\n%s", b.State())
	}
}

// The telephone takes the code of the page, and approves from then on.
func TestRegisterAnAuthenticatorThatApproves(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Pia"), private(t)
	b.security(p)
	b.add("Authenticator app with approval")
	activation := b.Text("#activation")
	b.page("register approval")
	b.Press("#idSIButton9") // too early
	b.See("#activation")
	b.page("register approval, too early")
	p.telephone("pair", activation, "--name", "Pia's telephone")
	b.Press("#idSIButton9")
	b.registered("microsoftAuthenticatorPush")
	p.demandMFA()
	other := private(t)
	at := other.factor(p)
	if !other.Sees("#idRichContext_DisplaySign") {
		other.choose("PhoneAppNotification")
	}
	p.telephone("approve", other.Text("#idRichContext_DisplaySign"))
	at.done()
}
