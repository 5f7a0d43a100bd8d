package status_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	eventv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/event/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/status"
)

// Who stops the TPM agent is not sent to look after a firewall.
func TestOBS06_AComponentOfTheDeviceIsNoNetwork(t *testing.T) {
	f := joined()
	a := wrongPassword()
	a.Aadsts, a.Status, a.HttpError, a.ServerErrorDescription = 0, 0xc000023c, 0x80072efd, ""
	f.SSO.Partitions[0].LastRefresh = a
	for uri, local := range map[string]bool{
		"grpc://tpm-agent/prt.tpm.v1.PRTKeyService/SignPRTRenewal": true,
		"grpc://idp/prt.idp.v1.NonceService/IssueNonce":            false,
		"https://login.microsoftonline.com/tpm-agent/":             false,
	} {
		a.EndpointUri = uri
		found := status.Why(f)[0]
		if strings.Contains(found.Next, "Start tpm-agent") != local || strings.Contains(found.Next, "firewall") == local {
			t.Errorf("%s: %+v", uri, found)
		}
	}
}

// Anybody may type any name before a device: the check judges the user who is here.
func TestOBS03_ANameThatSomebodyTypedDoesNotFailTheCheck(t *testing.T) {
	f := joined()
	a := wrongPassword()
	a.UserIdentity = "alcie@contoso.test"
	f.SSO.Attempts = []*authorityv1.Attempt{a}
	if found := status.Check(f); len(found) != 0 {
		t.Errorf("%v", found)
	}
	if found := status.Why(f); len(found) == 0 || !strings.Contains(found[0].Problem, "alcie@") {
		t.Errorf("the failure is not explained: %v", found)
	}
	f.User = a.UserIdentity
	if found := status.Check(f); len(found) != 1 || found[0].Exit != status.ExitNoPRT {
		t.Errorf("asked for by name: %v", found)
	}
	f.User, f.SSO.Partitions, f.SSO.Users = "", nil, nil
	if found := status.Check(f); len(found) != 1 || found[0].Exit != status.ExitNoPRT {
		t.Errorf("nobody else here: %v", found)
	}
}

// A PRT that is over stays over when the network is back.
func TestOBS06_ThePRTIsOverWhateverTheLastAttemptMet(t *testing.T) {
	f := joined()
	f.SSO.Partitions[0].LastRefresh = wrongPassword()
	over := func() bool {
		for _, one := range status.Why(f) {
			if one.Problem == "The PRT of "+alice+" is EXPIRED." && one.Next != "" {
				return true
			}
		}
		return false
	}
	if over() {
		t.Error("over before its end")
	}
	if f.Now = f.Now.Add(400 * time.Hour); !over() {
		t.Errorf("not said: %+v", status.Why(f))
	}
}

// A device whose only partition is in quarantine had a user.
func TestOBS06_WhoseCacheIsInQuarantineWasHere(t *testing.T) {
	f := joined()
	f.SSO.Partitions, f.SSO.Users = nil, nil
	if c := status.Why(f)[0].Cause; strings.Contains(c, "not used") {
		t.Error(c)
	}
	f.SSO.Cache.Quarantined = []*lsav1.QuarantinedFile{{Path: "quarantine/a.json.1", Reason: "it is damaged", Time: ago(time.Hour)}}
	if c := status.Why(f)[0].Cause; !strings.Contains(c, "not used") {
		t.Error(c)
	}
}

// An application that a policy blocks leaves the PRT good, and is explained all the same.
func TestOBS06_AnApplicationThatGotNoTokenIsExplained(t *testing.T) {
	event := func(at *timestamppb.Timestamp, upn, text string, code uint32) *eventv1.Event {
		return &eventv1.Event{
			Time: at, Id: 1098, Level: eventv1.Level_LEVEL_ERROR, CorrelationId: trace, Message: "Token broker operation failed.", Status: code,
			Fields: []*eventv1.Field{{Name: "Error", Value: text}, {Name: "UPN", Value: upn}},
		}
	}
	f := joined()
	f.AppFailures = []*eventv1.Event{event(ago(time.Hour), alice, "AADSTS53003: A policy blocks this: see the log.", 0xcaa5001c), event(ago(time.Minute), "bob@contoso.test", "no", 0xcaa5001c)}
	found := status.Why(f)
	if len(found) != 1 || found[0].Code != "AADSTS53003" || found[0].Next == "" || found[0].Trace != trace || !strings.Contains(found[0].Problem, alice) {
		t.Errorf("%+v", found)
	}
	if check := status.Check(f); len(check) != 0 {
		t.Errorf("the device is well: %v", check)
	}
	f.AppFailures[0] = event(ago(time.Hour), alice, "idp cannot be reached", 0xcaa5001c)
	if found := status.Why(f); len(found) != 1 || found[0].Code != "0xcaa5001c" || found[0].Next == "" {
		t.Errorf("%+v", found)
	}
	f.AppFailures[0] = event(ago(5*time.Hour), alice, "AADSTS53003: A policy blocks this: see the log.", 0xcaa5001c)
	if found := status.Why(f); len(found) != 0 {
		t.Errorf("of long ago: %+v", found)
	}
	f.AppFailures[0].Time = ago(time.Hour)
	f.SSO.Partitions[0].LastRefresh = wrongPassword()
	for _, one := range status.Why(f) {
		if strings.HasPrefix(one.Problem, "An application") {
			t.Errorf("beside what is its cause: %+v", one)
		}
	}
}

// No text of somebody else's steers the terminal.
func TestOBS01_NothingSteersTheTerminal(t *testing.T) {
	f := joined()
	a := wrongPassword()
	a.ServerErrorDescription = "a\x1b[2Jb\u009b31mc\u202ed\u2028e"
	f.SSO.Partitions[0].LastAcquire = a
	var b strings.Builder
	if err := status.WriteWhy(&b, status.Why(f)); err != nil {
		t.Fatal(err)
	}
	if err := status.Text(&b, status.Status(f)); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\u009b\u202e\u2028") {
		t.Errorf("%q", b.String())
	}
}
