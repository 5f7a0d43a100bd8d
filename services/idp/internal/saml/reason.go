package saml

// reason says why an assertion is refused. It is for the log of this side
// only; the sender gets one text.
type reason string

func (r reason) Error() string { return string(r) }

const (
	whySize       reason = "empty or longer than 64 KiB"
	whyEncoding   reason = "not UTF-8"
	whyMarkup     reason = "has a DTD, a comment, a CDATA section or a processing instruction"
	whyMalformed  reason = "not well-formed XML"
	whyBounds     reason = "too many elements or attributes, or nested too deep"
	whyDuplicate  reason = "an attribute stands twice"
	whyRoot       reason = "the document root is not a SAML 1.1 assertion"
	whyAssertions reason = "not exactly one assertion"
	whySignatures reason = "not exactly one signature"
	whyShape      reason = "the signature is not of the one form that is taken: rsa-sha256, sha256, exclusive c14n, over the root"
	whySignature  reason = "the signature does not verify under the pinned certificate"
	whyCertExpiry reason = "the pinned certificate is not valid now"

	whyContent   reason = "an element, an attribute or a value is missing, doubled or of the wrong form"
	whyVersion   reason = "not version 1.1"
	whyIssuer    reason = "another issuer"
	whyAudience  reason = "another audience"
	whyWindow    reason = "the time window is empty, too long or not readable"
	whyEarly     reason = "not valid yet"
	whyLate      reason = "expired"
	whyConfirm   reason = "not a bearer assertion"
	whyNotAUser  reason = "not about a user"
	whySubject   reason = "the statements are not about one subject"
	whyUPN       reason = "no UPN, or not readable"
	whyUPNDomain reason = "the UPN is of another domain"
	whyReplay    reason = "used before"
	whyFull      reason = "too many assertions of this issuer are remembered"

	whyNoImmutableID reason = "no ImmutableID"
)
