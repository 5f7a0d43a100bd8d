package status

import (
	"fmt"

	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
)

// What WAM shows of its default account; the provider's id is the same on every device.
const (
	wamAuthority = "organizations"
	wamID        = "https://login.microsoft.com"
	wamGUID      = "{B16898C6-A148-4967-9171-64D755DA8520} (AzureAd)"
)

func userState() section {
	return section{title: "User State", shown: func(*view) bool { return true }, fields: []field{
		{label: "NgcSet", value: always(func(v *view) string {
			if v.SSO == nil {
				return unknown
			}
			return yesNo(v.user.state.GetNgcSet())
		})},
		{label: "NgcKeyId", value: filled(func(v *view) string {
			if id := v.user.state.GetNgcKeyId(); id != "" {
				return "{" + id + "}"
			}
			return ""
		})},
		{label: "CanReset", value: filled(func(v *view) string {
			switch how := v.user.state.GetCanReset(); {
			case !v.user.state.GetNgcSet():
				return ""
			case how == "none", how == "":
				return unknown
			default:
				return how
			}
		})},
		{label: "WorkplaceJoined", value: fromState(func(v *view) string { return yesNo(v.State.GetWorkplaceJoined()) })},
		{label: "WamDefaultSet", value: always(wamDefault)},
		{label: "WamDefaultAuthority", value: withDefault(wamAuthority)},
		{label: "WamDefaultId", value: withDefault(wamID)},
		{label: "WamDefaultGUID", value: withDefault(wamGUID)},
	}}
}

// wamDefault tells whether the token broker has an account that answers an app which
// names none: one of its own, or the one that CloudAP has the PRT of.
func wamDefault(v *view) string {
	if v.NoBroker {
		return no
	}
	if v.Accounts == nil {
		return broken
	}
	if _, good := v.user.prt(v.Now); good {
		return yes
	}
	for _, a := range v.user.accounts {
		if a.GetAccount().GetDefault() {
			return yes
		}
	}
	return no
}

func withDefault(value string) func(*view) (string, bool) {
	return func(v *view) (string, bool) { return value, wamDefault(v) == yes }
}

func ssoState() section {
	fields := []field{
		{label: "AzureAdPrt", value: always(func(v *view) string {
			if v.SSO == nil {
				return unknown
			}
			_, good := v.user.prt(v.Now)
			return yesNo(good)
		})},
		{label: "AzureAdPrtUpdateTime", value: whileGood(func(v *view) string {
			p, _ := v.user.prt(v.Now)
			return stamp(p.GetPrtUpdateTime())
		})},
		{label: "AzureAdPrtExpiryTime", value: whileGood(func(v *view) string {
			p, _ := v.user.prt(v.Now)
			return stamp(p.GetPrtExpiryTime())
		})},
		{label: "AzureAdPrtAuthority", value: whileGood(func(v *view) string {
			p, _ := v.user.prt(v.Now)
			return p.GetAuthority()
		})},
	}
	fields = append(fields, diagnostics("Acquire", func(v *view) *authorityv1.Attempt { return v.user.acquire })...)
	fields = append(fields, diagnostics("Refresh", func(v *view) *authorityv1.Attempt { return v.user.refresh })...)
	return section{title: "SSO State", shown: func(*view) bool { return true }, fields: append(fields,
		// A PRT of AD FS and tickets of Kerberos are not part of this system.
		field{label: "EnterprisePrt", value: fixed(no)},
		field{label: "EnterprisePrtAuthority", value: fixed("")},
		field{label: "OnPremTgt", value: fixed(no)},
		field{label: "CloudTgt", value: fixed(no)},
		field{label: "KerbTopLevelNames", value: fixed("")},
	)}
}

// whileGood shows a value of the PRT while there is one.
func whileGood(value func(*view) string) func(*view) (string, bool) {
	return func(v *view) (string, bool) {
		_, good := v.user.prt(v.Now)
		return value(v), good
	}
}

// diagnostics is the block of a failed attempt, shown while it is younger than the PRT.
func diagnostics(what string, of func(*view) *authorityv1.Attempt) []field {
	return []field{{
		label: what + "PrtDiagnostics",
		value: func(v *view) (string, bool) { return "PRESENT", of(v) != nil },
		below: func(v *view) []Entry { return attemptEntries(of(v)) },
	}}
}

// attemptEntries are the lines of an attempt.
func attemptEntries(a *authorityv1.Attempt) []Entry {
	entries := []Entry{
		{Label: "Previous Prt Attempt", Value: stamp(a.GetTime())},
		{Label: "Attempt Status", Value: hex(a.GetStatus())},
		{Label: "User Identity", Value: a.GetUserIdentity()},
		{Label: "Credential Type", Value: a.GetCredentialType()},
		{Label: "Correlation ID", Value: a.GetCorrelationId()},
		{Label: "Endpoint URI", Value: a.GetEndpointUri()},
	}
	if a.GetHttpMethod() != "" {
		entries = append(entries, Entry{Label: "HTTP Method", Value: a.GetHttpMethod()})
	}
	entries = append(entries,
		Entry{Label: "HTTP Error", Value: hex(a.GetHttpError())},
		Entry{Label: "HTTP status", Value: fmt.Sprint(a.GetHttpStatus())})
	if a.GetServerErrorCode() != "" {
		entries = append(entries, Entry{Label: "Server Error Code", Value: a.GetServerErrorCode()})
	}
	if d := a.GetServerErrorDescription(); d != "" {
		entries = append(entries, Entry{Label: "Server Error Description", Value: d})
	}
	return entries
}

// ngcLabels are the lines of the check in their order.
func ngcLabels() []string {
	return []string{
		"IsDeviceJoined", "IsUserAzureAD", "PolicyEnabled", "PostLogonEnabled", "DeviceEligible", "SessionIsNotRemote",
		"CertEnrollment", "AdfsRefreshToken", "AdfsRaIsReady", "LogonCertTemplateReady", "OnPremTGT",
	}
}

// ngcPrerequisites is shown until the user has a Hello key.
func ngcPrerequisites() section {
	var fields []field
	for _, label := range ngcLabels() {
		fields = append(fields, field{label: label, value: func(v *view) (string, bool) {
			for _, p := range v.user.state.GetPrerequisites() {
				if p.GetName() == label {
					return p.GetValue(), true
				}
			}
			return "", false
		}})
	}
	return section{
		title: "Ngc Prerequisite Check",
		shown: func(v *view) bool { return !v.user.state.GetNgcSet() && len(v.user.state.GetPrerequisites()) > 0 },
		fields: append(fields, field{label: "PreReqResult", value: always(func(v *view) string {
			if v.user.state.GetWillProvision() {
				return "WillProvision"
			}
			return "WillNotProvision"
		})}),
	}
}

// wamOnly are the accounts whose PRT WAM has itself.
func (u *user) wamOnly() (own []*wamv1.AccountState) {
	for _, a := range u.accounts {
		if a.GetPrtUpdateTime() != nil || a.GetLastAttempt() != nil || a.GetAccount().GetAuthority() == wamv1.Authority_AUTHORITY_WAM {
			own = append(own, a)
		}
	}
	return own
}
