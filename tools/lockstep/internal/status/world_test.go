package status_test

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/status"
)

const (
	alice  = "alice@contoso.test"
	device = "11111111-2222-4333-8444-555555555555"
	tenant = "aaaaaaaa-0000-4000-8000-000000000001"
	trace  = "00112233445566778899aabbccddeeff"
)

// noon is the time of all facts here.
func noon() time.Time { return time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC) }

func ago(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(noon().Add(-d)) }

func in(d time.Duration) *timestamppb.Timestamp { return ago(-d) }

// none is a device that is in no tenant, with all components well.
func none() status.Facts {
	state := &dsregv1.GetDeviceStateResponse{
		JoinState: dsregv1.JoinState_JOIN_STATE_NONE, KeyProvider: "Lockstep TPM emulator", KeySignTest: dsregv1.KeySignTest_KEY_SIGN_TEST_NOT_RUN,
	}
	return status.Facts{
		Now: noon(), State: state, Registration: &dsregv1.DescribeRegistrationResponse{State: state},
		SSO:      &lsav1.GetSSOStateResponse{Cache: &lsav1.CacheState{Verification: lsav1.CacheVerification_CACHE_VERIFICATION_CURRENT}},
		Accounts: &wamv1.GetAccountStateResponse{}, Provider: &tpmv1.DescribeProviderResponse{Lockout: &tpmv1.Lockout{}},
	}
}

// registered gives the device an identity at the tenant.
func identity(f status.Facts) status.Facts {
	f.State.DeviceId, f.State.TenantId, f.State.CertificateThumbprint = device, tenant, "0123456789ABCDEF0123456789ABCDEF01234567"
	f.State.CertificateNotBefore, f.State.CertificateNotAfter = ago(30*24*time.Hour), in(3620*24*time.Hour)
	f.State.TpmProtected, f.State.KeySignTest = true, dsregv1.KeySignTest_KEY_SIGN_TEST_PASSED
	f.Registration.KeyContainerId, f.Registration.DeviceAuthStatus = "set-1", dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_SUCCESS
	service := func(name string) *dsregv1.TenantService {
		return &dsregv1.TenantService{Version: "2.0", Url: "https://enterpriseregistration.windows.net/" + name + "/", Id: "urn:ms-drs:enterpriseregistration.windows.net"}
	}
	f.Registration.Tenant = &dsregv1.TenantDetails{
		TenantName: "Contoso", TenantId: tenant, Idp: "login.windows.net",
		AuthCodeUrl: "https://login.microsoftonline.com/" + tenant + "/oauth2/authorize", AccessTokenUrl: "https://login.microsoftonline.com/" + tenant + "/oauth2/token",
		JoinSrv: service("EnrollmentServer/device"), KeySrv: service("EnrollmentServer/key"), WebauthnSrv: service("webauthn/" + tenant), DeviceManagementSrv: service("manage/" + tenant),
	}
	f.Live = true
	return f
}

// prerequisites of Windows Hello, all met but those named.
func prerequisites(off ...string) (all []*lsav1.Prerequisite, will bool) {
	will = true
	for _, name := range []string{"IsDeviceJoined", "IsUserAzureAD", "PolicyEnabled", "PostLogonEnabled", "DeviceEligible", "SessionIsNotRemote", "CertEnrollment"} {
		p := &lsav1.Prerequisite{Name: name, Value: "YES", Met: true}
		if name == "CertEnrollment" {
			p.Value = "none"
		}
		for _, o := range off {
			if o == name {
				p.Met, will = false, false
				if name != "CertEnrollment" {
					p.Value = "NO"
				}
			}
		}
		all = append(all, p)
	}
	return all, will
}

// signedIn gives alice a PRT of two hours ago.
func signedIn(f status.Facts) status.Facts {
	f.SSO.Partitions = []*lsav1.PartitionState{{
		UserPrincipalName: alice, UserId: "bbbbbbbb-0000-4000-8000-000000000001", CredentialKind: "password", TenantId: tenant,
		PrtUpdateTime: ago(2 * time.Hour), PrtExpiryTime: in(334 * time.Hour), PrtDigest: "42813150", Authority: "https://login.microsoftonline.com/" + tenant,
		Mfa: authorityv1.MFAState_MFA_STATE_NO, Validity: authorityv1.PRTValidity_PRT_VALIDITY_GOOD, Sessions: 1, LastOnlineAt: ago(2 * time.Hour),
	}}
	all, will := prerequisites()
	f.SSO.Users = []*lsav1.UserState{{UserPrincipalName: alice, Sid: "S-1-12-1-3149642683-1073741824-128-16777216", CanReset: "none", Prerequisites: all, WillProvision: will}}
	return f
}

func joined() status.Facts {
	f := signedIn(identity(none()))
	f.State.JoinState, f.State.AzureAdJoined = dsregv1.JoinState_JOIN_STATE_JOINED, true
	return f
}

func hybrid() status.Facts {
	f := joined()
	f.State.JoinState, f.State.DomainJoined, f.Registration.DomainName = dsregv1.JoinState_JOIN_STATE_HYBRID, true, "CONTOSO"
	f.SSO.Users[0].NgcSet, f.SSO.Users[0].NgcKeyId, f.SSO.Users[0].CanReset = true, "k1", "DestructiveAndNonDestructive"
	f.SSO.Partitions = append(f.SSO.Partitions, &lsav1.PartitionState{
		UserPrincipalName: alice, CredentialKind: "hello", PrtUpdateTime: ago(time.Hour), PrtExpiryTime: in(335 * time.Hour), PrtDigest: "7a2b0c11",
		Authority: "https://login.microsoftonline.com/" + tenant, Mfa: authorityv1.MFAState_MFA_STATE_YES, MfaTime: ago(time.Hour), Validity: authorityv1.PRTValidity_PRT_VALIDITY_GOOD,
	})
	return f
}

func registered() status.Facts {
	f := identity(none())
	f.State.JoinState, f.State.WorkplaceJoined = dsregv1.JoinState_JOIN_STATE_REGISTERED, true
	f.Accounts.Accounts = []*wamv1.AccountState{{
		Sid: "S-1-5-21-1-2-3-1000", Account: &wamv1.Account{UserPrincipalName: alice, Default: true, Authority: wamv1.Authority_AUTHORITY_WAM},
		PrtUpdateTime: ago(26 * time.Hour), PrtExpiryTime: in(310 * time.Hour), PrtDigest: "99aa00bb", Validity: authorityv1.PRTValidity_PRT_VALIDITY_GOOD,
	}}
	return f
}

// inDomain is a member of a domain that is not joined to the tenant yet.
func inDomain() status.Facts {
	f := none()
	f.Registration.DomainName = "CONTOSO"
	for _, name := range []string{"AD Connectivity Test", "AD Configuration Test", "DRS Discovery Test", "DRS Connectivity Test", "Token acquisition Test"} {
		f.Registration.Tests = append(f.Registration.Tests, &dsregv1.DiagnosticTest{Name: name, Result: "PASS"})
	}
	return f
}

// wrongPassword is the attempt of the documented sample.
func wrongPassword() *authorityv1.Attempt {
	return &authorityv1.Attempt{
		Time: ago(time.Minute), Status: 0xc000006d, UserIdentity: alice, CredentialType: "Password", CorrelationId: trace,
		EndpointUri: "https://login.microsoftonline.com/common/oauth2/token", HttpMethod: "POST", HttpStatus: 400, ServerErrorCode: "invalid_grant",
		ServerErrorDescription: "AADSTS50126: The user name or the password is wrong: check both.", Aadsts: 50126, Kind: "unauthenticated",
		Message: "AADSTS50126: The user name or the password is wrong: check both.", Step: "FIRST_SIGN_IN_D",
	}
}

// samples are facts by the name of their golden file.
func samples() map[string]status.Facts {
	all := map[string]status.Facts{
		"none": none(), "domain": inDomain(), "joined": joined(), "hybrid": hybrid(), "registered": registered(),
	}
	f := joined()
	f.SSO.Partitions[0].LastAcquire = wrongPassword()
	all["failed-password"] = f

	f = joined()
	f.SSO.Partitions, f.SSO.Attempts = nil, []*authorityv1.Attempt{{
		Time: ago(time.Minute), Status: 0xc00000be, UserIdentity: alice, CredentialType: "NGC", CorrelationId: trace, HttpMethod: "GET", HttpError: 0x80072ee7,
		EndpointUri: "https://login.microsoftonline.com/common/userrealm/", Kind: "unavailable", Message: "identity provider: cannot be reached: check the network", Step: "FIRST_SIGN_IN_B",
	}}
	all["failed-network"] = f

	f = joined()
	f.SSO.Partitions[0].PrtUpdateTime = ago(9 * time.Hour)
	f.SSO.Partitions[0].LastRefresh = &authorityv1.Attempt{
		Time: ago(time.Hour), Status: 0xc00000d0, UserIdentity: alice, CredentialType: "Password", CorrelationId: trace, HttpMethod: "POST", HttpStatus: 400,
		EndpointUri: "https://login.microsoftonline.com/common/oauth2/token", ServerErrorCode: "invalid_grant", Aadsts: 135011, Kind: "denied", Step: "RENEWAL_E",
		ServerErrorDescription: "AADSTS135011: The device is disabled: ask an administrator.",
	}
	f.SSO.Partitions[0].Validity = authorityv1.PRTValidity_PRT_VALIDITY_DEVICE_INVALID
	f.Registration.DeviceAuthStatus = dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_DISABLED_OR_DELETED
	all["failed-device"] = f

	f = inDomain()
	f.Registration.Tests[2].Result, f.Registration.Tests[2].Code, f.Registration.Tests[2].SubCode = "FAIL", 0x801c0021, 0x80072ee2
	f.Registration.Tests[3].Result, f.Registration.Tests[4].Result = "SKIPPED", "SKIPPED"
	f.Registration.LastAttempt = &dsregv1.RegistrationAttempt{
		Time: ago(time.Hour), RegistrationType: "sync", ErrorPhase: "discover", ClientErrorCode: 0x801c0021, RequestId: trace, FallbackToSyncJoin: true,
	}
	all["failed-discovery"] = f

	f = inDomain()
	f.Registration.LastAttempt = &dsregv1.RegistrationAttempt{
		Time: ago(time.Hour), RegistrationType: "sync", ErrorPhase: "join", ClientErrorCode: 0x801c03f2, ServerErrorCode: "DirectoryError", HttpsStatus: 400, RequestId: trace,
		ServerMessage: "the directory does not have the object of this computer yet", FallbackToSyncJoin: true, Pending: true,
	}
	all["failed-sync"] = f

	f = joined()
	f.State.AadRecoveryEnabled, f.State.KeySignTest = true, dsregv1.KeySignTest_KEY_SIGN_TEST_FAILED
	f.SSO.Partitions[0].Validity = authorityv1.PRTValidity_PRT_VALIDITY_KEYS_LOST
	all["failed-keys"] = f

	f = joined()
	f.SSO.Cache = &lsav1.CacheState{
		Verification: lsav1.CacheVerification_CACHE_VERIFICATION_ROLLED_BACK,
		Quarantined:  []*lsav1.QuarantinedFile{{Path: "quarantine/a.json.1773489600", Reason: "it is older than what the TPM remembers", Time: ago(time.Hour)}},
	}
	f.SSO.OfflineLifetime, f.SSO.BreakGlassUntil = int64(14*24*time.Hour/time.Second), in(8*time.Hour)
	f.SSO.Users[0].BlockedCode, f.SSO.Users[0].BlockedAt = 50057, ago(3*time.Hour)
	all["cache"] = f

	f = joined()
	f.SSO, f.Accounts, f.Registration = nil, nil, nil
	f.Missing = []status.Missing{
		{Component: "dsreg", Reason: "it does not tell the details: the deadline of the call passed"},
		{Component: "lsa-cloudap", Reason: "lsa-cloudap cannot be reached: check the network and try again"},
		{Component: "wam-broker", Reason: "wam-broker cannot be reached: check the network and try again"},
	}
	all["components-down"] = f

	for _, name := range []string{"IsDeviceJoined", "IsUserAzureAD", "PolicyEnabled", "PostLogonEnabled", "DeviceEligible", "SessionIsNotRemote", "CertEnrollment"} {
		f = joined()
		f.SSO.Users[0].Prerequisites, f.SSO.Users[0].WillProvision = prerequisites(name)
		all[fmt.Sprintf("ngc-%s", name)] = f
	}
	return all
}
