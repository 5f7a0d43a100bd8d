package signinlog

// The flows of the token endpoint.
const (
	AuthorizationCode Flow = "authorization_code"
	RefreshToken      Flow = "refresh_token"
	Password          Flow = "password"
	ClientCredentials Flow = "client_credentials"
	OnBehalfOf        Flow = "on_behalf_of"
	Assertion         Flow = "assertion"
	DeviceToken       Flow = "device_token"
	DeviceCode        Flow = "device_code"
	StartDeviceCode   Flow = "start_device_code"
	BulkEnrolment     Flow = "bulk_enrolment"
)
