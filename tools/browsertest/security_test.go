package browsertest

import (
	"slices"
	"testing"
)

const securityInfo = "https://login.microsoftonline.com/security-info"

// security opens a person's own security information, with the password.
func (b *browser) security(p *person) {
	b.t.Helper()
	b.Go(securityInfo)
	b.signIn(p)
	b.See("#add")
}

// add chooses what to register, by the name of its tile.
func (b *browser) add(name string) {
	b.t.Helper()
	b.PressNamed("button", name)
}

// registered fails unless the list names the kind.
func (b *browser) registered(kind string) {
	b.t.Helper()
	b.See(`#methods li[data-kind="` + kind + `"]`)
}

func TestRegisterAnAuthenticatorWithCodes(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Rosa"), private(t)
	b.security(p)
	b.page("security information of somebody new")
	b.add("Authenticator app with codes")
	p.secret = b.Text("#secret")
	b.page("register codes")
	b.Type("#code", "000000")
	b.Press("#idSIButton9")
	b.See("[role=alert]")
	b.page("register codes refused")
	b.Type("#code", p.code())
	b.Press("#idSIButton9")
	b.registered("softwareOath")
	b.page("security information")
	// Now it is asked for, and the code that registered it is used up.
	p.demandMFA()
	other := private(t)
	at := other.factor(p)
	other.enter(p.next())
	if got := at.done().AMR(); !slices.Contains(got, "otp") {
		t.Errorf("methods of the token are %v", got)
	}
}

// enter types the code where it is asked for now.
func (b *browser) enter(code string) {
	b.t.Helper()
	if !b.Sees("#idTxtBx_SAOTCC_OTC") {
		b.Press(`[data-value="PhoneAppOTP"]`)
	}
	b.Type("#idTxtBx_SAOTCC_OTC", code)
	b.Press("#idSubmit_SAOTCC_Continue")
}
