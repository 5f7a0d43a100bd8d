package pages

import (
	"fmt"
	"html"
	"html/template"
	"slices"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// Info is the security information of a person: the list, or a registration that
// was begun.
type Info struct {
	// Person is the user principal name.
	Person string
	// Token is what every form of these pages carries against other sites.
	Token string
	// Methods that are registered, and Addable, the kinds that can be added.
	Methods []InfoMethod
	Addable []string
	// Done is the key of what was done before the list is shown, or empty.
	Done string
	// Notice is the key of what a person has to do first, or empty.
	Notice string
	// Kind that is being added.
	Kind string
	// Registration is the sealed state of it.
	Registration string
	// OTPAuthURI and Secret are for one-time codes.
	OTPAuthURI, Secret string
	// ActivationCode pairs an authenticator.
	ActivationCode string
	// PhoneNumber as it was typed.
	PhoneNumber string
	// Addresses of the forms.
	List, Begin, Complete, Remove, MakeDefault, SignOut string
}

// InfoMethod is one method of a person.
type InfoMethod struct {
	ID, Kind, Display    string
	IsDefault, Removable bool
}

// Icon of its kind.
func (m InfoMethod) Icon() string { return kindIcon(m.Name()) }

// Name is what the method is called on the list. A telephone is one method, whose kind
// is sms however it was added: it gets text messages and calls.
func (m InfoMethod) Name() string {
	if m.Kind == "sms" {
		return "telephone"
	}
	return m.Kind
}

// Detail tells it from others of its kind: a number, a name. Of some kinds a person has
// one, and then there is nothing to tell.
func (m InfoMethod) Detail() string {
	switch m.Kind {
	case "password", "softwareOath", "windowsHelloForBusiness":
		return ""
	default:
		return m.Display
	}
}

// MayBeDefault says that it can be the one that is asked first: a second factor
// that is not yet.
func (m InfoMethod) MayBeDefault() bool {
	return !m.IsDefault && slices.Contains([]string{"softwareOath", "microsoftAuthenticatorPush", "sms", "voice", "fido2"}, m.Kind)
}

// Kind is what a kind of method is called; one that nobody named is its own name.
func (d dressed) Kind(kind string) string {
	key := "kind." + kind
	if text := d.T(key); text != key {
		return text
	}
	return kind
}

// CodeAsked says where the code of a registration comes from.
func (d dressed) CodeAsked() string {
	switch d.Info.Kind {
	case "voice":
		return "security.sentvoice"
	case "sms":
		return "security.sentsms"
	default:
		return "security.type"
	}
}

// KindIcon is the picture of a kind.
func (dressed) KindIcon(kind string) string { return kindIcon(kind) }

func kindIcon(kind string) string {
	icon, ok := map[string]string{
		"softwareOath": "code", "microsoftAuthenticatorPush": "phone", "sms": "message", "voice": "call", "telephone": "call", "fido2": "passkey",
		"windowsHelloForBusiness": "person", "x509Certificate": "card", "temporaryAccessPass": "ticket",
	}[kind]
	if !ok {
		return "key"
	}
	return icon
}

// QR is the address of the one-time codes as a picture.
func (d dressed) QR() (template.HTML, error) {
	return qrCode(d.Info.OTPAuthURI, d.T("security.qr"))
}

// quiet is the margin of a QR code in modules (ISO/IEC 18004 section 6.3.8).
const quiet = 4

// qrCode draws a QR code as SVG inside the page, which needs no picture from
// anywhere: one path, a rectangle for each run of dark modules.
func qrCode(content, label string) (template.HTML, error) {
	code, err := qr.Encode(content, qr.M, qr.Auto)
	if err != nil {
		return "", fmt.Errorf("QR code: %w", err)
	}
	size := code.Bounds().Dx()
	dark := func(x, y int) bool {
		r, _, _, _ := code.At(x, y).RGBA()
		return r == 0
	}
	var path strings.Builder
	for y := range size {
		for x := 0; x < size; {
			run := 0
			for x+run < size && dark(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
			}
			x += run + 1
		}
	}
	side := size + 2*quiet
	return template.HTML(fmt.Sprintf(`<svg class="qr" role="img" aria-label="%s" viewBox="0 0 %d %d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="%s"/></svg>`, //nolint:gosec // numbers, and an escaped label
		html.EscapeString(label), side, side, side, side, path.String())), nil
}
