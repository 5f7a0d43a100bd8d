package idp

import (
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// Allow says which component may call what. What is not here is refused.
func Allow() rpc.AllowList {
	const lsa, wam, dsreg, browser, operator = "lsa-cloudap", "wam-broker", "dsreg", "browser", "operator"
	return rpc.AllowList{
		idpv1.RealmService_DiscoverRealm_FullMethodName: {lsa, dsreg},
		idpv1.NonceService_IssueNonce_FullMethodName:    {lsa, wam, dsreg},

		idpv1.IssuanceService_RequestPRT_FullMethodName: {lsa},
		idpv1.IssuanceService_RenewPRT_FullMethodName:   {lsa},

		idpv1.TokenService_RedeemRefreshToken_FullMethodName: {wam, lsa},
		idpv1.TokenService_RedeemPRT_FullMethodName:          {wam, lsa},

		idpv1.SessionService_Authorize_FullMethodName: {browser},

		idpv1.DeviceRegistrationService_RequestRegistrationToken_FullMethodName: {dsreg},
		idpv1.DeviceRegistrationService_RegisterDevice_FullMethodName:           {dsreg},
		idpv1.DeviceRegistrationService_DeleteDevice_FullMethodName:             {dsreg},

		directoryv1.ReadService_ListDevices_FullMethodName:       {operator},
		directoryv1.AdminService_SetUserEnabled_FullMethodName:   {operator},
		directoryv1.AdminService_SetUserPassword_FullMethodName:  {operator},
		directoryv1.AdminService_SetDeviceEnabled_FullMethodName: {operator},
		directoryv1.AdminService_RemoveDevice_FullMethodName:     {operator},
	}
}
