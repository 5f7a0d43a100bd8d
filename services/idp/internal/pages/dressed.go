package pages

import (
	"html/template"
	"strconv"
	"strings"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// Product stands where no organisation is known.
const product = "Lockstep"

// dressed is a view in a language, as the templates see it.
type dressed struct {
	View
	set   *Set
	lang  int
	asked bool
	nonce string
}

func (s *Set) dress(v View, nonce string) dressed {
	if v.Page == nil {
		v.Page = &idpv1.SignInPage{}
	}
	d := dressed{View: v, set: s, nonce: nonce}
	d.lang, d.asked = s.texts.choose(v.Locales, v.Accept)
	return d
}

// T is a text of the catalogue.
func (d dressed) T(key string, args ...string) string { return d.set.texts.text(d.lang, key, args...) }

// Language of the page.
func (d dressed) Language() string { return languages()[d.lang] }

// Locales are carried on when the application asked for the language.
func (d dressed) Locales() string {
	if d.asked {
		return d.Language()
	}
	return ""
}

// Product is the name of all this.
func (dressed) Product() string { return product }

// Wide pages have lists on them.
func (d dressed) Wide() bool { return d.Info != nil }

// family is the file under html for a page.
func (d dressed) family() string {
	switch d.Name {
	case "ConvergedSignIn":
		return "signin"
	case "ConvergedTFA":
		return "factor"
	case "KmsiInterrupt":
		return "kmsi"
	case "ConvergedRemoteConnect", "CmsiInterrupt", "ConvergedRemoteConnectDone":
		return "device"
	case "ConvergedChangePassword":
		return "password"
	case "ConvergedProofUpRedirect":
		return "register"
	case "ConvergedConsent":
		return "consent"
	case "FormPost":
		return "formpost"
	case "SecurityInfo":
		return "security"
	default:
		return "message"
	}
}

// Title is the heading.
func (d dressed) Title() string {
	switch d.Name {
	case "ConvergedSignIn":
		if d.Stage == "name" {
			return d.T("title.signin")
		}
		return d.T("title." + d.Stage)
	case "ConvergedTFA":
		return d.T("title.factor")
	case "KmsiInterrupt":
		return d.T("title.kmsi")
	case "ConvergedRemoteConnect":
		return d.T("title.device")
	case "CmsiInterrupt":
		return d.T("title.confirm")
	case "ConvergedRemoteConnectDone", "FormPost":
		return d.T("title.done")
	case "ConvergedChangePassword":
		return d.T("title.change")
	case "ConvergedProofUpRedirect":
		return d.T("title.register")
	case "ConvergedConsent":
		return d.T("title.consent")
	case "ConvergedSignOut":
		return d.T("title.signedout")
	case "NativeClient":
		return d.T("title.native")
	case "Home":
		return product
	case "SecurityInfo":
		if d.Stage != "list" {
			return d.T("title.add")
		}
		return d.T("title.security")
	default:
		return d.T("title.error")
	}
}

// ProblemID is the element that test drivers look for.
func (d dressed) ProblemID() string {
	switch {
	case d.Name == "ConvergedSignIn" && d.Stage == "name":
		return "usernameError"
	case d.Name == "ConvergedSignIn", d.Name == "ConvergedChangePassword":
		return "passwordError"
	case d.Name == "ConvergedTFA":
		return "idSpan_SAOTCC_Error_OTC"
	default:
		return "error"
	}
}

// Friendly is what the problem means, in the language of the page, where that is
// written; the service's own text stands beside it in English.
func (d dressed) Friendly() string {
	key := "error." + strconv.Itoa(int(d.Problem.Number))
	if text := d.T(key); text != key {
		return text
	}
	return ""
}

// Style is the style sheet.
func (dressed) Style() template.HTML {
	return template.HTML("<style>" + style + "</style>") //nolint:gosec // an embedded file
}

// Script is the element that holds $Config, framed as clients cut it out: up to
// "//]]>", less the two characters before.
func (d dressed) Script() template.HTML {
	if len(d.Config) == 0 {
		return ""
	}
	return template.HTML(`<script nonce="` + d.nonce + "\">//<![CDATA[\n$Config=" + string(d.Config) + ";\n//]]></script>") //nolint:gosec // JSON without < > &
}

// Scripts are those that the stage of the page needs.
func (d dressed) Scripts() template.HTML {
	var b strings.Builder
	for _, name := range d.scripts() {
		b.WriteString(`<script nonce="` + d.nonce + `">` + d.set.scripts[name] + "</script>\n")
	}
	return template.HTML(b.String()) //nolint:gosec // embedded files
}

func (d dressed) scripts() []string {
	switch {
	case d.Name == "FormPost":
		return []string{"submit"}
	case d.Stage == "passkey" || d.Stage == "fido2":
		return []string{"webauthn", "passkey"}
	case d.Name == "ConvergedSignIn" && d.Stage == "name" && d.PasskeyBegin != "":
		return []string{"webauthn", "conditional"}
	case d.Stage == "phone", d.Stage == "wait" && d.Wait.Poll < d.Wait.Polls:
		return []string{"wait"}
	default:
		return nil
	}
}
