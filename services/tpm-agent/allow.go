package tpmagent

import (
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// Allow says who may call what. The purpose of a key is fixed by the method, so
// this table is caller by method by purpose.
func Allow() rpc.AllowList {
	const dsreg, lsa, operator = "dsreg", "lsa-cloudap", "operator"
	return rpc.AllowList{
		tpmv1.DeviceKeyService_CreateDeviceKeys_FullMethodName:          {dsreg},
		tpmv1.DeviceKeyService_CreateCertificateRequest_FullMethodName:  {dsreg},
		tpmv1.DeviceKeyService_InstallDeviceCertificate_FullMethodName:  {dsreg},
		tpmv1.DeviceKeyService_SignDeviceRemoval_FullMethodName:         {dsreg},
		tpmv1.DeviceKeyService_DeleteDeviceKeys_FullMethodName:          {dsreg},
		tpmv1.DeviceKeyService_ListKeys_FullMethodName:                  {dsreg},
		tpmv1.DeviceKeyService_DescribeAttestationKeys_FullMethodName:   {dsreg},
		tpmv1.DeviceKeyService_CertifyDeviceKeys_FullMethodName:         {dsreg},
		tpmv1.DeviceKeyService_SignKeyReplacement_FullMethodName:        {dsreg},
		tpmv1.DeviceKeyService_CreateComputerCertificate_FullMethodName: {dsreg},
		tpmv1.DeviceKeyService_SignComputerIdentity_FullMethodName:      {dsreg},
		tpmv1.DeviceKeyService_TestDeviceKeys_FullMethodName:            {dsreg},

		tpmv1.ProviderService_DescribeProvider_FullMethodName: {dsreg, operator},

		tpmv1.PRTKeyService_SignPRTRequest_FullMethodName:   {lsa},
		tpmv1.PRTKeyService_ImportSessionKey_FullMethodName: {lsa},
		tpmv1.PRTKeyService_SignPRTRenewal_FullMethodName:   {lsa},
		tpmv1.PRTKeyService_OpenPRTAnswer_FullMethodName:    {lsa},
		tpmv1.PRTKeyService_SignTokenRequest_FullMethodName: {lsa},
		tpmv1.PRTKeyService_OpenTokenAnswer_FullMethodName:  {lsa},
		tpmv1.PRTKeyService_SignPRTCookie_FullMethodName:    {lsa},

		tpmv1.HelloKeyService_CreateHelloKey_FullMethodName:      {lsa},
		tpmv1.HelloKeyService_SignHelloPRTRequest_FullMethodName: {lsa},
		tpmv1.HelloKeyService_ChangeHelloPIN_FullMethodName:      {lsa},
		tpmv1.HelloKeyService_ResetHelloPIN_FullMethodName:       {lsa},
		tpmv1.HelloKeyService_DeleteHelloKey_FullMethodName:      {lsa},
		tpmv1.HelloKeyService_DescribeHelloKey_FullMethodName:    {lsa},
	}
}
