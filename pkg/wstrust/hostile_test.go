package wstrust_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/wstrust"
)

// hostile is a message that is not taken, and why.
type hostile struct {
	name, xml string
	want      error
}

func swap(t testing.TB, xml, from, to string) string {
	t.Helper()
	if !strings.Contains(xml, from) {
		t.Fatalf("no %q in the message", from)
	}
	return strings.Replace(xml, from, to, 1)
}

const bomb = `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>`

// anywhere are attacks on the XML itself; root is the last end tag of good.
func anywhere(t testing.TB, good, end string) []hostile {
	attributes := ""
	for i := range 40 {
		attributes += " a" + strings.Repeat("b", i) + `=""`
	}
	return []hostile{
		{"nothing", "", wstrust.ErrSize},
		{"too long", good + strings.Repeat(" ", wstrust.MaxMetadata), wstrust.ErrSize},
		{"a DTD", "<!DOCTYPE x>" + good, wstrust.ErrMarkup},
		{"a DTD after the root", good + "<!DOCTYPE x>", wstrust.ErrMarkup},
		{"an entity bomb", bomb + swap(t, good, end, "&c;"+end), wstrust.ErrMarkup},
		{"an external entity", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + swap(t, good, end, "&e;"+end), wstrust.ErrMarkup},
		{"an entity without a DTD", swap(t, good, end, "&e;"+end), wstrust.ErrMalformed},
		{"a comment", swap(t, good, end, "<!---->"+end), wstrust.ErrMarkup},
		{"a processing instruction", swap(t, good, end, "<?x?>"+end), wstrust.ErrMarkup},
		{"a declaration in the middle", swap(t, good, end, `<?xml version="1.0"?>`+end), wstrust.ErrMarkup},
		{"too deep", swap(t, good, end, strings.Repeat("<x>", 200)+strings.Repeat("</x>", 200)+end), wstrust.ErrBounds},
		{"too many elements", swap(t, good, end, strings.Repeat("<x/>", 17000)+end), nil}, // the size or the number
		{"too many attributes", swap(t, good, end, "<x"+attributes+"/>"+end), wstrust.ErrBounds},
		{"an attribute twice", swap(t, good, end, `<x a="1" a="2"/>`+end), wstrust.ErrMalformed},
		{"an attribute by two prefixes", swap(t, good, end, `<x xmlns:p="n" xmlns:q="n" p:a="1" q:a="2"/>`+end), wstrust.ErrMalformed},
		{"two roots", good + "<x/>", wstrust.ErrMalformed},
		{"text after the root", good + "x", wstrust.ErrMalformed},
		{"text before the root", "x" + good, wstrust.ErrMalformed},
		{"not closed", strings.TrimSuffix(good, end), wstrust.ErrMalformed},
		{"closed by another", strings.TrimSuffix(good, end) + "</x>", wstrust.ErrMalformed},
		{"not UTF-8", swap(t, good, end, "\xff"+end), wstrust.ErrEncoding},
		{"a NUL", swap(t, good, end, "\x00"+end), wstrust.ErrEncoding},
		{"another encoding", `<?xml version="1.0" encoding="UTF-7"?>` + strings.TrimPrefix(good, `<?xml version="1.0" encoding="utf-8"?>`), wstrust.ErrMalformed},
		{"HTML of a proxy", "<html><body>Sign in to the network<br></body></html>", wstrust.ErrMalformed},
		{"tidy HTML of a proxy", "<html><body/></html>", wstrust.ErrShape},
	}
}

const envelopeEnd, wsdlEnd = "</s:Envelope>", "</wsdl:definitions>"

func hostileRequests(t testing.TB) []hostile {
	good := reveal(t)(request(wstrust.Trust13).Encode())
	body := good[strings.Index(good, "<s:Body>"):strings.Index(good, envelopeEnd)]
	header := good[strings.Index(good, "<s:Header>"):strings.Index(good, "<s:Body>")]
	token := good[strings.Index(good, "<wsse:UsernameToken"):strings.Index(good, "</wsse:Security>")]
	edit := func(from, to string) string { return swap(t, good, from, to) }
	return append(anywhere(t, good, envelopeEnd), []hostile{
		{"wrapped: two bodies", edit("</s:Header>", "</s:Header>"+body), wstrust.ErrShape},
		{"wrapped: a body in the header", edit("</s:Header>", body+"</s:Header>"), wstrust.ErrShape},
		{"wrapped: a body of another namespace", edit("</s:Header>", `<Body xmlns="x"/></s:Header>`), wstrust.ErrShape},
		{"wrapped: an envelope in the body", edit("<s:Body>", "<s:Body>"+good), wstrust.ErrShape},
		{"wrapped: two user names", edit("</wsse:Security>", token+"</wsse:Security>"), wstrust.ErrShape},
		{"wrapped: a user name elsewhere", edit("</s:Header>", `<Username xmlns="x">alice</Username></s:Header>`), wstrust.ErrShape},
		{"a comment in the user name", edit("co@adatum.test", "co@adatum.test<!-- -->.evil.test"), wstrust.ErrMarkup},
		{"an element in the user name", edit("co@adatum.test", "co@adatum.test<x/>.evil.test"), wstrust.ErrShape},
		{"SOAP 1.1", strings.ReplaceAll(good, "http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/soap/envelope/"), wstrust.ErrShape},
		{"no header", swap(t, good, header, ""), wstrust.ErrShape},
		{"text in the envelope", edit("<s:Body>", "x<s:Body>"), wstrust.ErrShape},
		{"an empty body", swap(t, good, body, "<s:Body/>"), wstrust.ErrShape},
		{"another version's action", edit("/RST/Issue<", "/RST/Validate<"), wstrust.ErrShape},
		{"two actions", edit("<wsa:MessageID>", "<wsa:Action>x</wsa:Action><wsa:MessageID>"), wstrust.ErrShape},
		{"an answer sent elsewhere", edit("http://www.w3.org/2005/08/addressing/anonymous", "https://evil.test/"), wstrust.ErrShape},
		{"a header that must be understood", edit("</s:Header>", `<x s:mustUnderstand="1"/></s:Header>`), wstrust.ErrMustUnderstand},
		{"no security", edit(good[strings.Index(good, "<wsse:Security"):strings.Index(good, "</s:Header>")], ""), wstrust.ErrShape},
		{"a signature in security", edit("</wsse:Security>", "<x/></wsse:Security>"), wstrust.ErrNotUnderstood},
		{"no user name token", edit(token, ""), wstrust.ErrShape},
		{"a nonce", edit("</wsse:UsernameToken>", "<wsse:Nonce/></wsse:UsernameToken>"), wstrust.ErrNotUnderstood},
		{"a digest of the password", edit("<wsse:Password>", `<wsse:Password Type="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest">`), wstrust.ErrNotUnderstood},
		{"an empty user name", edit("o&#39;brien&amp;co@adatum.test", " "), wstrust.ErrShape},
		{"a time that is none", edit("2026-01-15T09:30:00.123Z", "yesterday"), wstrust.ErrShape},
		{"an end before the beginning", edit("2026-01-15T09:40:00.123Z", "2026-01-15T09:20:00.123Z"), wstrust.ErrShape},
		{"renewal", edit("200512/Issue</wst:RequestType>", "200512/Renew</wst:RequestType>"), wstrust.ErrNotUnderstood},
		{"a proof key", edit("200512/Bearer<", "200512/SymmetricKey<"), wstrust.ErrNotUnderstood},
		{"a claim more", edit("<wst:KeyType>", "<wst:Claims/><wst:KeyType>"), wstrust.ErrNotUnderstood},
		{"on behalf of another", edit("<wst:KeyType>", "<wst:OnBehalfOf/><wst:KeyType>"), wstrust.ErrNotUnderstood},
		{"two audiences", edit("</wsp:AppliesTo>", "<wsa:EndpointReference/></wsp:AppliesTo>"), wstrust.ErrShape},
		{"no audience", edit("urn:federation:MicrosoftOnline", ""), wstrust.ErrShape},
		{"a version mixed in", edit(`<wst:RequestSecurityToken xmlns:wst="http://docs.oasis-open.org/ws-sx/ws-trust/200512"`, `<wst:RequestSecurityToken xmlns:wst="http://schemas.xmlsoap.org/ws/2005/02/trust"`), wstrust.ErrNotUnderstood},
	}...)
}

func hostileAnswers(t testing.TB) []hostile {
	good := reveal(t)(response(wstrust.Trust13).Encode())
	old := reveal(t)(response(wstrust.Trust2005).Encode())
	fault := read(t, "fault.xml")
	rstr := good[strings.Index(good, "<trust:RequestSecurityTokenResponse>"):strings.Index(good, "</trust:RequestSecurityTokenResponseCollection>")]
	edit := func(from, to string) string { return swap(t, good, from, to) }
	return append(anywhere(t, good, envelopeEnd), []hostile{
		{"wrapped: two tokens in a collection", edit("</trust:RequestSecurityTokenResponseCollection>", rstr+"</trust:RequestSecurityTokenResponseCollection>"), wstrust.ErrShape},
		{"wrapped: two assertions in a token", edit(assertion, assertion+assertion), wstrust.ErrShape},
		{"wrapped: a token in the header", edit("</s:Header>", "<RequestedSecurityToken>"+assertion+"</RequestedSecurityToken></s:Header>"), wstrust.ErrShape},
		{"wrapped: a token in the assertion", edit("<saml:Conditions/>", "<RequestedSecurityToken>"+assertion+"</RequestedSecurityToken>"), wstrust.ErrShape},
		{"wrapped: a token beside the answer", edit("<s:Body>", "<s:Body><x/>"), wstrust.ErrShape},
		{"wrapped: a fault and a token", edit("<s:Body>", "<s:Body>"+fault[strings.Index(fault, "<s:Fault>"):strings.Index(fault, "</s:Body>")]), wstrust.ErrShape},
		{"text beside the assertion", edit(assertion, "x"+assertion), wstrust.ErrShape},
		{"text after the assertion", edit(assertion, assertion+"x"), wstrust.ErrShape},
		{"a comment in the assertion", edit("<saml:Conditions/>", "<!-- --><saml:Conditions/>"), wstrust.ErrMarkup},
		{"a namespace of the envelope", edit(assertion, strings.Replace(strings.Replace(assertion, "<saml:A>", "<trust:A>", 1), "</saml:A>", "</trust:A>", 1)), wstrust.ErrShape},
		{"an attribute of the envelope's namespace", edit(assertion, strings.Replace(assertion, "<saml:A>", `<saml:A s:x="1">`, 1)), wstrust.ErrShape},
		{"an encrypted assertion", strings.ReplaceAll(good, "saml:Assertion", "saml:EncryptedAssertion"), wstrust.ErrShape},
		{"no token", edit(assertion, ""), wstrust.ErrShape},
		{"no type", edit("<trust:TokenType>urn:oasis:names:tc:SAML:1.0:assertion</trust:TokenType>", ""), wstrust.ErrShape},
		{"two types", edit("<trust:TokenType>", "<trust:TokenType>x</trust:TokenType><trust:TokenType>"), wstrust.ErrShape},
		{"a proof key", edit("<trust:TokenType>", "<trust:RequestedProofToken/><trust:TokenType>"), wstrust.ErrNotUnderstood},
		{"2005 in a collection", strings.ReplaceAll(good, "http://docs.oasis-open.org/ws-sx/ws-trust/200512\"", "http://schemas.xmlsoap.org/ws/2005/02/trust\""), wstrust.ErrShape},
		{"1.3 bare", strings.ReplaceAll(old, "http://schemas.xmlsoap.org/ws/2005/02/trust\"", "http://docs.oasis-open.org/ws-sx/ws-trust/200512\""), wstrust.ErrShape},
		{"no envelope", reveal(t)(response(wstrust.Trust2005).EncodeAlone()), wstrust.ErrShape},
		{"a fault without a reason", swap(t, fault, fault[strings.Index(fault, "<s:Reason>"):strings.Index(fault, "</s:Fault>")], ""), wstrust.ErrShape},
		{"a fault without a code", swap(t, fault, "s:Sender", "Sender"), wstrust.ErrShape},
		{"a fault whose subcode has no namespace", swap(t, fault, "wsse:FailedAuthentication", "zz:FailedAuthentication"), wstrust.ErrShape},
	}...)
}

func hostileMetadata(t testing.TB) []hostile {
	b, err := metadata().Encode()
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	port := good[strings.Index(good, "<wsdl:port "):strings.Index(good, "</wsdl:port>")] + "</wsdl:port>"
	return append(anywhere(t, good, wsdlEnd), []hostile{
		{"one policy id twice", strings.ReplaceAll(good, "IWSTrustFeb2005Async_policy\">", "IWSTrust13Async_policy\">"), wstrust.ErrShape},
		{"one binding twice", strings.ReplaceAll(good, `binding name="UserNameWSTrustBinding_IWSTrustFeb2005Async"`, `binding name="UserNameWSTrustBinding_IWSTrust13Async"`), wstrust.ErrShape},
		{"an address that is empty", strings.ReplaceAll(good, "<wsa10:Address>"+url13, "<wsa10:Address>"), wstrust.ErrShape},
		{"two addresses", swap(t, good, "<wsa10:Address>", "<wsa10:Address/><wsa10:Address>"), wstrust.ErrShape},
		{"endless addresses", swap(t, good, port, strings.Repeat(port, 17)), wstrust.ErrBounds},
	}...)
}

// A28: wrapping, DTD, entities, comments, deep nesting.
func TestA28_T14_HostileMessagesAreRefused(t *testing.T) {
	for kind, c := range map[string]struct {
		all  []hostile
		read func([]byte) error
	}{
		"request":  {hostileRequests(t), func(b []byte) error { _, err := wstrust.ReadRequest(b); return err }},
		"answer":   {hostileAnswers(t), func(b []byte) error { _, err := wstrust.ReadAnswer(b); return err }},
		"metadata": {hostileMetadata(t), func(b []byte) error { _, err := wstrust.ReadMetadata(b); return err }},
	} {
		for _, h := range c.all {
			t.Run(kind+"/"+h.name, func(t *testing.T) {
				err := c.read([]byte(h.xml))
				if err == nil || h.want != nil && !errors.Is(err, h.want) {
					t.Errorf("got %v, want %v", err, h.want)
				}
				if err != nil && (strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "evil")) {
					t.Errorf("the error repeats the message: %v", err)
				}
			})
		}
	}
}

func TestFED01_MetadataIsReadAsClientsReadIt(t *testing.T) {
	b, err := metadata().Encode()
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	both := []string{url13, url2005}
	for name, c := range map[string]struct {
		xml  string
		want []string
	}{
		"as written":               {good, both},
		"with a byte order mark":   {"\xef\xbb\xbf" + good, both},
		"another transport":        {swap(t, good, transport, transport+"x"), both[1:]},
		"a policy that is not met": {swap(t, good, `URI="#UserName`, `URI="#Other`), both[1:]},
		"another action":           {swap(t, good, `soapAction="http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue"`, `soapAction="x"`), both[1:]},
		"no TransportBinding":      {strings.ReplaceAll(good, "sp:TransportBinding", "sp:SymmetricBinding"), nil},
		"a certificate's policy":   {strings.ReplaceAll(good, "sp:UsernameToken", "sp:X509Token"), nil},
		"no port":                  {strings.NewReplacer("<wsdl:port ", "<wsdl:other ", "</wsdl:port>", "</wsdl:other>").Replace(good), nil},
		"nothing in it":            {`<definitions xmlns="http://schemas.xmlsoap.org/wsdl/"/>`, nil},
	} {
		m, err := wstrust.ReadMetadata([]byte(c.xml))
		var got []string
		for _, e := range m.Endpoints {
			got = append(got, e.URL)
		}
		if err != nil || strings.Join(got, " ") != strings.Join(c.want, " ") {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

const transport = "http://schemas.xmlsoap.org/soap/http"
