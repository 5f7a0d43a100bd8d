package idp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// postToken is a request for tokens as a client over the web sends it.
func postToken(t *testing.T, w *world, form url.Values) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "https://login.microsoftonline.com/common/oauth2/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, _, body := w.overHTTPS(r)
	var m map[string]any
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("status %d: %v\n%s", status, err, body)
	}
	return status, m
}

// TestFLT07_FiveRetriesFindANewDevice retries as the pipeline of ROADtools does with a
// device that it has just registered: five times, with a pause, each time with a new nonce
// and a new signature, until the token endpoint knows the device.
func TestFLT07_FiveRetriesFindANewDevice(t *testing.T) {
	const pause = 5 * time.Second
	for name, c := range map[string]struct {
		lag   time.Duration
		tries int // 0: all five are in vain
	}{
		"no lag":              {0, 1},
		"a lag of 12 seconds": {12 * time.Second, 4},
		"a lag of an hour":    {time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, lab := labWorld(t, idp.Config{DirectoryLag: c.lag})
			d := w.join(t, alice, alicePassword, 0, 1)
			for try := 1; try <= 5; try++ {
				_, challenge := postToken(t, w, url.Values{"grant_type": {"srv_challenge"}})
				nonce, _ := challenge["Nonce"].(string)
				request := d.claims(t, alice, alicePassword)
				request.RequestNonce = nonce
				status, answer := postToken(t, w, url.Values{
					"windows_api_version": {"2.0"}, "grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "request": {d.sign(t, request)},
				})
				if status == http.StatusOK {
					if try != c.tries || answer["refresh_token"] == "" {
						t.Errorf("try %d succeeded, not %d: %v", try, c.tries, answer)
					}
					return
				}
				codes, _ := answer["error_codes"].([]any)
				if status != http.StatusBadRequest || answer["error"] != "invalid_grant" || !slices.Contains(codes, any(float64(aadsts.DeviceAuthenticationFailed))) {
					t.Fatalf("an unknown device is answered %d %v", status, answer)
				}
				lab.Advance(pause)
			}
			if c.tries != 0 {
				t.Error("five tries were in vain")
			}
		})
	}
}

func TestFLT07_ALagIsForLaboratories(t *testing.T) {
	lab := clock.NewLab()
	for name, c := range map[string]struct {
		lab  *clock.Lab
		lag  string
		want string
	}{
		"outside":  {nil, "5s", "is for a laboratory"},
		"no time":  {lab, "soon", "use a duration"},
		"too long": {lab, "2h", "0 to an hour"},
		"below 0":  {lab, "-1s", "0 to an hour"},
	} {
		_, err := idp.Wire(&run.Env{Lab: c.lab, Settings: map[string]string{"lab-directory-lag": c.lag}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
