package front

import (
	"cmp"
	"net/http"
	"strconv"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/pages"
)

// methodCode is the second factor where a code is typed.
const methodCode = "PhoneAppOTP"

// maxEntropy is the greatest number to compare that clients can hold.
const maxEntropy = 255

// entropyOf reads the number to compare that a page before had; it is only shown.
func entropyOf(s string) int32 {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 || n > maxEntropy {
		return 0
	}
	return int32(n)
}

// sasAnswer is the answer of BeginAuth and EndAuth. All members are always there.
type sasAnswer struct {
	Success     bool   `json:"Success"`
	ResultValue string `json:"ResultValue"`
	Message     string `json:"Message,omitempty"`
	AuthMethod  string `json:"AuthMethodId"`
	ErrCode     int32  `json:"ErrCode"`
	Retry       bool   `json:"Retry"`
	FlowToken   string `json:"FlowToken"`
	Ctx         string `json:"Ctx"`
	SessionID   string `json:"SessionId"`
	Correlation string `json:"CorrelationId"`
	Timestamp   string `json:"Timestamp"`
	Entropy     int32  `json:"Entropy"`
}

// sasRequest is the body of both; EndAuth uses all of it.
type sasRequest struct {
	AuthMethodID       string `json:"AuthMethodId"`
	AdditionalAuthData string `json:"AdditionalAuthData"`
	SessionID          string `json:"SessionId"`
	FlowToken          string `json:"FlowToken"`
	Ctx                string `json:"Ctx"`
	PollCount          int32  `json:"PollCount"`
}

func (q sasRequest) flow() string { return cmp.Or(q.FlowToken, q.Ctx) }

// beginAuth starts a second factor: asked with JSON by clients, by the form of
// the page otherwise.
func (x *exchange) beginAuth() error {
	if x.isJSON() {
		return x.beginAuthJSON()
	}
	p, err := x.flowForm()
	if err != nil {
		return err
	}
	method := p["AuthMethodId"]
	if stage := provenElsewhere(method); stage != "" {
		return x.factorBy(p, method, stage)
	}
	a, err := x.signIn.BeginMethod(x.ctx, &idpv1.BeginMethodRequest{Caller: x.caller(), FlowToken: x.flow, MethodId: method})
	if err != nil {
		return err
	}
	f := x.factor(p, method, a.GetFlowToken(), a.GetSessionId(), a.GetErrorCode(), a.GetMessage())
	f.Wait.Entropy = a.GetEntropy()
	return x.render(http.StatusOK, f.View, f.config)
}

// factor is a page on which a factor that was begun is proven.
type factor struct {
	pages.View
	config pageConfig
}

func (x *exchange) factor(p params, method, flow, session string, code int32, message string) factor {
	page := &idpv1.SignInPage{
		Kind: idpv1.PageKind_PAGE_KIND_SECOND_FACTOR, FlowToken: flow, Canary: p["canary"], SessionId: sessionOf(p),
		ErrorCode: code, ErrorText: message,
	}
	c := x.config(page)
	f := factor{View: x.view(page, c), config: c}
	f.Stage = "wait"
	f.Wait = pages.Wait{MethodID: method, SessionID: session, Polls: maxPolls, Every: pollInterval}
	if method == methodCode || method == "OneWaySMS" || method == "ConsolidatedTelephony" {
		f.Stage = "code"
	}
	return f
}

// The second factors that have forms of their own, and the stages of the page for
// them.
const (
	methodPasskey     = "FidoKey"
	methodCertificate = "CertificateKey"
	methodAccessPass  = "AccessPass"
)

func provenElsewhere(method string) (stage string) {
	return map[string]string{methodPasskey: byPasskey, methodCertificate: byCertificate, methodAccessPass: byAccessPass}[method]
}

// factorBy shows the page for one of them.
func (x *exchange) factorBy(p params, method, stage string) error {
	flow, options := x.flow, ""
	if method == methodPasskey {
		a, err := x.signIn.BeginPasskey(x.ctx, &idpv1.BeginPasskeyRequest{Caller: x.caller(), FlowToken: x.flow})
		if err != nil {
			return err
		}
		flow, options = a.GetFlowToken(), a.GetOptions()
	}
	f := x.factor(p, method, flow, sessionOf(p), 0, "")
	f.Stage, f.Options = stage, options
	f.config.passkey(options)
	return x.render(http.StatusOK, f.View, f.config)
}

func (x *exchange) beginAuthJSON() error {
	var q sasRequest
	if err := x.object(&q); err != nil {
		failOAuth(x, err)
		return nil
	}
	a, err := x.signIn.BeginMethod(x.ctx, &idpv1.BeginMethodRequest{Caller: x.caller(), FlowToken: q.flow(), MethodId: q.AuthMethodID})
	if err != nil {
		x.sasFailure(q, err)
		return nil
	}
	result := "Success"
	if !a.GetSuccess() {
		result = "AuthenticationMethodFailed"
	}
	x.sas(sasAnswer{
		Success: a.GetSuccess(), ResultValue: result, Message: a.GetMessage(), AuthMethod: q.AuthMethodID, ErrCode: a.GetErrorCode(),
		FlowToken: a.GetFlowToken(), Ctx: a.GetFlowToken(), SessionID: a.GetSessionId(), Entropy: a.GetEntropy(),
	})
	return nil
}

func (x *exchange) sas(a sasAnswer) {
	a.Correlation, a.Timestamp = x.correlationID, x.now().Format("2006-01-02T15:04:05Z")
	if a.Entropy < 0 || a.Entropy > maxEntropy {
		a.Entropy = 0
	}
	x.json(http.StatusOK, a)
}

// sasFailure says in the words of this exchange what went wrong; the state stays
// what it was.
func (x *exchange) sasFailure(q sasRequest, err error) {
	x.observe(err)
	r := x.explain(err)
	x.sas(sasAnswer{
		ResultValue: "GenericError", Message: r.message, AuthMethod: q.AuthMethodID, ErrCode: int32(r.code), FlowToken: q.flow(), Ctx: q.flow(), SessionID: q.SessionID,
	})
}

// endAuth gives the code, or asks whether the sign-in was approved.
func (x *exchange) endAuth() error {
	if x.r.Method != http.MethodPost {
		return x.pollAuth()
	}
	if !x.isJSON() {
		return x.endAuthForm()
	}
	var q sasRequest
	if err := x.object(&q); err != nil {
		failOAuth(x, err)
		return nil
	}
	return x.checkMethod(q)
}

// pollAuth is the poll by GET, with its state in headers.
func (x *exchange) pollAuth() error {
	p, err := x.query()
	if err != nil {
		failOAuth(x, err)
		return nil
	}
	poll, _ := strconv.ParseInt(p["pollCount"], 10, 32)
	return x.checkMethod(sasRequest{
		AuthMethodID: p["authMethodId"], SessionID: header(x.r, "X-Ms-Sessionid", 128), FlowToken: header(x.r, "X-Ms-Flowtoken", maxBody),
		Ctx: header(x.r, "X-Ms-Ctx", maxBody), PollCount: int32(poll),
	})
}

func (x *exchange) checkMethod(q sasRequest) error {
	a, err := x.signIn.CheckMethod(x.ctx, q.check(x))
	if err != nil {
		x.sasFailure(q, err)
		return nil
	}
	x.sas(sasAnswer{
		Success: a.GetSuccess(), ResultValue: a.GetResultValue(), Message: a.GetMessage(), AuthMethod: q.AuthMethodID, ErrCode: a.GetErrorCode(),
		Retry: a.GetRetry(), FlowToken: a.GetFlowToken(), Ctx: a.GetFlowToken(), SessionID: a.GetSessionId(),
	})
	return nil
}

func (q sasRequest) check(x *exchange) *idpv1.CheckMethodRequest {
	return &idpv1.CheckMethodRequest{
		Caller: x.caller(), FlowToken: q.flow(), MethodId: q.AuthMethodID, SessionId: q.SessionID, OneTimeCode: q.AdditionalAuthData, Poll: q.PollCount,
	}
}

// endAuthForm is the same from the form of the page: when the factor is proven,
// the sign-in goes on at once.
func (x *exchange) endAuthForm() error {
	p, err := x.flowForm()
	if err != nil {
		return err
	}
	poll, _ := strconv.ParseInt(p["pollCount"], 10, 32)
	q := sasRequest{AuthMethodID: p["AuthMethodId"], AdditionalAuthData: p["otc"], SessionID: p["SessionId"], FlowToken: x.flow, PollCount: int32(poll)}
	a, err := x.signIn.CheckMethod(x.ctx, q.check(x))
	if err != nil {
		return err
	}
	if !a.GetSuccess() {
		f := x.factor(p, q.AuthMethodID, a.GetFlowToken(), a.GetSessionId(), a.GetErrorCode(), a.GetMessage())
		if f.Stage == "wait" && !a.GetRetry() {
			return x.page(f.Page) // it was declined: choose again
		}
		f.Wait.Poll, f.Wait.Entropy, f.Wait.Again = int(poll)+1, entropyOf(p["entropy"]), true
		return x.render(http.StatusOK, f.View, f.config)
	}
	x.flow = a.GetFlowToken()
	return x.completeMethod(p)
}

// processAuth goes on after the second factor, or takes one that is proven in this
// form. A button for another one only shows the page again.
func (x *exchange) processAuth() error {
	p, err := x.flowForm()
	if err != nil {
		return err
	}
	_, pass := p["accesspass"]
	switch {
	case p["another"] != "":
		return x.completeMethod(p)
	case p["assertion"] != "" || p["type"] == typePasskey:
		return x.submitPasskey(p)
	case pass:
		return x.submitAccessPass(p, cmp.Or(p["login"], p["loginfmt"]))
	default:
		return x.completeMethod(p)
	}
}

func (x *exchange) completeMethod(p params) error {
	a, err := x.signIn.CompleteMethod(x.ctx, &idpv1.CompleteMethodRequest{Caller: x.caller(), FlowToken: x.flow, Canary: p["canary"]})
	if err != nil {
		return err
	}
	return x.next(a.GetNext())
}
