package lsacloudap

import (
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
)

// Allow says who may call what on this component's door.
func Allow() rpc.AllowList {
	return rpc.Join(eventlog.Allow(), rpc.AllowList{
		lsav1.LogonService_LogonUser_FullMethodName:  {"logonui"},
		lsav1.LogonService_UnlockUser_FullMethodName: {"logonui"},
		lsav1.LogonService_LogoffUser_FullMethodName: {"logonui"},

		lsav1.WebSignInService_BeginWebSignIn_FullMethodName: {"logonui"},

		lsav1.HelloService_DescribeHello_FullMethodName:  {"logonui"},
		lsav1.HelloService_ProvisionHello_FullMethodName: {"logonui"},
		lsav1.HelloService_ChangeHelloPIN_FullMethodName: {"logonui"},
		lsav1.HelloService_ResetHelloPIN_FullMethodName:  {"logonui"},
		lsav1.HelloService_RemoveHello_FullMethodName:    {"logonui"},

		lsav1.SSOStateService_GetSSOState_FullMethodName: {"operator"},

		lsav1.LocalAccountService_PutLocalAccount_FullMethodName:    {"operator"},
		lsav1.LocalAccountService_RemoveLocalAccount_FullMethodName: {"operator"},
		lsav1.LocalAccountService_ListLocalAccounts_FullMethodName:  {"operator"},

		lsav1.OfflinePolicyService_OpenBreakGlass_FullMethodName:  {"operator"},
		lsav1.OfflinePolicyService_CloseBreakGlass_FullMethodName: {"operator"},

		authorityv1.TokenAuthorityService_DescribeAccount_FullMethodName:  {"wam-broker"},
		authorityv1.TokenAuthorityService_SignTokenRequest_FullMethodName: {"wam-broker"},
		authorityv1.TokenAuthorityService_OpenTokenAnswer_FullMethodName:  {"wam-broker"},
		authorityv1.TokenAuthorityService_OfferPRT_FullMethodName:         {"wam-broker"},

		authorityv1.TokenAuthorityService_BeginInteraction_FullMethodName:    {"wam-broker"},
		authorityv1.TokenAuthorityService_CompleteInteraction_FullMethodName: {"wam-broker"},

		authorityv1.CookieAuthorityService_CreatePRTCookie_FullMethodName: {"browsercore"},
	})
}

// PluginAllow says who may call the plug-in: the framework, which is this
// component itself.
func PluginAllow() rpc.AllowList {
	framework := []string{name}
	return rpc.AllowList{
		cloudapv1.PluginService_AuthenticateUser_FullMethodName: framework,
		cloudapv1.PluginService_RenewPRT_FullMethodName:         framework,
		cloudapv1.PluginService_ValidatePRT_FullMethodName:      framework,
		cloudapv1.PluginService_SignTokenRequest_FullMethodName: framework,
		cloudapv1.PluginService_OpenTokenAnswer_FullMethodName:  framework,
		cloudapv1.PluginService_CreatePRTCookie_FullMethodName:  framework,
		cloudapv1.PluginService_FetchDataKey_FullMethodName:     framework,
		cloudapv1.PluginService_BeginPage_FullMethodName:        framework,
		cloudapv1.PluginService_RedeemPage_FullMethodName:       framework,
		cloudapv1.PluginService_RegisterHelloKey_FullMethodName: framework,
		cloudapv1.PluginService_DescribePINReset_FullMethodName: framework,
		cloudapv1.PluginService_OpenResetSecret_FullMethodName:  framework,
	}
}
