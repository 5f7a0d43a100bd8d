package status

import (
	"fmt"

	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
)

// joined reports whether the device is Entra joined, hybrid or not.
func (v *view) joined() bool { return v.State.GetAzureAdJoined() }

// inDomain reports whether it is a member of an on-premises domain.
func (v *view) inDomain() bool {
	return v.State.GetDomainJoined() || v.Registration.GetDomainName() != ""
}

// fromState is a value of device registration, or not known without it.
func fromState(value func(*view) string) func(*view) (string, bool) {
	return always(func(v *view) string {
		if v.State == nil {
			return unknown
		}
		return value(v)
	})
}

func deviceState() section {
	return section{title: "Device State", shown: func(*view) bool { return true }, fields: []field{
		{label: "AzureAdJoined", value: fromState(func(v *view) string { return yesNo(v.joined()) })},
		{label: "EnterpriseJoined", value: fixed(no)}, // there is no on-premises registration service here
		{label: "DomainJoined", value: fromState(func(v *view) string { return yesNo(v.inDomain()) })},
		{label: "DomainName", value: filled(func(v *view) string { return v.Registration.GetDomainName() })},
	}}
}

func deviceDetails() section {
	return section{title: "Device Details", shown: (*view).joined, fields: append([]field{
		{label: "DeviceId", value: always(func(v *view) string { return v.State.GetDeviceId() })},
		{label: "Thumbprint", value: always(func(v *view) string { return v.State.GetCertificateThumbprint() })},
	}, append(keyFields(),
		field{label: "DeviceAuthStatus", value: always(deviceAuth)},
		field{label: "Virtual Desktop", value: fixed("NOT SET")}, // no provider can be set here
	)...)}
}

// keyFields are the lines about certificate and keys.
func keyFields() []field {
	return []field{
		{label: "DeviceCertificateValidity", value: always(func(v *view) string {
			return fmt.Sprintf("[ %s -- %s ]", stamp(v.State.GetCertificateNotBefore()), stamp(v.State.GetCertificateNotAfter()))
		})},
		{label: "KeyContainerId", value: always(func(v *view) string {
			if v.Registration == nil {
				return unknown
			}
			return v.Registration.GetKeyContainerId()
		})},
		{label: "KeyProvider", value: always(func(v *view) string { return v.State.GetKeyProvider() })},
		{label: "TpmProtected", value: always(func(v *view) string { return yesNo(v.State.GetTpmProtected()) })},
	}
}

// deviceAuth is the outcome of the live test.
func deviceAuth(v *view) string {
	switch v.Registration.GetDeviceAuthStatus() {
	case dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_SUCCESS:
		return "SUCCESS"
	case dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_DISABLED_OR_DELETED:
		return "FAILED. Device is either disabled or deleted"
	case dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_ERROR:
		return "FAILED. ERROR"
	default:
		if v.Registration != nil && !v.Live {
			return "NOT TESTED (--live tests it)"
		}
		return unknown
	}
}

func tenantDetails() section {
	tenant := func(label string, value func(*dsregv1.TenantDetails) string) field {
		return field{label: label, value: always(func(v *view) string {
			if v.Registration.GetTenant() == nil {
				return unknown
			}
			return value(v.Registration.GetTenant())
		})}
	}
	fields := []field{
		tenant("TenantName", (*dsregv1.TenantDetails).GetTenantName),
		{label: "TenantId", value: always(func(v *view) string { return v.State.GetTenantId() })},
		tenant("Idp", (*dsregv1.TenantDetails).GetIdp),
		tenant("AuthCodeUrl", (*dsregv1.TenantDetails).GetAuthCodeUrl),
		tenant("AccessTokenUrl", (*dsregv1.TenantDetails).GetAccessTokenUrl),
		tenant("MdmUrl", (*dsregv1.TenantDetails).GetMdmUrl),
		tenant("MdmTouUrl", (*dsregv1.TenantDetails).GetMdmTouUrl),
		tenant("MdmComplianceUrl", (*dsregv1.TenantDetails).GetMdmComplianceUrl),
		tenant("SettingsUrl", (*dsregv1.TenantDetails).GetSettingsUrl),
	}
	for _, s := range []struct {
		name, version string
		of            func(*dsregv1.TenantDetails) *dsregv1.TenantService
	}{
		{"JoinSrv", "Version", (*dsregv1.TenantDetails).GetJoinSrv},
		{"KeySrv", "Version", (*dsregv1.TenantDetails).GetKeySrv},
		{"WebAuthNSrv", "Version", (*dsregv1.TenantDetails).GetWebauthnSrv},
		{"DeviceManagementSrv", "Ver", (*dsregv1.TenantDetails).GetDeviceManagementSrv},
	} {
		fields = append(fields,
			tenant(s.name+s.version, func(t *dsregv1.TenantDetails) string { return s.of(t).GetVersion() }),
			tenant(s.name+"Url", func(t *dsregv1.TenantDetails) string { return s.of(t).GetUrl() }),
			tenant(s.name+"Id", func(t *dsregv1.TenantDetails) string { return s.of(t).GetId() }))
	}
	return section{title: "Tenant Details", shown: (*view).joined, fields: fields}
}

// workAccount is what dsregcmd shows of the account for which a device is registered.
func workAccount() section {
	tenant := func(value func(*dsregv1.TenantDetails) string) func(*view) (string, bool) {
		return always(func(v *view) string {
			if v.Registration.GetTenant() == nil {
				return unknown
			}
			return value(v.Registration.GetTenant())
		})
	}
	return section{title: "Work Account 1", shown: func(v *view) bool { return v.State.GetWorkplaceJoined() }, fields: append(append([]field{
		{label: "WorkplaceDeviceId", value: always(func(v *view) string { return v.State.GetDeviceId() })},
		{label: "WorkplaceThumbprint", value: always(func(v *view) string { return v.State.GetCertificateThumbprint() })},
	}, keyFields()...), []field{
		{label: "DeviceAuthStatus", value: always(deviceAuth)},
		{label: "WorkplaceIdp", value: tenant((*dsregv1.TenantDetails).GetIdp)},
		{label: "WorkplaceTenantId", value: always(func(v *view) string { return v.State.GetTenantId() })},
		{label: "WorkplaceTenantName", value: tenant((*dsregv1.TenantDetails).GetTenantName)},
		{label: "WorkplaceMdmUrl", value: tenant((*dsregv1.TenantDetails).GetMdmUrl)},
		{label: "WorkplaceSettingsUrl", value: tenant((*dsregv1.TenantDetails).GetSettingsUrl)},
	}...)}
}
