package pages_test

import (
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/pages"
)

// every is a view of every page in every stage, by name.
func every() map[string]pages.View {
	all := map[string]pages.View{}
	add := func(key, name, stage string, change func(*pages.View)) {
		v := pages.View{
			Name: name, Stage: stage, Config: []byte(`{"pgid":"x"}`),
			Page: &idpv1.SignInPage{
				UserPrincipalName: "alice@contoso.test", Application: "Expenses", TenantName: "Contoso", Guidance: "Sign in to Windows with Windows Hello.",
				RegisterUrl: "/security-info", RegisterLater: true, MayConsentForOrganization: true, UserCode: "ABC123XYZ",
				Methods: []*idpv1.Method{
					{MethodId: "PhoneAppNotification", IsDefault: true}, {MethodId: "PhoneAppOTP"}, {MethodId: "OneWaySMS", Display: "+XX XXXXXXX42"},
					{MethodId: "TwoWayVoiceMobile", Display: "+XX XXXXXXX42"}, {MethodId: "FidoKey"}, {MethodId: "CertificateKey"}, {MethodId: "AccessPass"},
				},
				Permissions: []*idpv1.Permission{{Resource: "Microsoft Graph", Scope: "User.Read"}, {Resource: "Expenses API", Scope: "Reports.ReadWrite"}},
			},
			Form: pages.Form{FlowToken: "1.flow.token", Canary: "can.ary", SessionID: "9a3c1c3e-7f7d-4a53-b1ba-4c4a3a5b8a11"},
			Addresses: pages.Addresses{
				Post: "/common/login", Prove: "/common/login", BeginAuth: "/common/SAS/BeginAuth", EndAuth: "/common/SAS/EndAuth", ProcessAuth: "/common/SAS/ProcessAuth",
				CertAuth: "https://certauth.login.microsoftonline.com/common/certauth", PasskeyBegin: "/common/passkey/begin", SessionState: "/common/DeviceCodeStatus",
				Skip: "/common/skip", SecurityInfo: "/security-info", ErrorURL: "https://login.microsoftonline.com/error?code=50126",
			},
			Options: `{"challenge":"AAAA","allowCredentials":[]}`,
			Wait:    pages.Wait{MethodID: "PhoneAppNotification", SessionID: "s", Entropy: 42, Polls: 60, Every: 2000},
			Ways:    []pages.Way{{Value: "password"}, {Value: "passkey"}, {Value: "phone"}, {Value: "accesspass"}, {Value: "certificate"}, {Value: "federation"}},
			Answer:  pages.Answer{To: "https://app.contoso.test/cb", Pairs: []pages.Pair{{Name: "code", Value: "1.c.d"}}},
		}
		if change != nil {
			change(&v)
		}
		all[key] = v
	}
	problem := func(v *pages.View) {
		v.Problem = &pages.Problem{Number: 50126, Code: "AADSTS50126", Text: "The user name or the password is wrong: check both."}
		v.Facts = pages.Facts{CorrelationID: "9a3c1c3e-7f7d-4a53-b1ba-4c4a3a5b8a11", TraceID: "2f0c1c3e-7f7d-4a53-b1ba-4c4a3a5b8a11", Time: "2026-11-26 04:23:14Z", Exception: "AADSTS50126: The user name or the password is wrong: check both."}
	}
	nobody := func(v *pages.View) { v.Page.UserPrincipalName = "" }
	add("name", "ConvergedSignIn", "name", nobody)
	for _, stage := range []string{"password", "accesspass", "passkey", "ask", "phone", "certificate"} {
		add(stage, "ConvergedSignIn", stage, nil)
	}
	add("password wrong", "ConvergedSignIn", "password", problem)
	for _, stage := range []string{"choose", "code", "wait", "accesspass", "passkey", "certificate"} {
		add("factor "+stage, "ConvergedTFA", stage, nil)
	}
	add("factor call", "ConvergedTFA", "wait", func(v *pages.View) { v.Wait = pages.Wait{MethodID: "TwoWayVoiceMobile", Again: true, Polls: 60} })
	add("factor push", "ConvergedTFA", "wait", func(v *pages.View) { v.Wait.Entropy = 0 })
	add("factor sms", "ConvergedTFA", "code", func(v *pages.View) { v.Wait.MethodID = "OneWaySMS" })
	add("factor none", "ConvergedTFA", "choose", func(v *pages.View) { v.Page.Methods = nil })
	for _, name := range []string{"KmsiInterrupt", "ConvergedRemoteConnect", "CmsiInterrupt", "ConvergedRemoteConnectDone", "ConvergedChangePassword", "ConvergedProofUpRedirect", "ConvergedConsent", "FormPost"} {
		add(name, name, "", nil)
	}
	add("register asks", "ConvergedProofUpRedirect", "", func(v *pages.View) { v.Page.RegisterUrl, v.Page.Guidance = "", "" })
	add("confirm nameless", "CmsiInterrupt", "", func(v *pages.View) { v.Page.Application = "" })
	add("done nameless", "ConvergedRemoteConnectDone", "", func(v *pages.View) { v.Page.Application = "" })
	add("error", "ConvergedError", "", problem)
	for name, message := range map[string]string{"Home": "home.say", "NativeClient": "native.say", "ConvergedSignOut": "signedout.say"} {
		add(name, name, "", func(v *pages.View) { v.Message = message })
	}
	addSecurity(add)
	return all
}

func addSecurity(add func(key, name, stage string, change func(*pages.View))) {
	kinds := []string{"softwareOath", "microsoftAuthenticatorPush", "sms", "voice", "fido2"}
	info := func(kind string) func(*pages.View) {
		return func(v *pages.View) {
			v.Config, v.Page = nil, &idpv1.SignInPage{TenantName: "Contoso"}
			v.Info = &pages.Info{
				Person: "alice@contoso.test", Token: "t0ken", Kind: kind, Addable: kinds, Registration: "1.r.s", ActivationCode: "4711 0815",
				OTPAuthURI: "otpauth://totp/Contoso:alice@contoso.test?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Contoso", Secret: "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP",
				List: "/security-info", Begin: "/security-info/begin", Complete: "/security-info/complete", Remove: "/security-info/remove", MakeDefault: "/security-info/default", SignOut: "/security-info/signout",
			}
		}
	}
	add("security list", "SecurityInfo", "list", func(v *pages.View) {
		info("")(v)
		v.Info.Done = "security.added"
		for _, kind := range append([]string{"password", "windowsHelloForBusiness", "x509Certificate", "temporaryAccessPass", "somethingNew"}, kinds...) {
			v.Info.Methods = append(v.Info.Methods, pages.InfoMethod{ID: "id-" + kind, Kind: kind, Display: "+XX XXXXXXX42", IsDefault: kind == "softwareOath", Removable: kind != "password"})
		}
	})
	add("security empty", "SecurityInfo", "list", info(""))
	for _, kind := range kinds {
		add("security "+kind, "SecurityInfo", kind, info(kind))
	}
	for _, kind := range []string{"sms", "voice", "fido2"} {
		add("security ask "+kind, "SecurityInfo", "ask", info(kind))
	}
}
