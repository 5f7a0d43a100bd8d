package status_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/status"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// Each sample: the view, the check and the reasons, as people get them.
func TestOBS01_Golden(t *testing.T) {
	for name, f := range samples() {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := status.Text(&b, status.Status(f)); err != nil {
				t.Fatal(err)
			}
			b.WriteString("--- check\n")
			for _, p := range status.Check(f) {
				fmt.Fprintf(&b, "%d %s\n", p.Exit, p.Text)
			}
			b.WriteString("--- why\n")
			if err := status.WriteWhy(&b, status.Why(f)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".txt")
			if *rewrite {
				if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(want, b.Bytes()) {
				t.Errorf("%v; got\n%s\nwant\n%s", err, b.Bytes(), want)
			}
		})
	}
}

// pair is a label in the form of JSON with its value.
type pair struct{ section, label, value string }

// fromText reads the screen as a script would that was written for dsregcmd.
func fromText(t *testing.T, text string) (found []pair) {
	t.Helper()
	title, entry := regexp.MustCompile(`^\| (.*\S) +\|$`), regexp.MustCompile(`^ *(\S.*?) : (.*)$`)
	section := ""
	for _, l := range strings.Split(text, "\n") {
		switch {
		case l == "" || strings.HasPrefix(l, "+-"):
		case title.MatchString(l):
			section = status.Snake(title.FindStringSubmatch(l)[1])
		case entry.MatchString(l):
			m := entry.FindStringSubmatch(l)
			found = append(found, pair{section, status.Snake(m[1]), m[2]})
		default:
			t.Errorf("line %q is of no known form", l)
		}
	}
	return found
}

// fromJSON reads the object in its order. The lines below an entry follow it.
func fromJSON(t *testing.T, text string) (found []pair) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	var path []string
	key := true
	names := map[string]bool{}
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		switch v := tok.(type) {
		case json.Delim:
			if v == '}' && len(path) > 0 {
				path = path[:len(path)-1]
			}
			key = true
		case string:
			if key {
				path, key = append(path, v), false
				full := strings.Join(path, ".")
				if names[full] {
					t.Errorf("%s is there twice", full)
				}
				names[full] = true
				continue
			}
			label := path[len(path)-1]
			if label == "value" {
				label = path[len(path)-2]
			}
			found = append(found, pair{path[0], label, v})
			path, key = path[:len(path)-1], true
		default:
			t.Errorf("%v is no text", tok)
		}
	}
}

func TestOBS01_TextAndJSONSayTheSame(t *testing.T) {
	for name, f := range samples() {
		var text, object bytes.Buffer
		sections := status.Status(f)
		if err := errors.Join(status.Text(&text, sections), status.JSON(&object, sections)); err != nil {
			t.Fatal(err)
		}
		onScreen, inJSON := fromText(t, text.String()), fromJSON(t, object.String())
		if len(onScreen) < 10 || fmt.Sprint(onScreen) != fmt.Sprint(inJSON) {
			t.Errorf("%s: on the screen\n%v\nin JSON\n%v", name, onScreen, inJSON)
		}
	}
}

// The same for anything that components could say.
func FuzzTextAndJSON(f *testing.F) {
	f.Add("alice@contoso.test", "https://x/y", "a : b", uint32(50126), uint8(3))
	f.Add("a\nb | c |", "+---", "\x00\xff", uint32(0), uint8(0))
	f.Fuzz(func(t *testing.T, upn, uri, text string, code uint32, which uint8) {
		facts := joined()
		a := wrongPassword()
		a.UserIdentity, a.EndpointUri, a.ServerErrorDescription, a.Aadsts = upn, uri, text, code
		switch which % 4 {
		case 0:
			facts.SSO.Partitions[0].LastRefresh = a
		case 1:
			facts.SSO.Partitions[0].LastAcquire = a
		case 2:
			facts.SSO.Attempts = append(facts.SSO.Attempts, a)
			facts.User = upn
		default:
			facts.Missing = []status.Missing{{Component: "dsreg", Reason: text}}
			facts.State.DeviceId = text
			facts.Registration.Tenant.TenantName = uri
		}
		var screen, object bytes.Buffer
		sections := status.Status(facts)
		if err := errors.Join(status.Text(&screen, sections), status.JSON(&object, sections)); err != nil {
			t.Fatal(err)
		}
		if onScreen, inJSON := fromText(t, screen.String()), fromJSON(t, object.String()); fmt.Sprint(onScreen) != fmt.Sprint(inJSON) {
			t.Errorf("on the screen\n%q\nin JSON\n%q", onScreen, inJSON)
		}
		status.Why(facts)
		status.Check(facts)
	})
}

// Every field that the public page documents is on the screen of some state.
func TestOBS01_EveryDocumentedFieldIsThere(t *testing.T) {
	documented := []string{
		"AzureAdJoined", "EnterpriseJoined", "DomainJoined", "DomainName",
		"DeviceId", "Thumbprint", "DeviceCertificateValidity", "KeyContainerId", "KeyProvider", "TpmProtected", "DeviceAuthStatus", "Virtual Desktop",
		"TenantName", "TenantId", "Idp", "AuthCodeUrl", "AccessTokenUrl", "MdmUrl", "MdmTouUrl", "MdmComplianceUrl", "SettingsUrl",
		"JoinSrvVersion", "JoinSrvUrl", "JoinSrvId", "KeySrvVersion", "KeySrvUrl", "KeySrvId", "WebAuthNSrvVersion", "WebAuthNSrvUrl", "WebAuthNSrvId",
		"DeviceManagementSrvVer", "DeviceManagementSrvUrl", "DeviceManagementSrvId",
		"NgcSet", "NgcKeyId", "CanReset", "WorkplaceJoined", "WamDefaultSet", "WamDefaultAuthority", "WamDefaultId", "WamDefaultGUID",
		"AzureAdPrt", "AzureAdPrtUpdateTime", "AzureAdPrtExpiryTime", "AzureAdPrtAuthority", "EnterprisePrt", "EnterprisePrtAuthority", "OnPremTgt", "CloudTgt", "KerbTopLevelNames",
		"AcquirePrtDiagnostics", "RefreshPrtDiagnostics", "Previous Prt Attempt", "Attempt Status", "User Identity", "Credential Type", "Correlation ID", "Endpoint URI",
		"HTTP Method", "HTTP Error", "HTTP status", "Server Error Code", "Server Error Description",
		"Diagnostics Reference", "User Context", "Client Time", "AD Connectivity Test", "AD Configuration Test", "DRS Discovery Test", "DRS Connectivity Test",
		"Token acquisition Test", "Fallback to Sync-Join", "Previous Registration", "Registration Type", "Error Phase", "Client ErrorCode", "Server ErrorCode", "Server Message", "Https Status", "Request Id",
		"AadRecoveryEnabled", "KeySignTest",
		"IsDeviceJoined", "IsUserAzureAD", "PolicyEnabled", "PostLogonEnabled", "DeviceEligible", "SessionIsNotRemote", "CertEnrollment", "PreReqResult",
	}
	var all bytes.Buffer
	for _, f := range samples() {
		if err := status.Text(&all, status.Status(f)); err != nil {
			t.Fatal(err)
		}
	}
	for _, label := range documented {
		if !strings.Contains(all.String(), " "+label+" : ") {
			t.Errorf("%s is nowhere", label)
		}
	}
}

func TestSnake(t *testing.T) {
	for label, want := range map[string]string{
		"AzureAdPrt": "azure_ad_prt", "HTTP status": "http_status", "IsUserAzureAD": "is_user_azure_ad", "OnPremTGT": "on_prem_tgt", "MdmUrl": "mdm_url",
		"Correlation ID": "correlation_id", "Endpoint URI": "endpoint_uri", "Fallback to Sync-Join": "fallback_to_sync_join", "lsa-cloudap": "lsa_cloudap",
		"WamDefaultGUID": "wam_default_guid", "AD Connectivity Test": "ad_connectivity_test", "Client ErrorCode": "client_error_code", "File 1": "file_1", "PrtCount": "prt_count",
	} {
		if got := status.Snake(label); got != want {
			t.Errorf("%s is %s, want %s", label, got, want)
		}
	}
}
