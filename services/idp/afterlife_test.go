package idp_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entracarrier"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// whatIsStillTaken is what becomes of everything that a user holds when the user, the
// password, the sessions or the device is no more. A cell is what the identity provider
// answers: "taken", the number of an AADSTS error, "page" for a sign-in page, or the
// kind of another error; "a/b" is a in the profiles 2020 and today and b in strict, "a/b/c" is
// each by itself. Artefacts are brought in the order of the table.
//
// Where a cell says that something is taken, it is so because:
//   - a refresh token of an app outlives its device where the profile says so, as has been
//     seen at the public service; what comes of it names no device any more (INV17);
//   - a code or a cookie of a page says who signed in, and nothing about a device;
//   - what was not got with the password does not end with it (INV10);
//   - who is enabled again has what they had: a mistake of an administrator costs nobody
//     their sessions, and revoking them is an act of its own;
//   - a Hello key and a Temporary Access Pass are credentials: what is revoked are sessions.
const whatIsStillTaken = `
artefact                        | nothing     | user disabled   | enabled again | user deleted    | name given again | object made again | password changed | sessions revoked | device disabled       | device removed       | keys replaced
PRT, renewed                    | taken       | 50057           | taken         | 50034           | 50034            | 50173             | 50173            | 50173            | 135011                | 50155                | 50155
PRT, redeemed                   | taken       | 50057           | taken         | 50034           | 50034            | 50173             | 50173            | 50173            | 135011                | 50155                | 50155
data-protection key of the PRT  | taken       | 50057           | taken         | 50034           | 50034            | 50173             | 50173            | 50173            | 135011                | 50155                | 50155
PRT of a Hello key              | taken       | 50057           | taken         | 50034           | 50034            | 50173             | taken            | 50173            | 135011                | 50155                | 50155
PRT cookie at a page            | taken       | page            | taken         | page            | page             | page              | page             | page             | page                  | page                 | page
PRT cookie at the browser       | taken       | page            | taken         | page            | page             | page              | page             | page             | page                  | page                 | page
session cookie of a PRT, alone  | page        | page            | page          | page            | page             | page              | page             | page             | page                  | page                 | page
session cookie of a page        | taken       | page            | taken         | page            | page             | page              | page             | page             | taken                 | taken                | taken
bound refresh token             | taken       | 50057           | taken         | 50034           | 50034            | 50173             | 50173            | 50173            | taken/135011          | taken/50155          | taken/50155
plain refresh token             | taken/70000 | 50057/70000     | taken/70000   | 50034/70000     | 50034/70000      | 50173/70000       | 50173/70000      | 50173/70000      | taken/70000           | taken/70000          | taken/70000
family refresh token            | taken/70000 | 50057/70000     | taken/70000   | 50034/70000     | 50034/70000      | 50173/70000       | 50173/70000      | 50173/70000      | taken/70000           | taken/70000          | taken/70000
refresh token of a page         | taken       | 50057           | taken         | 50034           | 50034            | 50173             | 50173            | 50173            | taken                 | taken                | taken
broker token, made a PRT        | taken       | 50057           | taken         | 50034           | 50034            | 50173             | 50173            | 50173            | 135011                | 50155                | 50155
PRT without a device            | taken       | 50057           | taken         | 50034           | 50034            | 50173             | 50173            | 50173            | taken                 | taken                | taken
code of a page                  | taken       | 50057           | taken         | 50034           | 50034            | 50173             | 50173            | 50173            | taken                 | taken                | taken
code of a PRT cookie            | taken       | 50057           | taken         | 50034           | 50034            | 50173             | 50173            | 50173            | taken/135011          | taken/50155          | taken/50155
device code, approved           | taken       | 50057           | taken         | 50034           | 50034            | 50173             | 50173            | 50173            | taken                 | taken                | taken
access token of a PRT, at Graph | taken       | unauthenticated | taken         | unauthenticated | unauthenticated  | unauthenticated   | unauthenticated  | unauthenticated  | unauthenticated       | unauthenticated      | unauthenticated
access token of a page          | taken       | unauthenticated | taken         | unauthenticated | unauthenticated  | unauthenticated   | unauthenticated  | unauthenticated  | taken                 | taken                | taken
access token, on behalf of      | taken       | 50057           | taken         | 50034           | 50034            | 50173             | 50173            | 50173            | taken                 | taken                | taken
Hello key at the device         | taken       | 50057           | taken         | 135010          | 135010           | 135010            | taken            | taken            | 135011                | 50155                | 50155
Hello key at another device     | taken/50013 | 50057/50013     | taken/50013   | 135010          | 135010           | 135010            | taken/50013      | taken/50013      | taken/50013/50013     | taken/50013/50013    | taken/50013
token for a device              | taken       | 50057           | taken         | 50034           | 50034            | 50173             | 50173            | 50173            | taken                 | taken                | taken
token for a Hello key           | taken       | 50057           | taken         | 50034           | 50034            | 50173             | 50173            | 50173            | 135011                | 50155                | 50155
password at the device          | taken       | 50057           | taken         | 50034/50126     | 50126            | taken             | 50126            | taken            | 135011                | 50155                | 50155
Temporary Access Pass           | taken       | 50057           | taken         | 130503          | 130503           | 130503            | taken            | taken            | taken                 | taken                | taken
`

// events are what happens between the day something was issued and its use.
func events() map[string]func(testing.TB, *afterlife) {
	ctx := context.Background()
	remove := func(t testing.TB, a *afterlife) {
		done[*directoryv1.DeleteUserResponse](t)(a.admin.DeleteUser(ctx, &directoryv1.DeleteUserRequest{UserPrincipalName: alice}))
	}
	again := func(t testing.TB, a *afterlife, id, password string) {
		remove(t, a)
		done[*directoryv1.CreateUserResponse](t)(a.admin.CreateUser(ctx, &directoryv1.CreateUserRequest{UserPrincipalName: alice, UserId: id, Password: password}))
	}
	return map[string]func(testing.TB, *afterlife){
		"nothing":       func(testing.TB, *afterlife) {},
		"user disabled": func(t testing.TB, a *afterlife) { setUser(t, a.world, alice, false) },
		"enabled again": func(t testing.TB, a *afterlife) {
			setUser(t, a.world, alice, false)
			setUser(t, a.world, alice, true)
		},
		"user deleted":      remove,
		"name given again":  func(t testing.TB, a *afterlife) { again(t, a, "", "somebody else has the name") },
		"object made again": func(t testing.TB, a *afterlife) { again(t, a, string(a.userOf(t, alice).ID), alicePassword) },
		"password changed":  func(t testing.TB, a *afterlife) { setPassword(t, a.world, alice, "a new and better one") },
		"sessions revoked": func(t testing.TB, a *afterlife) {
			done[*directoryv1.RevokeSessionsResponse](t)(a.admin.RevokeSessions(ctx, &directoryv1.RevokeSessionsRequest{UserPrincipalName: alice}))
		},
		"device disabled": func(t testing.TB, a *afterlife) { setDevice(t, a.world, a.d.id, false) },
		"device removed":  func(t testing.TB, a *afterlife) { removeDevice(t, a.world, a.d.id) },
		"keys replaced": func(t testing.TB, a *afterlife) {
			done[*idpv1.ReplaceDeviceKeysResponse](t)(a.replace(t, a.d, &device{w: a.world, dk: rsaKeys()[4], tk: rsaKeys()[5]}, nil))
		},
	}
}

// afterlife is a world in which alice has everything that there is to have.
type afterlife struct {
	*pages
	d, other *device
	s        *signIn
	hello    *hello
	graph    graphClient
	// use are the artefacts, ready to be brought after the event.
	use map[string]func() string
}

func newAfterlife(t testing.TB, profile string, https bool) *afterlife {
	t.Helper()
	a := &afterlife{pages: newPages(t, idp.Config{Tenants: withProfile(profile)}), use: map[string]func() string{}}
	if https {
		overWire(t, a.world)
	}
	a.graph = newGraph(t, a.world)
	a.d, a.other = a.join(t, alice, alicePassword, 1, 2), a.join(t, bob, bobPassword, 0, 3)
	a.s = a.d.first(t, alice, alicePassword)
	a.hello = a.d.provision(t, alice, 3, time.Now())
	a.ofTheDevice(t)
	a.ofPages(t)
	a.ofTheTokenEndpoint(t)
	a.ofRegistration(t)
	return a
}

// overWire has the devices of a world speak Entra's protocol over HTTPS.
func overWire(t testing.TB, w *world) {
	t.Helper()
	server := httptest.NewTLSServer(w.svc.Handler())
	t.Cleanup(server.Close)
	c, err := entracarrier.New(entracarrier.Config{Login: server.URL, Client: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	w.issuance, w.tokens, w.nonces = idpv1.NewIssuanceServiceClient(c), idpv1.NewTokenServiceClient(c), idpv1.NewNonceServiceClient(c)
	w.devices = idpv1.NewDeviceRegistrationServiceClient(c)
}

// overBoth runs a test by contract and over HTTPS, each in a world of its own.
func overBoth(t *testing.T, cfg idp.Config, f func(*testing.T, *world)) {
	t.Helper()
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, cfg)
			if https {
				overWire(t, w)
			}
			f(t, w)
		})
	}
}

// verdict is an outcome in the words of the table.
func verdict(err error) string {
	switch code := prterr.CodeOf(err); {
	case err == nil:
		return "taken"
	case code != 0:
		return fmt.Sprint(int(code))
	}
	return string(prterr.KindOf(err))
}

// expectations reads the table: by artefact, by event, for one profile.
func expectations(t testing.TB, profile string) (artefacts, columns []string, want map[string]map[string]string) {
	t.Helper()
	want = map[string]map[string]string{}
	for line := range strings.Lines(strings.TrimSpace(whatIsStillTaken)) {
		cells := strings.Split(line, "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if columns == nil {
			columns = cells[1:]
			continue
		}
		if len(cells) != len(columns)+1 || want[cells[0]] != nil {
			t.Fatalf("%q has %d cells or stands twice", cells[0], len(cells))
		}
		artefacts = append(artefacts, cells[0])
		want[cells[0]] = map[string]string{}
		for i, cell := range cells[1:] {
			by := strings.Split(cell, "/")
			at := map[string]int{"2020": 0, "today": len(by) - 2, "strict": len(by) - 1}[profile]
			want[cells[0]][columns[i]] = by[max(at, 0)]
		}
	}
	return artefacts, columns, want
}

// TestINV01_INV02_INV06_INV08_INV09_INV10_INV14_INV17_Attack19_WhatIsStillTaken brings every artefact
// after every event, in every profile, by contract and over HTTPS.
func TestINV01_INV02_INV06_INV08_INV09_INV10_INV14_INV17_Attack19_WhatIsStillTaken(t *testing.T) {
	for _, run := range []struct {
		profile string
		https   bool
	}{{"2020", false}, {"today", false}, {"today", true}, {"strict", false}, {"strict", true}} {
		artefacts, columns, want := expectations(t, run.profile)
		happened := events()
		if len(columns) != len(happened) {
			t.Fatalf("%d columns for %d events", len(columns), len(happened))
		}
		for _, event := range columns {
			t.Run(fmt.Sprintf("%s, HTTPS %v, %s", run.profile, run.https, event), func(t *testing.T) {
				a := newAfterlife(t, run.profile, run.https)
				happened[event](t, a)
				for _, artefact := range artefacts {
					use := a.use[artefact]
					if use == nil {
						t.Fatalf("nobody has a %s", artefact)
					}
					if got := use(); got != want[artefact][event] {
						t.Errorf("%s: %s, want %s", artefact, got, want[artefact][event])
					}
				}
				for artefact := range a.use {
					if !slices.Contains(artefacts, artefact) {
						t.Errorf("the table does not say what becomes of a %s", artefact)
					}
				}
			})
		}
	}
}
