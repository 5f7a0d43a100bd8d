package idp

import (
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	trustv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/trust/v1"
)

// Allow says which component may call what. What is not here is refused.
func Allow() rpc.AllowList {
	const lsa, wam, dsreg, browser, operator = "lsa-cloudap", "wam-broker", "dsreg", "browser", "operator"
	return rpc.AllowList{
		idpv1.RealmService_DiscoverRealm_FullMethodName: {lsa, wam, dsreg},
		idpv1.NonceService_IssueNonce_FullMethodName:    {lsa, wam, dsreg},

		idpv1.IssuanceService_RequestPRT_FullMethodName: {lsa, wam},
		idpv1.IssuanceService_RenewPRT_FullMethodName:   {lsa, wam},

		idpv1.TokenService_RedeemRefreshToken_FullMethodName: {wam, lsa},
		idpv1.TokenService_RedeemPRT_FullMethodName:          {wam, lsa},
		idpv1.DataKeyService_RequestDataKey_FullMethodName:   {wam, lsa},

		idpv1.SessionService_Authorize_FullMethodName:         {browser},
		idpv1.GrantService_RequestTokens_FullMethodName:       {lsa, wam},
		idpv1.PINResetService_DescribePINReset_FullMethodName: {lsa},
		idpv1.PINResetService_OpenResetSecret_FullMethodName:  {lsa},

		idpv1.DeviceRegistrationService_RequestRegistrationToken_FullMethodName: {dsreg},
		idpv1.DeviceRegistrationService_RegisterDevice_FullMethodName:           {dsreg},
		idpv1.DeviceRegistrationService_DeleteDevice_FullMethodName:             {dsreg},
		idpv1.DeviceRegistrationService_JoinHybridDevice_FullMethodName:         {dsreg},
		idpv1.DeviceRegistrationService_RegisterHelloKey_FullMethodName:         {lsa},

		idpv1.DeviceRegistrationService_RequestAttestationChallenge_FullMethodName: {dsreg},
		idpv1.DeviceRegistrationService_ReplaceDeviceKeys_FullMethodName:           {dsreg},
		idpv1.DeviceRegistrationService_CheckDevice_FullMethodName:                 {dsreg},
		idpv1.MetadataService_DescribeRegistrationServices_FullMethodName:          {dsreg},

		trustv1.CertificateService_GetCertificate_FullMethodName: {lsa, wam, dsreg, operator},

		directoryv1.ReadService_ListDevices_FullMethodName:      {operator},
		directoryv1.ReadService_ListTenants_FullMethodName:      {operator},
		directoryv1.ReadService_ListUsers_FullMethodName:        {operator},
		directoryv1.ReadService_ListApplications_FullMethodName: {operator},
		directoryv1.ReadService_ListPolicies_FullMethodName:     {operator},
		directoryv1.ReadService_ListSignIns_FullMethodName:      {operator},
		directoryv1.ReadService_ListChallenges_FullMethodName:   {operator},

		directoryv1.AdminService_SetUserEnabled_FullMethodName:      {operator},
		directoryv1.AdminService_SetUserPassword_FullMethodName:     {operator},
		directoryv1.AdminService_SetDeviceEnabled_FullMethodName:    {operator},
		directoryv1.AdminService_RemoveDevice_FullMethodName:        {operator},
		directoryv1.AdminService_CreateUser_FullMethodName:          {operator},
		directoryv1.AdminService_DeleteUser_FullMethodName:          {operator},
		directoryv1.AdminService_RevokeSessions_FullMethodName:      {operator},
		directoryv1.AdminService_SetUserMethods_FullMethodName:      {operator},
		directoryv1.AdminService_SetDeviceCompliance_FullMethodName: {operator},
		directoryv1.AdminService_PutHybridDevice_FullMethodName:     {operator},
		directoryv1.AdminService_PutApplication_FullMethodName:      {operator},
		directoryv1.AdminService_DeleteApplication_FullMethodName:   {operator},
		directoryv1.AdminService_PutPolicy_FullMethodName:           {operator},
		directoryv1.AdminService_DeletePolicy_FullMethodName:        {operator},
		directoryv1.AdminService_RotateKeys_FullMethodName:          {operator},
		directoryv1.AdminService_IssueAccessPass_FullMethodName:     {operator},
		directoryv1.AdminService_RemoveUserMethod_FullMethodName:    {operator},
		directoryv1.AdminService_PutHelloKey_FullMethodName:         {operator},
		directoryv1.AdminService_SetUserRisk_FullMethodName:         {operator},
		directoryv1.AdminService_ReplacePolicies_FullMethodName:     {operator},
		directoryv1.ReadService_ListUserMethods_FullMethodName:      {operator},
		directoryv1.ReadService_ListMessages_FullMethodName:         {operator},
		directoryv1.ReadService_EvaluatePolicies_FullMethodName:     {operator},
		directoryv1.ReadService_ListConsents_FullMethodName:         {operator},
		directoryv1.AdminService_RevokeConsent_FullMethodName:       {operator},

		directoryv1.PersonService_ApproveDeviceCode_FullMethodName: {operator},
		directoryv1.PersonService_AnswerChallenge_FullMethodName:   {operator},
		directoryv1.PersonService_ReadOneTimeCode_FullMethodName:   {operator},
		directoryv1.PersonService_PairAuthenticator_FullMethodName: {operator},
	}
}

// FrontAllow says what the HTTPS front may call, on a connection of its own inside
// this component. Clients from outside come to these methods through the front
// and no other way.
func FrontAllow() rpc.AllowList {
	front := []string{"idp"}
	list := rpc.AllowList{}
	for _, method := range []string{
		idpv1.RealmService_DiscoverRealm_FullMethodName, idpv1.NonceService_IssueNonce_FullMethodName,
		idpv1.MetadataService_DescribeTenant_FullMethodName, idpv1.MetadataService_ListSigningKeys_FullMethodName,
		idpv1.IssuanceService_RequestPRT_FullMethodName, idpv1.IssuanceService_RenewPRT_FullMethodName,
		idpv1.TokenService_RedeemRefreshToken_FullMethodName, idpv1.TokenService_RedeemPRT_FullMethodName,
		idpv1.DataKeyService_RequestDataKey_FullMethodName,
		idpv1.GrantService_RequestTokens_FullMethodName, idpv1.GrantService_StartDeviceFlow_FullMethodName,
		idpv1.GrantService_StartBulkEnrolment_FullMethodName, idpv1.GrantService_PollBulkEnrolment_FullMethodName,
		idpv1.SessionService_Authorize_FullMethodName,
		idpv1.SignInService_DiscoverCredentials_FullMethodName, idpv1.SignInService_SubmitPassword_FullMethodName,
		idpv1.SignInService_BeginMethod_FullMethodName, idpv1.SignInService_CheckMethod_FullMethodName,
		idpv1.SignInService_CompleteMethod_FullMethodName, idpv1.SignInService_ChooseStay_FullMethodName,
		idpv1.SignInService_ResumeSignIn_FullMethodName, idpv1.SignInService_SubmitUserCode_FullMethodName,
		idpv1.SignInService_ConfirmDevice_FullMethodName, idpv1.SignInService_ChangePassword_FullMethodName,
		idpv1.SignInService_SubmitAssertion_FullMethodName, idpv1.SignInService_SignOut_FullMethodName,
		idpv1.SignInService_SubmitAccessPass_FullMethodName, idpv1.SignInService_SubmitCertificate_FullMethodName,
		idpv1.SignInService_BeginPasskey_FullMethodName, idpv1.SignInService_SubmitPasskey_FullMethodName,
		idpv1.SignInService_BeginPhoneSignIn_FullMethodName, idpv1.SignInService_CheckPhoneSignIn_FullMethodName,
		idpv1.SignInService_SubmitPhoneSignIn_FullMethodName, idpv1.SignInService_AnswerConsent_FullMethodName,
		idpv1.PINResetService_DescribePINReset_FullMethodName, idpv1.PINResetService_OpenResetSecret_FullMethodName,
		idpv1.SecurityInfoService_ListSecurityInfo_FullMethodName, idpv1.SecurityInfoService_BeginSecurityInfo_FullMethodName,
		idpv1.SecurityInfoService_CompleteSecurityInfo_FullMethodName, idpv1.SecurityInfoService_RemoveSecurityInfo_FullMethodName,
		idpv1.SecurityInfoService_SetDefaultSecurityInfo_FullMethodName,
		idpv1.DeviceRegistrationService_RegisterDevice_FullMethodName, idpv1.DeviceRegistrationService_JoinHybridDevice_FullMethodName,
		idpv1.DeviceRegistrationService_RegisterHelloKey_FullMethodName, idpv1.DeviceRegistrationService_DeleteDevice_FullMethodName,
		idpv1.DeviceRegistrationService_RequestAttestationChallenge_FullMethodName, idpv1.DeviceRegistrationService_ReplaceDeviceKeys_FullMethodName,
		idpv1.DeviceRegistrationService_CheckDevice_FullMethodName, idpv1.ConnectedDeviceService_RemoveDevice_FullMethodName,
		idpv1.ResourceService_GetUserInfo_FullMethodName, idpv1.ResourceService_GetUser_FullMethodName,
		idpv1.ResourceService_ListUsers_FullMethodName, idpv1.ResourceService_GetDevice_FullMethodName,
		idpv1.ResourceService_ListDevices_FullMethodName, idpv1.ResourceService_ListGroups_FullMethodName,
		idpv1.ResourceService_GetOrganization_FullMethodName, idpv1.ResourceService_ListDirectorySignIns_FullMethodName,
	} {
		list[method] = front
	}
	return list
}
