package wstrust_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/wstrust"
)

func update() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the golden files anew")
	flag.Parse()
	os.Exit(m.Run())
}

const (
	url13    = "https://sts.adatum.test/adfs/services/trust/13/usernamemixed"
	url2005  = "https://sts.adatum.test/adfs/services/trust/2005/usernamemixed"
	audience = "urn:federation:MicrosoftOnline"
	// assertion has what a second writing would change: the order of attributes,
	// single quotes, white space, an escaped character.
	assertion = `<saml:Assertion  xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion" MinorVersion='1' MajorVersion='1' AssertionID="_1">` +
		"\n <saml:Conditions/><saml:A>o&#39;brien &amp;  co</saml:A>\t</saml:Assertion>"
)

func from() time.Time { return time.Date(2026, 1, 15, 9, 30, 0, 123e6, time.UTC) }

func versions() map[wstrust.Version]string {
	return map[wstrust.Version]string{wstrust.Trust13: url13, wstrust.Trust2005: url2005}
}

func request(v wstrust.Version) wstrust.Request {
	return wstrust.Request{
		Version: v, MessageID: "urn:uuid:6f0c3a52-1d7b-4c0e-9a57-2f4f8e3b9d10", To: versions()[v],
		Created: from(), Expires: from().Add(10 * time.Minute),
		Username: "o'brien&co@adatum.test", Password: secret.NewText(" <canary> & \"co\" ]]> \t"), AppliesTo: audience,
	}
}

func response(v wstrust.Version) wstrust.Response {
	return wstrust.Response{
		Version: v, RelatesTo: "urn:uuid:6f0c3a52-1d7b-4c0e-9a57-2f4f8e3b9d10", Created: from(), Expires: from().Add(time.Hour),
		AppliesTo: audience, TokenType: wstrust.TokenSAML11, Assertion: secret.NewText(assertion),
	}
}

func metadata() wstrust.Metadata {
	return wstrust.Metadata{Endpoints: []wstrust.Endpoint{{Version: wstrust.Trust13, URL: url13}, {Version: wstrust.Trust2005, URL: url2005}}}
}

func reveal(t testing.TB) func(secret.Text, error) string {
	return func(s secret.Text, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s.Reveal()
	}
}

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What is written is held by files that clients' parsers were run on.
func TestGolden(t *testing.T) {
	mex, err := metadata().Encode()
	if err != nil {
		t.Fatal(err)
	}
	fault, err := wstrust.Fault{Code: wstrust.Sender, Subcode: wstrust.FailedAuthentication, Reason: "ID3242: no", RelatesTo: "urn:uuid:1"}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{
		"mex.xml":          string(mex),
		"fault.xml":        string(fault),
		"request-13.xml":   reveal(t)(request(wstrust.Trust13).Encode()),
		"request-2005.xml": reveal(t)(request(wstrust.Trust2005).Encode()),
		"answer-13.xml":    reveal(t)(response(wstrust.Trust13).Encode()),
		"answer-2005.xml":  reveal(t)(response(wstrust.Trust2005).Encode()),
		"wresult.xml":      reveal(t)(response(wstrust.Trust2005).EncodeAlone()),
	} {
		if update() {
			if err := os.WriteFile(filepath.Join("testdata", name), []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got != read(t, name) {
			t.Errorf("%s is not what is written now: look at the change, then go test ./pkg/wstrust -update", name)
		}
	}
}

func TestRequestsRoundTrip(t *testing.T) {
	for v := range versions() {
		in := request(v)
		in.TokenType = wstrust.TokenSAML11
		out, err := wstrust.ReadRequest([]byte(reveal(t)(in.Encode())))
		if err != nil {
			t.Fatalf("%s: %v", v, err)
		}
		if !out.Password.Equal(in.Password) {
			t.Errorf("%s: the password is another", v)
		}
		in.Password, out.Password = secret.Text{}, secret.Text{}
		if out.Version != in.Version || out.MessageID != in.MessageID || out.To != in.To || out.Username != in.Username ||
			out.AppliesTo != in.AppliesTo || out.TokenType != in.TokenType || !out.Created.Equal(in.Created) || !out.Expires.Equal(in.Expires) {
			t.Errorf("%s: %+v became %+v", v, in, out)
		}
	}
}

// The bytes of these files are what roadlib 1.7.0 and MSAL for Go 1.10.1 sent.
func TestWire_RequestsOfRealClientsAreRead(t *testing.T) {
	for name, v := range map[string]wstrust.Version{
		"request-roadlib-13.xml": wstrust.Trust13, "request-roadlib-2005.xml": wstrust.Trust2005, "request-msalgo-13.xml": wstrust.Trust13,
	} {
		r, err := wstrust.ReadRequest([]byte(read(t, name)))
		if err != nil || r.Version != v || r.To != versions()[v] || r.Username != "carol@adatum.test" || r.AppliesTo != audience ||
			r.Password.Reveal() != `federated <horse> & "co"` || r.Expires.Sub(r.Created) != 10*time.Minute {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestWire_TheAssertionGoesThroughByteForByte(t *testing.T) {
	for v := range versions() {
		xml := reveal(t)(response(v).Encode())
		if !strings.Contains(xml, "RequestedSecurityToken>"+assertion+"</") {
			t.Errorf("%s: written as another: %s", v, xml)
		}
		got, err := wstrust.ReadAnswer([]byte(xml))
		if err != nil {
			t.Fatalf("%s: %v", v, err)
		}
		if got.Assertion.Reveal() != assertion {
			t.Errorf("%s: read as another: %q", v, got.Assertion.Reveal())
		}
		want := response(v)
		if got.Version != v || got.RelatesTo != want.RelatesTo || got.AppliesTo != audience || got.TokenType != want.TokenType || !got.Expires.Equal(want.Expires) {
			t.Errorf("%s: got %+v", v, got)
		}
		spaced := strings.Replace(strings.Replace(xml, assertion, "\n "+assertion+"\n", 1), "\xef\xbb\xbf", "", 1)
		if got, err := wstrust.ReadAnswer([]byte("\xef\xbb\xbf" + spaced)); err != nil || got.Assertion.Reveal() != assertion {
			t.Errorf("%s: with white space and a byte order mark: %v", v, err)
		}
	}
}

func TestFaultsRoundTrip(t *testing.T) {
	for _, in := range []wstrust.Fault{
		{Code: wstrust.Sender, Subcode: wstrust.FailedAuthentication, Reason: "ID3242: <no>"},
		{Code: wstrust.Sender, Subcode: wstrust.InvalidScope, Reason: "no"},
		{Code: wstrust.Sender, Subcode: wstrust.ActionNotSupported, Reason: "no"},
		{Code: wstrust.MustUnderstand, Reason: "no"},
	} {
		xml, err := in.Encode()
		if err != nil {
			t.Fatal(err)
		}
		_, err = wstrust.ReadAnswer(xml)
		var got *wstrust.Fault
		if !errors.As(err, &got) || *got != in {
			t.Errorf("%+v became %v", in, err)
		}
	}
	xml := read(t, "fault.xml")
	for name, c := range map[string]struct{ from, to, want string }{
		"another prefix": {"<none>", "", "wsse:FailedAuthentication: ID3242: no"},
		"WS-Trust 2005":  {"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd", "http://schemas.xmlsoap.org/ws/2005/02/trust", "wst:FailedAuthentication: ID3242: no"},
		"a stranger's":   {"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd", "urn:x", "other:FailedAuthentication: ID3242: no"},
		"line breaks":    {"ID3242: no", "a&#10;b" + strings.Repeat("c", 600), "wsse:FailedAuthentication: a b" + strings.Repeat("c", 509)},
	} {
		xml := strings.NewReplacer(c.from, c.to, "xmlns:wsse=", "xmlns:a=", ">wsse:", ">a:").Replace(xml)
		_, err := wstrust.ReadAnswer([]byte(xml))
		var got *wstrust.Fault
		if !errors.As(err, &got) || got.Error() != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEncodeNamesWhatIsMissing(t *testing.T) {
	for name, err := range map[string]error{
		"request without a version":  second(wstrust.Request{MessageID: "m", To: "t", Username: "u", AppliesTo: "a"}.Encode()),
		"request without a name":     second(func() wstrust.Request { r := request(wstrust.Trust13); r.Username = ""; return r }().Encode()),
		"request that has ended":     second(func() wstrust.Request { r := request(wstrust.Trust13); r.Expires = r.Created; return r }().Encode()),
		"response without a type":    second(func() wstrust.Response { r := response(wstrust.Trust13); r.TokenType = ""; return r }().Encode()),
		"response without a version": second(func() wstrust.Response { r := response(wstrust.Trust13); r.Version = "1.4"; return r }().Encode()),
		"two endpoints of a version": second(wstrust.Metadata{Endpoints: []wstrust.Endpoint{{Version: wstrust.Trust13}, {Version: wstrust.Trust13}}}.Encode()),
		"a fault of another list":    second(wstrust.Fault{Code: wstrust.Sender, Subcode: "x:y", Reason: "no"}.Encode()),
		"an assertion that is none": second(func() wstrust.Response {
			r := response(wstrust.Trust13)
			r.Assertion = secret.NewText("<x/>")
			return r
		}().Encode()),
	} {
		if !errors.Is(err, wstrust.ErrShape) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := request(wstrust.Trust13)
	for _, password := range []string{"a\x01b", "a\xffb", "a\uffffb"} {
		r.Password = secret.NewText(password)
		if _, err := r.Encode(); !errors.Is(err, wstrust.ErrCharacter) {
			t.Errorf("%q is written: %v", password, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
