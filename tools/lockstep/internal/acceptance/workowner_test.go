package acceptance_test

import (
	"testing"
	"time"

	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// TestAPP19_AWorkAccountGoesWithItsUserOfTheDevice: an administrator removes the local
// account whose work account this is. The next app of anybody on the device takes the work
// account, its PRT and its tokens away, and with the last one the device leaves its tenant.
func TestAPP19_AWorkAccountGoesWithItsUserOfTheDevice(t *testing.T) {
	w, maria := registeredDevice(t, lab.Config{Dir: t.TempDir()})
	w.mustToken(maria)
	noah := w.owner(w.device, "noah")
	if len(refreshFiles(t, w.device)) != 2 { // the account, and the refresh token of an app
		t.Fatalf("files %v", refreshFiles(t, w.device))
	}
	_, err := lsav1.NewLocalAccountServiceClient(w.device.Operator.LSA).RemoveLocalAccount(t.Context(), &lsav1.RemoveLocalAccountRequest{Name: "maria"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.token(w.device, maria); err == nil {
		t.Error("a session of the removed account got a token")
	}
	if _, err := w.token(w.device, noah); err == nil {
		t.Error("noah got a token with somebody else's account")
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		all, err := w.device.Operator.WorkAccounts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 0 && !w.state(w.device).GetWorkplaceJoined() {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("there is still %v, and the device is %v", all, w.state(w.device))
		}
	}
	if left := refreshFiles(t, w.device); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}
