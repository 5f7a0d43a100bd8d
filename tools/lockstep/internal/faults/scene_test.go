package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/demo"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// scene is a laboratory with two joined devices, a stand-in before everything, and who
// plays in the cell that runs.
type scene struct {
	t             *testing.T
	lab           *lab.Lab
	device, other *lab.Device
	tenant        demo.Tenant
	web           *http.Client

	users   int
	who     demo.Person
	desktop actor.Desktop
	// before is how many devices the directory had, digest names the PRT of before.
	before int
	digest string
	// held is closed when a call behind the desktop has met a fault that lets nothing come
	// back; nil is that there is none. waits is true while a renewal is held up so.
	held  chan struct{}
	waits bool
}

// seed of every stand-in.
const seed = 1

func newScene(t *testing.T, f flow) *scene {
	t.Helper()
	l, err := lab.Start(t.Context(), lab.Config{TPM: "mem:", FaultSeed: seed, ServedNativeHost: true, StandIns: func(string) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &scene{t: t, lab: l, tenant: demo.DefaultTenant()}
	for _, d := range []**lab.Device{&s.device, &s.other} {
		if *d, err = l.AddDevice(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s.web, err = l.Web(); err != nil {
		t.Fatal(err)
	}
	bob := demo.People()["bob"]
	if _, err := s.other.Operator.Join(t.Context(), bob.UPN, bob.Password, "DESKTOP"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.other.LogonUI.SignIn(t.Context(), bob.UPN, bob.Password); err != nil {
		t.Fatal(err)
	}
	// Nobody is before it from now on: its clock must not renew what a rule waits for.
	if err := s.other.Restart(t.Context(), "lsa-cloudap"); err != nil {
		t.Fatal(err)
	}
	if f.joiner != "" {
		who := demo.People()[f.joiner]
		if _, err := s.device.Operator.Join(t.Context(), who.UPN, who.Password, "DESKTOP"); err != nil {
			t.Fatal(err)
		}
	}
	s.before = s.devices(t.Context())
	return s
}

// key is the component of this device, or of the cloud.
func (s *scene) key(component string) string {
	if component == "idp" || component == "adfs" {
		return component
	}
	return s.device.Key(component)
}

// newUser is somebody whom nobody knows yet.
func (s *scene) newUser(ctx context.Context) (demo.Person, error) {
	s.users++
	p := demo.Person{UPN: fmt.Sprintf("new-%d@contoso.test", s.users), Password: secret.NewText("somebody whom nobody knows")}
	_, err := directoryv1.NewAdminServiceClient(s.device.Operator.Directory).CreateUser(ctx, &directoryv1.CreateUserRequest{
		UserPrincipalName: p.UPN, Password: p.Password.Reveal(),
	})
	return p, err
}

// devices is how many devices the directory of the first tenant has.
func (s *scene) devices(ctx context.Context) int {
	s.t.Helper()
	list, err := directoryv1.NewReadServiceClient(s.device.Operator.Directory).ListDevices(context.WithoutCancel(ctx), &directoryv1.ListDevicesRequest{
		TenantId: "6babcaad-604b-40ac-a9d7-9fd97c0b779f",
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return len(list.GetDevices())
}

// owner reads whose token a resource has seen.
func (s *scene) owner(resp *http.Response) string {
	var me struct {
		UPN string `json:"userPrincipalName"`
	}
	switch err := json.NewDecoder(resp.Body).Decode(&me); {
	case resp.StatusCode == http.StatusUnauthorized:
		return "a token that the resource refuses"
	case err != nil || resp.StatusCode != http.StatusOK:
		return fmt.Sprintf("the resource says %d %v", resp.StatusCode, err)
	case me.UPN != s.who.UPN:
		return "A TOKEN OF " + me.UPN
	default:
		return "token"
	}
}
