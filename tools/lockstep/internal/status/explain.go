package status

import (
	"fmt"
	"io"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
)

// Explain names the cause behind one failed attempt to obtain, renew or use a PRT.
func Explain(what string, a *authorityv1.Attempt) Finding {
	f := Finding{Problem: fmt.Sprintf("The last attempt to %s a PRT for %s failed.", what, line(a.GetUserIdentity())), Trace: a.GetCorrelationId()}
	row, isWindows := wincode.Lookup(wincode.Code(a.GetStatus()))
	if known, ok := aadsts.Lookup(aadsts.Code(a.GetAadsts())); ok {
		f.Code = known.Code.String()
		f.Cause, f.Next = halves(known)
	} else if isWindows {
		f.Code, f.Cause, f.Next = row.Code.String(), sentence(row.Meaning, row.Cause), row.Next
	} else {
		f.Code, f.Cause, f.Next = hex(a.GetStatus()), line(a.GetMessage()), "Read the log of lsa-cloudap at that time."
	}
	if net, ok := wincode.Lookup(wincode.Code(a.GetHttpError())); ok && a.GetAadsts() == 0 {
		f.Code, f.Cause, f.Next = net.Code.String(), sentence(net.Meaning, net.Cause), net.Next
	}
	if own := ownComponent(a.GetEndpointUri()); own != "" && a.GetHttpError() != 0 && a.GetAadsts() == 0 {
		// No network lies between a device's components.
		f.Cause, f.Next = "The component "+own+" of this device gave no answer: it is stopped, or fails.", "Start "+own+", or read its log."
	}
	if a.GetAadsts() == 0 && a.GetEndpointUri() == "" && a.GetMessage() != "" {
		// Nobody was asked: the device itself said no, and why.
		f.Cause = line(a.GetMessage())
	}
	f.Evidence = attemptEvidence(a)
	return f
}

// ownComponent is the component of the device itself that an attempt asked, or empty.
func ownComponent(uri string) string {
	rest, found := strings.CutPrefix(uri, "grpc://")
	if !found {
		return ""
	}
	switch name, _, _ := strings.Cut(rest, "/"); name {
	case "tpm-agent", "dsreg", "lsa-cloudap", "wam-broker":
		return name
	}
	return ""
}

// attemptEvidence is what is known of an attempt, on a few lines.
func attemptEvidence(a *authorityv1.Attempt) []string {
	out := []string{fmt.Sprintf("at %s with %s, status %s", stamp(a.GetTime()), a.GetCredentialType(), wincode.Code(a.GetStatus()))}
	if uri := line(a.GetEndpointUri()); uri != "" {
		asked := strings.TrimSpace(a.GetHttpMethod() + " " + uri)
		switch {
		case a.GetHttpError() != 0:
			asked += ": no answer, " + wincode.Code(a.GetHttpError()).String()
		case a.GetHttpStatus() != 0:
			asked += fmt.Sprintf(": HTTP %d", a.GetHttpStatus())
		}
		out = append(out, asked)
	}
	if d := line(a.GetServerErrorDescription()); d != "" {
		out = append(out, strings.TrimPrefix(line(a.GetServerErrorCode())+", "+d, ", "))
	} else if m := line(a.GetMessage()); m != "" {
		out = append(out, m)
	}
	if step := letter(a.GetStep()); step != "" {
		out = append(out, "step "+step)
	}
	return out
}

// WriteWhy writes findings for people.
func WriteWhy(w io.Writer, found []Finding) error {
	var b strings.Builder
	if len(found) == 0 {
		b.WriteString("Nothing is wrong that this device knows of.\n")
	}
	for i, f := range found {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s\n  cause:     %s\n", f.Problem, strings.TrimSpace(f.Cause+parenthesis(f.Code)))
		for j, e := range f.Evidence {
			label := "evidence: "
			if j > 0 {
				label = "          "
			}
			if e != "" {
				fmt.Fprintf(&b, "  %s %s\n", label, e)
			}
		}
		fmt.Fprintf(&b, "  next step: %s\n", f.Next)
		if f.Trace != "" {
			fmt.Fprintf(&b, "  see:       lockstep trace %s\n             lockstep events --correlation %s\n", f.Trace, f.Trace)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func parenthesis(code string) string {
	if code == "" {
		return ""
	}
	return " (" + code + ")"
}

// halves parts the meaning of a code, which is "what is wrong: what to do".
func halves(row aadsts.Row) (cause, next string) {
	cause, next, found := strings.Cut(strings.TrimSuffix(row.Meaning, "."), ": ")
	if !found {
		return cause + ".", fmt.Sprintf("Look at the sign-in log; lockstep error %d has more.", row.Code)
	}
	return cause + ".", strings.ToUpper(next[:1]) + next[1:] + "."
}

// sentence joins what happened and what is behind it.
func sentence(parts ...string) string { return strings.TrimSpace(strings.Join(parts, " ")) }

// letter is a step as the documents name it: FIRST_SIGN_IN_D is "D of the first sign-in".
// What is no step of a table is nothing.
func letter(step string) string {
	i := strings.LastIndex(step, "_")
	if i < 0 || i+2 != len(step) {
		return ""
	}
	flow := strings.NewReplacer("_", " ", "sign in", "sign-in", "sso", "SSO").Replace(strings.ToLower(strings.ReplaceAll(step[:i], "SIGN_IN", "sign-in")))
	return line(step[i+1:] + " of the " + flow)
}
