package status

import (
	"fmt"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
)

// credentialState has one line for each PRT of the user, which dsregcmd does not tell
// apart, and whether the user is kept out.
func credentialState() section {
	return section{
		title: "Credential State",
		shown: func(v *view) bool { return v.user.upn != "" },
		fields: []field{
			{label: "User", value: always(func(v *view) string { return v.user.upn })},
			{label: "Sid", value: filled(func(v *view) string { return v.user.state.GetSid() })},
			{label: "UserBlocked", value: always(blocked)},
			{
				label: "PrtCount",
				value: always(func(v *view) string { return fmt.Sprint(len(v.Partitions())) }),
				below: func(v *view) []Entry {
					var lines []Entry
					seen := map[string]int{}
					for _, p := range v.Partitions() {
						label := p.Credential
						if seen[p.Credential]++; seen[p.Credential] > 1 {
							label = fmt.Sprintf("%s %d", label, seen[p.Credential])
						}
						lines = append(lines, Entry{Label: label, Value: p.String()})
					}
					return lines
				},
			},
			{label: "LastOnline", value: filled(func(v *view) string {
				var last time.Time
				for _, p := range v.user.partitions {
					if t := p.GetLastOnlineAt(); t != nil && t.AsTime().After(last) {
						last = t.AsTime()
					}
				}
				if last.IsZero() {
					return ""
				}
				return utc(last)
			})},
		},
	}
}

func blocked(v *view) string {
	s := v.user.state
	if v.SSO == nil {
		return unknown
	}
	if s.GetBlockedCode() == 0 {
		return no
	}
	return fmt.Sprintf("YES (AADSTS%d since %s)", s.GetBlockedCode(), stamp(s.GetBlockedAt()))
}

// cacheState is about the files of the cache and the limits of the device.
func cacheState() section {
	return section{title: "Cache State", shown: func(v *view) bool { return v.SSO != nil }, fields: []field{
		{label: "CacheVerification", value: always(func(v *view) string { return verification(v.SSO.GetCache().GetVerification()) })},
		{
			label: "QuarantinedFiles",
			value: always(func(v *view) string { return fmt.Sprint(len(v.SSO.GetCache().GetQuarantined())) }),
			below: func(v *view) []Entry {
				var lines []Entry
				for i, q := range v.SSO.GetCache().GetQuarantined() {
					lines = append(lines, Entry{
						Label: fmt.Sprintf("File %d", i+1),
						Value: line(fmt.Sprintf("%s: %s (%s)", q.GetPath(), q.GetReason(), stamp(q.GetTime()))),
					})
				}
				return lines
			},
		},
		{label: "OfflineLimit", value: always(func(v *view) string {
			if v.SSO.GetOfflineLifetime() == 0 {
				return "none"
			}
			return span(time.Duration(v.SSO.GetOfflineLifetime()) * time.Second)
		})},
		{label: "BreakGlassUntil", value: filled(func(v *view) string { return stamp(v.SSO.GetBreakGlassUntil()) })},
		{label: "TpmLockedOut", value: func(v *view) (string, bool) {
			return yesNo(v.Provider.GetLockout().GetLocked()), v.Provider.GetLockout() != nil
		}},
	}}
}

func verification(c lsav1.CacheVerification) string {
	switch c {
	case lsav1.CacheVerification_CACHE_VERIFICATION_CURRENT:
		return "CURRENT"
	case lsav1.CacheVerification_CACHE_VERIFICATION_PENDING:
		return "PENDING (the tpm-agent could not be asked yet)"
	case lsav1.CacheVerification_CACHE_VERIFICATION_ROLLED_BACK:
		return "ROLLED BACK (older files are in quarantine)"
	default:
		return unknown
	}
}

// Partition is one PRT as people see it: of CloudAP, or of a work account of WAM.
type Partition struct {
	User       string `json:"user"`
	Credential string `json:"credential"`
	// MFA is YES, NO or Unknown; MFAAt is when, or empty.
	MFA   string `json:"mfa"`
	MFAAt string `json:"mfa_time,omitempty"`
	// UpdateTime and ExpiryTime of the PRT; Age of it in words.
	UpdateTime string `json:"update_time"`
	ExpiryTime string `json:"expiry_time"`
	Age        string `json:"age"`
	Validity   string `json:"validity"`
	Sessions   uint32 `json:"sessions"`
	Digest     string `json:"digest"`
}

// String is its line.
func (p Partition) String() string {
	s := fmt.Sprintf("%s, %s old, until %s, MFA %s", p.Validity, p.Age, p.ExpiryTime, p.MFA)
	if p.MFAAt != "" {
		s += " at " + p.MFAAt
	}
	return s
}

// Partitions are the PRTs of the user shown.
func (v *view) Partitions() []Partition { return v.Facts.partitionsOf(v.user) }

// Partitions are the PRTs of all users, or of the one that was asked for.
func (f Facts) Partitions() []Partition {
	if f.User != "" {
		return f.partitionsOf(f.chosen())
	}
	var all []Partition
	for _, u := range f.users() {
		all = append(all, f.partitionsOf(u)...)
	}
	return all
}

func (f Facts) partitionsOf(u *user) []Partition {
	var all []Partition
	for _, p := range u.partitions {
		all = append(all, Partition{
			User: u.upn, Credential: p.GetCredentialKind(), MFA: mfa(p.GetMfa()), MFAAt: stamp(p.GetMfaTime()),
			UpdateTime: stamp(p.GetPrtUpdateTime()), ExpiryTime: stamp(p.GetPrtExpiryTime()), Age: span(f.Now.Sub(p.GetPrtUpdateTime().AsTime())),
			Validity: validity(p.GetValidity(), p.GetPrtExpiryTime().AsTime(), f.Now), Sessions: p.GetSessions(), Digest: p.GetPrtDigest(),
		})
	}
	for _, a := range u.wamOnly() {
		if a.GetPrtUpdateTime() == nil {
			continue
		}
		all = append(all, Partition{
			User: u.upn, Credential: "work account", MFA: mfa(a.GetMfa()),
			UpdateTime: stamp(a.GetPrtUpdateTime()), ExpiryTime: stamp(a.GetPrtExpiryTime()), Age: span(f.Now.Sub(a.GetPrtUpdateTime().AsTime())),
			Validity: validity(a.GetValidity(), a.GetPrtExpiryTime().AsTime(), f.Now), Digest: a.GetPrtDigest(),
		})
	}
	return all
}

func mfa(m authorityv1.MFAState) string {
	switch m {
	case authorityv1.MFAState_MFA_STATE_YES:
		return yes
	case authorityv1.MFAState_MFA_STATE_NO:
		return no
	default:
		return unknown
	}
}

func validity(v authorityv1.PRTValidity, expiry, now time.Time) string {
	switch {
	case v == authorityv1.PRTValidity_PRT_VALIDITY_REVOKED:
		return "REVOKED"
	case v == authorityv1.PRTValidity_PRT_VALIDITY_DEVICE_INVALID:
		return "DEVICE INVALID"
	case v == authorityv1.PRTValidity_PRT_VALIDITY_KEYS_LOST:
		return "KEYS LOST"
	case v == authorityv1.PRTValidity_PRT_VALIDITY_EXPIRED, !now.Before(expiry):
		return "EXPIRED"
	default:
		return "GOOD"
	}
}

// span is a duration in words: 13d 4h, 5h 12m, 3m, less than 1m.
func span(d time.Duration) string {
	d = max(0, d)
	days, hours, minutes := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60
	switch {
	case days > 0 && hours > 0:
		return fmt.Sprintf("%dd %dh", days, hours)
	case days > 0:
		return fmt.Sprintf("%dd", days)
	case hours > 0 && minutes > 0:
		return fmt.Sprintf("%dh %dm", hours, minutes)
	case hours > 0:
		return fmt.Sprintf("%dh", hours)
	case minutes > 0:
		return fmt.Sprintf("%dm", minutes)
	default:
		return "less than 1m"
	}
}

// meaning of an AADSTS code, empty when it is not in the table.
func meaning(code uint32) string {
	row, _ := aadsts.Lookup(aadsts.Code(code))
	return row.Meaning
}
