package flows

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// maxAnswer bounds what is read of a web answer, in bytes.
const maxAnswer = 1 << 20

// hunt carries out the commands of who comes over the web: a thief, the hunter after him,
// an app with a session open at Graph, and who asks for tickets.
func (r *Runner) hunt(ctx context.Context, command string, arg map[string]string) (string, bool) {
	switch command {
	case "stolen-cookie": // stolen-cookie user=alice: a PRT cookie is used by a tool elsewhere
		return r.stolenCookie(ctx, arg), true
	case "detections": // detections: what published rules find in the sign-in log
		return r.detections(ctx), true
	case "graph": // graph user=alice [call]: open a session at Graph, or call with its token
		return r.graph(ctx, arg), true
	case "tickets": // tickets user=alice: a PRT asked for with tgt=true
		return r.tickets(ctx, arg), true
	default:
		return "", false
	}
}

// stolenCookie has malware in a user's session get a PRT cookie for the nonce of somebody
// else, who brings it to the authorization endpoint with a script.
func (r *Runner) stolenCookie(ctx context.Context, arg map[string]string) string {
	cloud, err := r.lab.Dial(ctx, "lsa-cloudap", "idp")
	if err != nil {
		return failure(err)
	}
	nonce, err := idpv1.NewNonceServiceClient(cloud).IssueNonce(ctx, &idpv1.IssueNonceRequest{})
	if err != nil {
		return failure(err)
	}
	q := url.Values{"client_id": {commandLine}, "redirect_uri": {commandLineURI}, "response_type": {"code"}, "resource": {r.tenant.Resource}, "sso_nonce": {nonce.GetNonce()}}
	at := lab.SignInOrigin + "/organizations/oauth2/authorize?" + q.Encode()
	cookies, err := r.device.Browser.Host.GetCookies(ctx, r.desktops[arg["user"]], at, commandLineURI)
	if err != nil {
		return failure(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return failure(err)
	}
	for _, c := range cookies {
		req.Header.Set(c.Name, c.Value.Reveal())
	}
	req.Header.Set("User-Agent", "python-requests/2.32.3")
	status, header, err := r.answer(req)
	if err != nil {
		return failure(err)
	}
	if to, err := url.Parse(header.Get("Location")); err == nil && to.Query().Get("code") != "" {
		return "a script elsewhere is signed in as the user of the cookie\n"
	}
	return fmt.Sprintf("status %d, and no code\n", status)
}

// huntedRow has the fields that published detection rules read.
type huntedRow struct {
	logRow
	AppID    string `json:"appId"`
	Agent    string `json:"userAgent"`
	Protocol string `json:"authenticationProtocol"`
}

// detection is a published rule: its condition in words, and over a row.
type detection struct {
	words   string
	matches func(huntedRow) bool
}

func detections() []detection {
	const broker = "29d9ed98-a469-4536-ade2-f981bc1d605e"
	tool := func(r huntedRow) bool {
		agent := strings.ToLower(r.Agent)
		return strings.Contains(agent, "python") || strings.Contains(agent, "roadtools") || strings.Contains(agent, "aadinternals")
	}
	return []detection{
		{"incomingTokenType is primaryRefreshToken, userAgent is of a tool", func(r huntedRow) bool { return r.Incoming == "primaryRefreshToken" && tool(r) }},
		{"incomingTokenType is primaryRefreshToken, deviceDetail.deviceId is empty", func(r huntedRow) bool {
			return r.Incoming == "primaryRefreshToken" && r.Status.Code == 0 && r.Device.ID == ""
		}},
		{"appId is the Authentication Broker, authenticationProtocol is deviceCode", func(r huntedRow) bool { return r.AppID == broker && r.Protocol == "deviceCode" }},
	}
}

// detections runs the rules over the sign-in log in the public service's form.
func (r *Runner) detections(ctx context.Context) string {
	list, err := directoryv1.NewReadServiceClient(r.device.Operator.Directory).ListSignIns(ctx, &directoryv1.ListSignInsRequest{Limit: 1000})
	if err != nil {
		return failure(err)
	}
	found, brought := map[string]int{}, 0
	for _, s := range list.GetSignIns() {
		var row huntedRow
		if err := json.Unmarshal([]byte(s.GetEntra()), &row); err != nil {
			return failure(err)
		}
		if row.Incoming == "primaryRefreshToken" {
			brought++
		}
		for _, d := range detections() {
			if d.matches(row) {
				found[d.words]++
			}
		}
	}
	if brought == 0 {
		return failure(errors.New("no row of the log has a PRT: the rules have nothing to look at"))
	}
	var b strings.Builder
	for _, d := range detections() {
		fmt.Fprintf(&b, "%s: %d\n", d.words, found[d.words])
	}
	return b.String()
}

// challenge is what Graph answers whose tokens it does not take any more.
var challenge = regexp.MustCompile(`error="insufficient_claims", claims="([^"]+)"`)

// graph has an app that takes challenges open a session at Graph, or call it with the
// token of the session. The token lives for a day: only a challenge ends it before.
func (r *Runner) graph(ctx context.Context, arg map[string]string) string {
	if arg["call"] == "" {
		wish := actor.Wish{Resource: "https://graph.microsoft.com", Claims: `{"access_token":{"xms_cc":{"values":["cp1"]}}}`}
		resp, _, err := r.device.App(r.tenant.App).Ask(ctx, r.desktops[arg["user"]], wish)
		if err != nil {
			return failure(err)
		}
		r.seat.session = secret.NewText(resp.GetAccessToken())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://graph.microsoft.com/v1.0/me", nil)
	if err != nil {
		return failure(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.seat.session.Reveal())
	status, header, err := r.answer(req)
	if err != nil {
		return failure(err)
	}
	out := fmt.Sprintf("Graph answers %d\n", status)
	demand := challenge.FindStringSubmatch(header.Get("WWW-Authenticate"))
	if demand == nil {
		return out
	}
	claims, err := base64.StdEncoding.DecodeString(demand[1])
	if err != nil {
		return failure(err)
	}
	out += "it demands a token that is younger than what happened\n"
	_, _, err = r.device.App(r.tenant.App).Ask(ctx, r.desktops[arg["user"]], actor.Wish{Resource: "https://graph.microsoft.com", Claims: string(claims)})
	return out + outcome("the app got one", err)
}

// tickets asks for a PRT as a device does, and for Kerberos tickets beside it, and names
// the members of the answer.
func (r *Runner) tickets(ctx context.Context, arg map[string]string) string {
	h, err := r.inHand(ctx, arg["user"])
	if err != nil {
		return failure(err)
	}
	_, password, err := r.person(arg)
	if err != nil {
		return failure(err)
	}
	nonce, err := h.nonce(ctx)
	if err != nil {
		return failure(err)
	}
	signed, err := h.chip.SignPRTRequest(ctx, &tpmv1.SignPRTRequestRequest{
		UserPrincipalName: h.upn, RequestNonce: nonce, Credential: &tpmv1.Credential{Kind: &tpmv1.Credential_Password{Password: password.Reveal()}},
	})
	if err != nil {
		return failure(err)
	}
	names, err := r.membersOf(ctx, url.Values{
		"windows_api_version": {"2.2"}, "grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "request": {signed.GetRequest()}, "client_info": {"1"}, "tgt": {"true"},
	})
	return outcome("the answer has: "+strings.Join(names, ", "), err)
}

func (r *Runner) membersOf(ctx context.Context, form url.Values) ([]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, lab.SignInOrigin+"/common/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	web, err := r.lab.Web()
	if err != nil {
		return nil, err
	}
	resp, err := web.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, err
	}
	if _, refused := members["error"]; refused {
		return nil, fmt.Errorf("status %d: %s", resp.StatusCode, members["error_description"])
	}
	return slices.Sorted(maps.Keys(members)), nil
}

// answer is what the cloud answers a browser that was never here: status and headers.
func (r *Runner) answer(req *http.Request) (int, http.Header, error) {
	web, err := r.lab.Web()
	if err != nil {
		return 0, nil, err
	}
	resp, err := web.Do(req)
	if err != nil {
		return 0, nil, err
	}
	return resp.StatusCode, resp.Header, resp.Body.Close()
}
