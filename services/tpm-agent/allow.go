package tpmagent

import (
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// Row says who may call a method, and which kinds of key it may use on their
// behalf. No caller chooses the key: the method does, and the registration and the
// user that it names.
type Row struct {
	Method  string
	Callers []string
	// Keys are purposes as the audit log writes them; none is a method that uses no
	// private key.
	Keys []string
}

// Table is caller by method by key purpose. What is not in it is refused.
func Table() []Row {
	const (
		dk, tk, store, ak, data = "device key", "transport key", "storage key", "attestation key", "data key"
		session, hello          = "session key", "hello key"
	)
	dsreg, lsa, state := []string{"dsreg"}, []string{"lsa-cloudap"}, []string{"dsreg", "operator"}
	// One of the two on each device: keystore.Store.May.
	authority := []string{"lsa-cloudap", "wam-broker"}
	return []Row{
		{tpmv1.DeviceKeyService_CreateDeviceKeys_FullMethodName, dsreg, []string{dk, tk, store, ak, data}},
		{tpmv1.DeviceKeyService_CreateCertificateRequest_FullMethodName, dsreg, []string{dk}},
		{tpmv1.DeviceKeyService_DescribeAttestationKeys_FullMethodName, dsreg, nil},
		{tpmv1.DeviceKeyService_CertifyDeviceKeys_FullMethodName, dsreg, []string{ak}},
		{tpmv1.DeviceKeyService_InstallDeviceCertificate_FullMethodName, dsreg, nil},
		{tpmv1.DeviceKeyService_SignDeviceRemoval_FullMethodName, dsreg, []string{dk}},
		{tpmv1.DeviceKeyService_SignDeviceCheck_FullMethodName, dsreg, []string{dk}},
		{tpmv1.DeviceKeyService_SignKeyReplacement_FullMethodName, dsreg, []string{dk}},
		{tpmv1.DeviceKeyService_CreateComputerCertificate_FullMethodName, dsreg, []string{dk}},
		{tpmv1.DeviceKeyService_SignComputerIdentity_FullMethodName, dsreg, []string{dk}},
		{tpmv1.DeviceKeyService_TestDeviceKeys_FullMethodName, dsreg, []string{dk, tk, store, ak}},
		{tpmv1.DeviceKeyService_DeleteDeviceKeys_FullMethodName, dsreg, nil},
		{tpmv1.DeviceKeyService_ListKeys_FullMethodName, dsreg, nil},

		{tpmv1.ProviderService_DescribeProvider_FullMethodName, state, nil},

		{tpmv1.PRTKeyService_SignPRTRequest_FullMethodName, authority, []string{dk}},
		{tpmv1.PRTKeyService_ImportSessionKey_FullMethodName, authority, []string{tk, store}},
		{tpmv1.PRTKeyService_ProtectPRT_FullMethodName, authority, []string{data}},
		{tpmv1.PRTKeyService_SignPRTRenewal_FullMethodName, authority, []string{session, data}},
		{tpmv1.PRTKeyService_OpenPRTAnswer_FullMethodName, authority, []string{session}},
		{tpmv1.PRTKeyService_SignTokenRequest_FullMethodName, authority, []string{session, data}},
		{tpmv1.PRTKeyService_OpenTokenAnswer_FullMethodName, authority, []string{session, data}},
		{tpmv1.PRTKeyService_SignPRTCookie_FullMethodName, authority, []string{session, data}},
		{tpmv1.PRTKeyService_SignDeviceCookie_FullMethodName, authority, []string{dk}},

		{tpmv1.DataKeyService_SignDataKeyRequest_FullMethodName, authority, []string{session, data}},
		{tpmv1.DataKeyService_CreateDataKey_FullMethodName, authority, []string{session, data}},
		{tpmv1.DataKeyService_UnlockDataKey_FullMethodName, authority, []string{session, data}},
		{tpmv1.DataKeyService_LockDataKey_FullMethodName, authority, nil},

		{tpmv1.HelloKeyService_CreateHelloKey_FullMethodName, lsa, []string{hello}},
		{tpmv1.HelloKeyService_SignHelloPRTRequest_FullMethodName, lsa, []string{hello, dk}},
		{tpmv1.HelloKeyService_VerifyHelloPIN_FullMethodName, lsa, []string{hello}},
		{tpmv1.HelloKeyService_ChangeHelloPIN_FullMethodName, lsa, []string{hello}},
		{tpmv1.HelloKeyService_ResetHelloPIN_FullMethodName, lsa, []string{hello}},
		{tpmv1.HelloKeyService_DeleteHelloKey_FullMethodName, lsa, []string{hello}},
		{tpmv1.HelloKeyService_DescribeHelloKey_FullMethodName, lsa, nil},

		{tpmv1.StateRecordService_BeginState_FullMethodName, authority, nil},
		{tpmv1.StateRecordService_ConfirmState_FullMethodName, authority, nil},
		{tpmv1.StateRecordService_CheckState_FullMethodName, authority, nil},
	}
}

// Allow is the table as the server takes it.
func Allow() rpc.AllowList {
	list := rpc.AllowList{}
	for _, r := range Table() {
		list[r.Method] = r.Callers
	}
	return list
}
