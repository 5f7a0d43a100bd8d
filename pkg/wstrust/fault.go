package wstrust

import (
	"strings"
	"unicode"

	"github.com/beevik/etree"
)

// Code says whose fault it is (SOAP 1.2 part 1, section 5.4.6).
type Code string

// The codes in use.
const (
	Sender         Code = "Sender"
	Receiver       Code = "Receiver"
	MustUnderstand Code = "MustUnderstand"
)

// Subcode says what the fault is, as prefix and name; the prefix stands for the
// namespace of its specification: wsse WS-Security, wst WS-Trust of either
// version, wsa WS-Addressing.
type Subcode string

// The subcodes that clients tell apart.
const (
	// FailedAuthentication: the user name or the password is wrong.
	FailedAuthentication Subcode = "wsse:FailedAuthentication"
	// InvalidRequest: the request is malformed.
	InvalidRequest Subcode = "wst:InvalidRequest"
	// InvalidScope: no token is issued for that AppliesTo.
	InvalidScope Subcode = "wst:InvalidScope"
	// RequestFailed: the provider could not.
	RequestFailed Subcode = "wst:RequestFailed"
	// ActionNotSupported: the endpoint is one of another version.
	ActionNotSupported Subcode = "wsa:ActionNotSupported"
	// DestinationUnreachable: the request is for another address.
	DestinationUnreachable Subcode = "wsa:DestinationUnreachable"
)

// Fault is a SOAP 1.2 fault. HTTP carries it with status 500, and 400 when the
// sender's message was malformed (SOAP 1.2 part 2, section 7.5).
type Fault struct {
	Code Code
	// Subcode may be empty. In a fault that was read it has the prefix "other"
	// when its namespace is none of the three.
	Subcode Subcode
	// Reason is for people. In a fault that was read it is a stranger's: printable,
	// at most 512 bytes.
	Reason string
	// RelatesTo is the MessageID of the request, for the writer alone.
	RelatesTo string
}

// Error is the subcode and the reason.
func (f *Fault) Error() string {
	if f.Subcode == "" {
		return string(f.Code) + ": " + f.Reason
	}
	return string(f.Subcode) + ": " + f.Reason
}

const maxReason = 512

func spaceOf(prefix string) string {
	switch prefix {
	case "wsse":
		return nsSecurity
	case "wst":
		return nsTrust13
	case "wsa":
		return nsAddress
	}
	return ""
}

// Encode writes the fault in its envelope.
func (f Fault) Encode() ([]byte, error) {
	prefix, local, _ := strings.Cut(string(f.Subcode), ":")
	space := spaceOf(prefix)
	if f.Code == "" || f.Reason == "" || local != "" && space == "" {
		return nil, shape("a fault needs a Code, a Reason and a Subcode of the list")
	}
	return render("fault.xml", struct {
		Fault
		Prefix, Space, Local string
	}{f, prefix, space, local})
}

// readFault gives a *Fault, or another error when it is none.
func readFault(e *etree.Element) error {
	code := child(e, nsSOAP, "Code")
	whose, ok1 := qname(child(code, nsSOAP, "Value"))
	reason, ok2 := value(firstText(child(e, nsSOAP, "Reason")))
	soap, isSOAP := strings.CutPrefix(whose, nsSOAP+" ")
	if !ok1 || !ok2 || !isSOAP {
		return shape("the Fault has no Code or no Reason")
	}
	f := &Fault{Code: Code(soap), Reason: printable(reason)}
	if sub := child(code, nsSOAP, "Subcode"); sub != nil {
		name, ok := qname(child(sub, nsSOAP, "Value"))
		if !ok {
			return shape("the Subcode of the Fault is not a name")
		}
		f.Subcode = subcode(name)
	}
	return f
}

// firstText is the reason in the first language that is offered.
func firstText(reason *etree.Element) *etree.Element {
	if all := children(reason, nsSOAP, "Text"); len(all) > 0 {
		return all[0]
	}
	return nil
}

// qname resolves a prefixed name in a text to "namespace local".
func qname(e *etree.Element) (string, bool) {
	text, ok := value(e)
	prefix, local, prefixed := strings.Cut(text, ":")
	if !ok || !prefixed || local == "" || len(text) > 128 || printable(local) != local {
		return "", false
	}
	for at := e; at != nil; at = at.Parent() {
		for _, a := range at.Attr {
			if a.Space == "xmlns" && a.Key == prefix {
				return a.Value + " " + local, true
			}
		}
	}
	return "", false
}

func subcode(name string) Subcode {
	space, local, _ := strings.Cut(name, " ")
	if space == nsTrust2005 {
		space = nsTrust13
	}
	for _, prefix := range []string{"wsse", "wst", "wsa"} {
		if spaceOf(prefix) == space {
			return Subcode(prefix + ":" + local)
		}
	}
	return Subcode("other:" + local)
}

func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "")
	}
	return s
}
