package saml

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	dsig "github.com/russellhaering/goxmldsig"
)

// TestFED06_Attack25_SignedContentIsChecked signs every change with the right key: what
// refuses is the check of the content.
func TestFED06_Attack25_SignedContentIsChecked(t *testing.T) {
	unsigned, _ := cut(t, string(golden(t, "good.xml")))
	const (
		stamp   = "2026-01-15T09:30:00.123Z"
		subject = "<saml:Subject>"
		upnAttr = `<saml:Attribute AttributeName="UPN" AttributeNamespace="http://schemas.xmlsoap.org/claims"><saml:AttributeValue>carol@adatum.test</saml:AttributeValue></saml:Attribute>`
		bearer  = "urn:oasis:names:tc:SAML:1.0:cm:bearer"
	)
	for name, c := range map[string]struct {
		old, now string
		want     error
	}{
		"unchanged":                {subject, subject, nil},
		"other issuer":             {"http://sts.adatum.test/adfs", "http://sts.evil.test/adfs", whyIssuer},
		"issuer with a blank":      {`trust/"`, `trust/ "`, whyIssuer},
		"issuer of another case":   {"http://sts", "HTTP://sts", whyIssuer},
		"version 1.0":              {`MinorVersion="1"`, `MinorVersion="0"`, whyVersion},
		"version 2.0":              {`MajorVersion="1"`, `MajorVersion="2"`, whyVersion},
		"id begins with a digit":   {goldenID, "6f0c", whyContent},
		"id is too long":           {goldenID, "_" + strings.Repeat("a", maxIDBytes), whyContent},
		"wrong audience":           {audience, "urn:federation:Other", whyAudience},
		"audience with a blank":    {audience, audience + " ", whyAudience},
		"no audience":              {audience, "", whyAudience},
		"two audiences":            {"</saml:Audience>", "</saml:Audience><saml:Audience>x</saml:Audience>", whyAudience},
		"no restriction":           {"AudienceRestrictionCondition><saml:Audience>" + audience + "</saml:Audience></saml:AudienceRestrictionCondition", "Other></saml:Other", whyContent},
		"unknown condition":        {"</saml:Conditions>", "<saml:DoNotCacheCondition/></saml:Conditions>", whyContent},
		"window without begin":     {`NotBefore="` + stamp + `" `, "", whyWindow},
		"window without end":       {"NotOnOrAfter", "Other", whyWindow},
		"window of local time":     {`NotBefore="` + stamp, `NotBefore="2026-01-15T09:30:00.123`, whyWindow},
		"window with an offset":    {`NotBefore="` + stamp, `NotBefore="2026-01-15T09:30:00+01:00`, whyWindow},
		"window is empty":          {"T10:30:00.123Z", "T09:30:00.123Z", whyWindow},
		"window of a year":         {"2026-01-15T10:30", "2027-01-15T10:30", whyWindow},
		"not valid yet":            {`NotBefore="2026-01-15T09:30`, `NotBefore="2026-01-15T09:40`, whyEarly},
		"expired":                  {`NotBefore="` + stamp + `" NotOnOrAfter="2026-01-15T10:30`, `NotBefore="2026-01-15T08:20:00Z" NotOnOrAfter="2026-01-15T09:20`, whyLate},
		"two conditions":           {"<saml:Conditions", "<saml:Conditions/><saml:Conditions", whyContent},
		"text between":             {"<saml:Conditions", "x<saml:Conditions", whyContent},
		"no authentication method": {` AuthenticationMethod="urn:oasis:names:tc:SAML:1.0:am:password"`, "", whyContent},
		"advice":                   {"<saml:Conditions", "<saml:Advice/><saml:Conditions", whyContent},
		"element of another space": {"<saml:Conditions", `<Conditions xmlns="x"/><saml:Conditions`, whyContent},
		"other user beside":        {goldenImmutableID, "AAAAAAAAAAAAAAAAAAAAAA==", whySubject},
		"no subject":               {"<saml:AttributeStatement><saml:Subject>", "<saml:AttributeStatement><saml:Subject/><saml:Subject>", whySubject},
		"two names":                {"<saml:NameIdentifier", "<saml:NameIdentifier/><saml:NameIdentifier", whySubject},
		"element in the name":      {goldenImmutableID, goldenImmutableID + "<x/>", whySubject},
		"name of another format":   {"nameid-format:unspecified", "nameid-format:emailAddress", whySubject},
		"holder of key":            {bearer, "urn:oasis:names:tc:SAML:1.0:cm:holder-of-key", whyConfirm},
		"two confirmations":        {"<saml:ConfirmationMethod>", "<saml:ConfirmationMethod>x</saml:ConfirmationMethod><saml:ConfirmationMethod>", whyConfirm},
		"no UPN":                   {upnAttr, "", whyUPN},
		"UPN of another space":     {"http://schemas.xmlsoap.org/claims", "urn:x", whyUPN},
		"UPN twice":                {upnAttr, upnAttr + upnAttr, whyContent},
		"UPN with two values":      {"carol@adatum.test</saml:AttributeValue>", "carol@adatum.test</saml:AttributeValue><saml:AttributeValue>x</saml:AttributeValue>", whyUPN},
		"UPN of another domain":    {"carol@adatum.test", "alice@contoso.test", whyUPNDomain},
		"UPN of a subdomain":       {"carol@adatum.test", "carol@x.adatum.test", whyUPNDomain},
		"UPN with a blank":         {"carol@adatum.test", "carol@adatum.test ", whyUPN},
		"UPN with an element":      {"carol@adatum.test", "carol@<b/>adatum.test", whyContent},
		"UPN by character numbers": {"carol@adatum.test", "&#99;arol@adatum.test", nil},
		"no ImmutableID":           {`AttributeName="ImmutableID"`, `AttributeName="Other"`, whyNoImmutableID},
		"a computer":               {upnAttr, upnAttr + strings.NewReplacer("UPN", "accounttype", "xmlsoap.org/claims", "microsoft.com/ws/2012/01", "carol@adatum.test", "DJ").Replace(upnAttr), whyNotAUser},
		"attribute without a name": {`AttributeName="UPN"`, "", whyContent},
		"element as attribute":     {upnAttr, upnAttr + "<saml:Other/>", whyContent},
	} {
		t.Run(name, func(t *testing.T) {
			v, _ := newVerifier(t)
			xml := goldenSigner(t).sign(t, swap(t, unsigned, c.old, c.now))
			if _, err := v.verify(federation(t), []byte(xml)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestFED06_ImmutableIDForms(t *testing.T) {
	unsigned, _ := cut(t, string(golden(t, "good.xml")))
	for id, want := range map[string]error{
		"carol-4711":            nil,
		"":                      whyNoImmutableID,
		strings.Repeat("a", 64): nil,
		strings.Repeat("a", 65): whyContent,
		"a b":                   whyContent,
		"ä":                     whyContent,
		"a\nb":                  whyContent,
	} {
		v, _ := newVerifier(t)
		xml := goldenSigner(t).sign(t, swapAll(t, unsigned, goldenImmutableID, id))
		if _, err := v.verify(federation(t), []byte(xml)); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", id, err, want)
		}
	}
}

// Other producers of the same assertion write it with other prefixes, indents
// and claims. It is the same assertion.
func TestOtherWritersOfTheSameAssertion(t *testing.T) {
	unsigned, _ := cut(t, string(golden(t, "good.xml")))
	for name, xml := range map[string]string{
		"default namespace": strings.ReplaceAll(strings.ReplaceAll(unsigned, "saml:", ""), "xmlns:saml=", "xmlns="),
		"unused namespaces": swap(t, unsigned, "<saml:Assertion ", `<saml:Assertion xmlns:t="urn:t" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" `),
		"indented":          strings.NewReplacer("<saml:", "\n  <saml:", "</saml:AttributeStatement>", "\n</saml:AttributeStatement>").Replace(unsigned),
		"no format":         swapAll(t, unsigned, ` Format="`+formatUnspecified+`"`, ""),
		"more claims": swap(t, unsigned, "</saml:AttributeStatement>", `<saml:Attribute AttributeName="insidecorporatenetwork" AttributeNamespace="http://schemas.microsoft.com/ws/2012/01" a:OriginalIssuer="CLIENT CONTEXT" xmlns:a="http://schemas.xmlsoap.org/ws/2009/09/identity/claims">`+
			`<saml:AttributeValue b:type="tn:boolean" xmlns:b="http://www.w3.org/2001/XMLSchema-instance" xmlns:tn="http://www.w3.org/2001/XMLSchema">true</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>`),
	} {
		v, _ := newVerifier(t)
		got, err := v.verify(federation(t), []byte(goldenSigner(t).sign(t, xml)))
		if err != nil || got.UPN != "carol@adatum.test" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestFED06_OnlyOneWayOfSigning: an honest key that signs in another way is
// refused as well, so that no weaker way is ever open.
func TestFED06_OnlyOneWayOfSigning(t *testing.T) {
	unsigned, _ := cut(t, string(golden(t, "good.xml")))
	fresh, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*signer)
		want   error
	}{
		"unchanged":              {func(*signer) {}, nil},
		"sha1":                   {func(s *signer) { s.method = dsig.RSASHA1SignatureMethod }, whyShape},
		"sha512":                 {func(s *signer) { s.method = dsig.RSASHA512SignatureMethod }, whyShape},
		"inclusive c14n":         {func(s *signer) { s.canonical = dsig.MakeC14N10RecCanonicalizer() }, whyShape},
		"c14n 1.1":               {func(s *signer) { s.canonical = dsig.MakeC14N11Canonicalizer() }, whyShape},
		"c14n with comments":     {func(s *signer) { s.canonical = dsig.MakeC14N10ExclusiveWithCommentsCanonicalizerWithPrefixList("") }, whyShape},
		"reference by no id":     {func(s *signer) { s.idAttr = "ID" }, whyShape},
		"another key":            {func(s *signer) { s.key = fresh }, whySignature},
		"another key with proof": {func(s *signer) { s.key, s.cert = fresh, selfSigned(t, fresh) }, whySignature},
	} {
		t.Run(name, func(t *testing.T) {
			s := goldenSigner(t)
			c.change(&s)
			v, _ := newVerifier(t)
			if _, err := v.verify(federation(t), []byte(s.sign(t, unsigned))); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestFED06_PinnedCertificate(t *testing.T) {
	fresh, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other := federation(t)
	if other.Certificate, err = x509.ParseCertificate(selfSigned(t, fresh)); err != nil {
		t.Fatal(err)
	}
	v, h := newVerifier(t)
	if _, err := v.verify(other, golden(t, "good.xml")); !errors.Is(err, whySignature) {
		t.Errorf("another certificate: %v", err)
	}
	h.now = federation(t).Certificate.NotAfter.Add(time.Second)
	if _, err := v.verify(federation(t), golden(t, "good.xml")); !errors.Is(err, whyCertExpiry) {
		t.Errorf("a certificate that has ended: %v", err)
	}
}

func selfSigned(t *testing.T, key *rsa.PrivateKey) []byte {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: goldenTime().Add(-time.Hour), NotAfter: goldenTime().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
