package org_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/alexedwards/argon2id"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/org"
)

func newOrg(t *testing.T, yaml []byte) *org.Organisation {
	t.Helper()
	o, err := org.New(org.Config{YAML: yaml})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestDefaultOrganisation(t *testing.T) {
	o := newOrg(t, nil)
	if o.Issuer() != "http://sts.adatum.test/adfs/services/trust/" || o.Domain() != "adatum.test" ||
		o.Audience() != org.DefaultAudience || o.BaseURL() != "https://sts.adatum.test" {
		t.Errorf("it is %s, %s, %s, %s", o.Issuer(), o.Domain(), o.Audience(), o.BaseURL())
	}
	u, err := o.Authenticate(t.Context(), "Carol@Adatum.TEST", secret.NewText("federated horse"))
	guid, _ := ids.GUIDBytesLE("1b22aecc-4d7a-4512-b255-dd245fc6b68d")
	if want := base64.StdEncoding.EncodeToString(guid[:]); err != nil || u.UPN != "carol@adatum.test" || string(u.ImmutableID) != want {
		t.Errorf("got %+v, %v, want immutable id %s", u, err, want)
	}
}

func TestReplyURLs(t *testing.T) {
	const user = "users:\n  - {upn: x@a.test, password: canary, immutable_id: AAAAAAAAAAAAAAAAAAAAAA==}\n"
	for yaml, want := range map[string]string{
		"": "https://login.microsoftonline.com/login.srf",
		"audience: urn:federation:MicrosoftOnline\n":                     "https://login.microsoftonline.com/login.srf",
		"audience: urn:other\n":                                          "",
		"reply_urls: ['https://login.test/a', 'https://login.test/b']\n": "https://login.test/a https://login.test/b",
	} {
		o := newOrg(t, []byte(yaml+"issuer: http://sts.a.test/trust/\ndomain: a.test\n"+user))
		if got := strings.Join(o.ReplyURLs(), " "); got != want {
			t.Errorf("%q: got %q, want %q", yaml, got, want)
		}
	}
}

func TestEveryRefusalIsTheSame(t *testing.T) {
	o := newOrg(t, nil)
	for name, c := range map[string][2]string{
		"wrong password":   {"carol@adatum.test", "federated cow"},
		"empty password":   {"carol@adatum.test", ""},
		"blank added":      {"carol@adatum.test", "federated horse "},
		"huge password":    {"carol@adatum.test", "federated horse" + strings.Repeat("x", 2000)},
		"unknown user":     {"dave@adatum.test", "federated horse"},
		"other domain":     {"carol@contoso.test", "federated horse"},
		"not a user name":  {"carol", "federated horse"},
		"no user name":     {"", ""},
		"unknown, no word": {"dave@adatum.test", ""},
	} {
		u, err := o.Authenticate(t.Context(), c[0], secret.NewText(c[1]))
		if err != org.ErrRefused || u != (org.User{}) { //nolint:errorlint // nothing may be wrapped around it
			t.Errorf("%s: %+v, %v", name, u, err)
		}
	}
}

// An unknown user, a bad name and a password that is too long must wait for
// a hash like everybody: with no time left, all get the same "no time".
func TestARefusalTakesAHashLikeEverybody(t *testing.T) {
	o := newOrg(t, nil)
	o.HoldAllSlots()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range [][2]string{{"carol@adatum.test", "federated horse"}, {"dave@adatum.test", "x"}, {"", ""}, {"carol@adatum.test", strings.Repeat("x", 2000)}} {
		_, err := o.Authenticate(ctx, c[0], secret.NewText(c[1]))
		if prterr.KindOf(err) != prterr.Unavailable || errors.Is(err, org.ErrRefused) {
			t.Errorf("%q: got %v", c[0], err)
		}
	}
}

const head = "issuer: http://sts.a.test/trust/\ndomain: a.test\nusers:\n"

func TestPasswordHashFromFile(t *testing.T) {
	hash, err := argon2id.CreateHash("canary", &argon2id.Params{Memory: 7168, Iterations: 5, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	o := newOrg(t, []byte(head+"  - {upn: x@a.test, password_hash: '"+hash+"', immutable_id: AAAAAAAAAAAAAAAAAAAAAA==}\n"))
	if o.Audience() != org.DefaultAudience {
		t.Errorf("audience is %q", o.Audience())
	}
	if _, err := o.Authenticate(t.Context(), "x@a.test", secret.NewText("canary")); err != nil {
		t.Error(err)
	}
	if _, err := o.Authenticate(t.Context(), "x@a.test", secret.NewText(hash)); !errors.Is(err, org.ErrRefused) {
		t.Errorf("the hash is a password: %v", err)
	}
	if printed := fmt.Sprintf("%v %+v %#v", o, o, o); strings.Contains(printed, hash[30:]) {
		t.Error("the organisation prints its hashes")
	}
}

func TestFileErrorsNameTheFieldAndShowNoPassword(t *testing.T) {
	const id = "immutable_id: AAAAAAAAAAAAAAAAAAAAAA==}\n"
	const x = "  - {upn: x@a.test, password: canary, " + id
	cheap, err := argon2id.CreateHash("canary", &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	for field, yaml := range map[string]string{
		"line 4":                 head + "  - {upn: x@a.test, pasword: canary}\n",
		"line 2":                 "issuer: x\nissuer: canary\n",
		"not valid YAML":         head + "  - {upn: x@a.test, password: 'canary\n",
		"wrong type":             head + "  canary: 1\n",
		"issuer":                 "domain: a.test\nusers:\n" + x,
		"domain is":              strings.Replace(head, "domain: a.test", "domain: A.test", 1) + x,
		"base_url":               "base_url: http://sts.a.test\n" + head + x,
		"without a slash":        "base_url: https://sts.a.test/\n" + head + x,
		"reply_urls[1]":          "reply_urls: ['https://a.test/x', 'http://a.test/x']\n" + head + x,
		"reply_urls[0]":          "reply_urls: ['https://a.test/x#y']\n" + head + x,
		"reply_urls has 17":      "reply_urls: [" + strings.Repeat("'https://a.test/x',", 17) + "]\n" + head + x,
		"users has 0":            "issuer: http://a.test/\ndomain: a.test\n",
		"users[0].upn is not of": head + "  - {upn: x@b.test, password: canary, " + id,
		"users[0].upn: ":         head + "  - {upn: x, password: canary, " + id,
		"users[0].immutable_id":  head + "  - {upn: x@a.test, password: canary, immutable_id: AAAA}\n",
		"users[1].upn stands":    head + x + strings.Replace(x, "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAQ", 1),
		"users[1].immutable_id":  head + x + strings.Replace(x, "x@a", "y@a", 1),
		"exactly one of":         head + "  - {upn: x@a.test, " + id,
		"one of password and":    head + "  - {upn: x@a.test, password: canary, password_hash: canary, " + id,
		"not an argon2id":        head + "  - {upn: x@a.test, password_hash: canary, " + id,
		"m=7168,t=5,p=1":         head + "  - {upn: x@a.test, password_hash: '" + cheap + "', " + id,
		"longer than 1024":       head + "  - {upn: x@a.test, password: " + strings.Repeat("canary", 200) + ", " + id,
		"longer than 1048576":    "# " + strings.Repeat("canary", 200000),
	} {
		t.Run(field, func(t *testing.T) {
			o, err := org.New(org.Config{YAML: []byte(yaml)})
			if err == nil || o != nil || prterr.KindOf(err) != prterr.Invalid || !strings.Contains(err.Error(), field) {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error shows the file: %v", err)
			}
		})
	}
}

func FuzzOrganisation(f *testing.F) {
	f.Add([]byte(head + "  - {upn: x@a.test, password_hash: h, immutable_id: AAAAAAAAAAAAAAAAAAAAAA==}\n"))
	f.Add([]byte("users: [&a {upn: *a}]"))
	f.Fuzz(func(t *testing.T, yaml []byte) {
		if strings.Count(string(yaml), "password") > 3 {
			t.Skip("many hashes are slow, not wrong")
		}
		if o, err := org.New(org.Config{YAML: yaml}); err == nil && (o.Issuer() == "" || o.Domain() == "") {
			t.Error("an organisation without a name")
		}
	})
}
