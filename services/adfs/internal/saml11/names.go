package saml11

// Names of SAML 1.1 and of the claims that a cloud directory reads. The
// namespaces are those of the OASIS schema and of the AD FS claim rules for
// urn:federation:MicrosoftOnline.
const (
	nsAssertion = "urn:oasis:names:tc:SAML:1.0:assertion"

	nsUPN         = "http://schemas.xmlsoap.org/claims"
	nsImmutableID = "http://schemas.microsoft.com/LiveID/Federation/2008/05"

	formatUnspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	confirmBearer     = "urn:oasis:names:tc:SAML:1.0:cm:bearer"
	methodPassword    = "urn:oasis:names:tc:SAML:1.0:am:password"
	methodCertificate = "urn:oasis:names:tc:SAML:1.0:am:X509-PKI"

	// nsClaims and multipleAuthn are how AD FS says that it asked for more than one
	// factor.
	nsClaims      = "http://schemas.microsoft.com/claims"
	multipleAuthn = "http://schemas.microsoft.com/claims/multipleauthn"

	// idAttribute is what an assertion is signed by. It must not begin with a
	// digit (xs:ID).
	idAttribute = "AssertionID"
	prefix      = "saml"

	// timeFormat is xs:dateTime in UTC, to the millisecond.
	timeFormat = "2006-01-02T15:04:05.000Z"
)
