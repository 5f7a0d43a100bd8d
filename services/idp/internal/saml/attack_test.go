package saml

import (
	"errors"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// attack is an assertion made of the golden one by somebody without the key.
type attack struct {
	name string
	xml  string
	want reason
}

// attacks is the corpus of security.A28; the fuzz target starts from it too.
func attacks(t testing.TB) []attack {
	t.Helper()
	good := string(golden(t, "good.xml"))
	unsigned, sig := cut(t, good)
	evil := swapAll(t, swapAll(t, unsigned, "carol@", "alice@"), goldenImmutableID, "AAAAAAAAAAAAAAAAAAAAAA==")
	evilOtherID := swap(t, evil, goldenID, "_evil")
	into := func(doc, part, before string) string { return swap(t, doc, before, part+before) }
	const end = "</saml:Assertion>"
	declared := `<!DOCTYPE x [<!ENTITY u "alice">]>`
	bomb := `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>`
	return []attack{
		{"value changed", swap(t, good, "carol@", "alice@"), whySignature},
		{"name changed", swap(t, good, goldenImmutableID, "AAAAAAAAAAAAAAAAAAAAAA=="), whySignature},
		{"white space in a signed value", swap(t, good, "carol@adatum.test", "carol@adatum.test "), whySignature},
		{"white space between signed elements", swap(t, good, "<saml:Conditions", "\n<saml:Conditions"), whySignature},
		{"attribute added to a signed element", swap(t, good, "<saml:Conditions", `<saml:Conditions x="1"`), whySignature},
		{"digest of the forgery under the old signature", swap(t, swap(t, good, "carol@", "alice@"), "f7sxGsE3", "AAAAAAAA"), whySignature},
		{"no signature", unsigned, whySignatures},
		{"empty signature value", swap(t, good, sig[strings.Index(sig, "<ds:SignatureValue>")+19:strings.Index(sig, "</ds:SignatureValue>")], ""), whySignature},

		{"wrapped: the good one inside the forgery", into(evilOtherID, good, end), whyAssertions},
		{"wrapped: the forgery inside the good one", into(good, evilOtherID, end), whyAssertions},
		{"wrapped: the good one in an Object of the signature", into(evil, into(sig, "<ds:Object>"+unsigned+"</ds:Object>", "</ds:Signature>"), end), whyAssertions},
		{"wrapped: the good one in Advice", into(evilOtherID, "<saml:Advice>"+good+"</saml:Advice>", end), whyAssertions},
		{"wrapped: the good one under another name", into(evilOtherID, strings.ReplaceAll(good, "saml:Assertion", "saml:Old"), end), whyAssertions},
		{"wrapped: the good one without a name of its own", into(evil, strings.ReplaceAll(swap(t, good, " AssertionID=", " Old="), "saml:Assertion", "saml:Old"), end), whyShape},
		{"wrapped: both in an envelope", "<x>" + evilOtherID + good + "</x>", whyRoot},
		{"wrapped: the old signature in the forgery", into(evil, sig, end), whySignature},
		{"wrapped: the old signature deeper in the forgery", into(evil, sig, "</saml:AttributeStatement>"), whyShape},
		{"wrapped: the old signature over another id", into(evilOtherID, sig, end), whyShape},
		{"two assertions, one after the other", good + good, whyMalformed},
		{"two roots", good + "<x/>", whyMalformed},
		{"two signatures", into(good, sig, end), whySignatures},
		{"a second signature of another namespace", into(good, "<Signature/>", end), whySignatures},
		{"text after the root", good + "x", whyMalformed},
		{"not closed", strings.TrimSuffix(good, end), whyMalformed},

		{"two ids", swap(t, good, "AssertionID=", `AssertionID="_evil" AssertionID=`), whyDuplicate},
		{"a second id with a prefix", swap(t, good, "AssertionID=", `xmlns:e="e" e:AssertionID="_evil" AssertionID=`), whyAssertions},
		{"one name by two prefixes", swap(t, good, "<saml:Conditions ", `<saml:Conditions xmlns:a="n" xmlns:b="n" a:x="1" b:x="2" `), whyDuplicate},
		{"root of another namespace", swapAll(t, good, "urn:oasis:names:tc:SAML:1.0:assertion", "urn:oasis:names:tc:SAML:2.0:assertion"), whyRoot},

		{"DTD", declared + good, whyMarkup},
		{"DTD after the root", good + declared, whyMarkup},
		{"entity", declared + swap(t, good, "carol@", "&u;@"), whyMarkup},
		{"entity without a DTD", swap(t, good, "carol@", "&u;@"), whyMalformed},
		{"entity bomb", bomb + swap(t, good, "carol@", "&c;@"), whyMarkup},
		{"external entity", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + good, whyMarkup},
		{"comment in a signed value", swap(t, good, "carol@adatum.test", "carol@adatum.test<!-- -->.evil.test"), whyMarkup},
		{"comment anywhere", into(good, "<!---->", end), whyMarkup},
		{"comment in the digest", swap(t, good, "<ds:DigestValue>", "<ds:DigestValue><!--AAAA-->"), whyMarkup},
		{"CDATA", swap(t, good, "carol@adatum.test", "<![CDATA[carol@adatum.test]]>"), whyMarkup},
		{"processing instruction", into(good, "<?x?>", end), whyMarkup},
		{"XML declaration", `<?xml version="1.0" encoding="UTF-7"?>` + good, whyMarkup},

		{"too long", swap(t, good, "carol@", strings.Repeat("c", MaxAssertion)), whySize},
		{"empty", "", whySize},
		{"not UTF-8", swap(t, good, "carol@", "c\xffrol@"), whyEncoding},
		{"UTF-16", "\xff\xfe<\x00x\x00/\x00>\x00", whyEncoding},
		{"a NUL", swap(t, good, "carol@", "carol\x00@"), whyEncoding},
		{"too deep", into(good, strings.Repeat("<x>", 20)+strings.Repeat("</x>", 20), end), whyBounds},
		{"too many elements", into(good, strings.Repeat("<x/>", 300), end), whyBounds},
		{"too many attributes", swap(t, good, "<saml:Conditions ", "<saml:Conditions "+manyAttributes()), whyBounds},
		{"not XML", "PHNhbWw6QXNzZXJ0aW9u", whyMalformed},

		{"sha1 named", swap(t, good, algSignature, "http://www.w3.org/2000/09/xmldsig#rsa-sha1"), whyShape},
		{"HMAC named", swap(t, good, algSignature, "http://www.w3.org/2000/09/xmldsig#hmac-sha1"), whyShape},
		{"sha1 digest named", swap(t, good, algDigest, "http://www.w3.org/2000/09/xmldsig#sha1"), whyShape},
		{"reference to the whole document", swap(t, good, `URI="#`+goldenID+`"`, `URI=""`), whyShape},
		{"reference elsewhere", swap(t, good, `URI="#`+goldenID+`"`, `URI="#_other"`), whyShape},
		{"reference outside", swap(t, good, `URI="#`+goldenID+`"`, `URI="file:///etc/passwd"`), whyShape},
		{"an algorithm beside the algorithm", swap(t, good, "<ds:SignatureMethod ", `<ds:SignatureMethod xmlns:e="e" e:Algorithm="x" `), whyShape},
		{"a transform more", swap(t, good, "</ds:Transforms>", `<ds:Transform Algorithm="`+algC14N+`"/></ds:Transforms>`), whyShape},
		{"an XSLT in a transform", swap(t, good, "</ds:Transform>", "<x/></ds:Transform>"), whyShape},
		{"a second reference", swap(t, good, "</ds:SignedInfo>", `<ds:Reference URI="#_x"/></ds:SignedInfo>`), whyShape},
		{"a second SignedInfo", swap(t, good, "<ds:SignatureValue>", "<ds:SignedInfo/><ds:SignatureValue>"), whyShape},
		{"a second SignatureValue", swap(t, good, "<ds:KeyInfo>", "<ds:SignatureValue/><ds:KeyInfo>"), whyShape},
		{"a second KeyInfo", swap(t, good, "<ds:KeyInfo>", "<ds:KeyInfo/><ds:KeyInfo>"), whyShape},
		{"text in SignedInfo", swap(t, good, "<ds:Transforms>", "x<ds:Transforms>"), whyShape},
		{"signature of another namespace", swapAll(t, good, `xmlns:ds="http://www.w3.org/2000/09/xmldsig#"`, `xmlns:ds="x"`), whyShape},
	}
}

func manyAttributes() string {
	var b strings.Builder
	for i := range maxAttributes {
		b.WriteString("a" + strings.Repeat("b", i) + `="" `)
	}
	return b.String()
}

func TestFED06_Attack25_ForgeriesAreRefused(t *testing.T) {
	wantText := prterr.AADSTS(aadsts.InvalidAssertion, "").Error()
	for _, a := range attacks(t) {
		t.Run(a.name, func(t *testing.T) {
			v, _ := newVerifier(t)
			if _, err := v.verify(federation(t), []byte(a.xml)); !errors.Is(err, a.want) {
				t.Errorf("refused for %v, want %v", err, a.want)
			}
			s, err := v.Verify(federation(t), []byte(a.xml))
			if err == nil || err.Error() != wantText || s != (Subject{}) {
				t.Errorf("the sender sees %+v, %v", s, err)
			}
		})
	}
}

// KeyInfo is outside of what is signed: whatever stands there changes nothing.
func TestKeyInfoIsNotLookedAt(t *testing.T) {
	good := string(golden(t, "good.xml"))
	from, to := strings.Index(good, "<ds:KeyInfo>"), strings.Index(good, "</ds:KeyInfo>")+len("</ds:KeyInfo>")
	for name, keyInfo := range map[string]string{
		"none":    "",
		"empty":   "<ds:KeyInfo/>",
		"foreign": "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>AAAA</ds:X509Certificate></ds:X509Data></ds:KeyInfo>",
	} {
		v, _ := newVerifier(t)
		if _, err := v.verify(federation(t), []byte(good[:from]+keyInfo+good[to:])); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
