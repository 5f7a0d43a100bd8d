package front

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/wstrust"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/sts"
)

// answerFault is a fault with the HTTP status that carries it.
type answerFault struct {
	status int
	wstrust.Fault
}

func senderFault(status int, subcode wstrust.Subcode, reason string) *answerFault {
	return &answerFault{status, wstrust.Fault{Code: wstrust.Sender, Subcode: subcode, Reason: reason}}
}

// issue serves an endpoint of one version: for passwords, or for certificates.
func (f *Front) issue(v wstrust.Version, endpoint string, certificate bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !allowed(w, r, http.MethodPost) {
			return
		}
		req, bad := readRequest(w, r, v, endpoint)
		if bad == nil && (req.Certificate != nil) != certificate {
			bad = senderFault(http.StatusBadRequest, wstrust.InvalidRequest, "the endpoint is for another kind of credential: take the one that the metadata names for it")
		}
		if bad != nil {
			f.fault(w, r, req, bad)
			return
		}
		token, err := f.sts.Issue(r.Context(), sts.Request{
			Name: req.Username, Password: req.Password, Certificate: req.Certificate, AppliesTo: req.AppliesTo,
		})
		if err != nil {
			f.fault(w, r, req, faultOf(err))
			return
		}
		tokenType := req.TokenType
		if tokenType == "" {
			tokenType = wstrust.TokenSAML11
		}
		xml, err := wstrust.Response{
			Version: v, RelatesTo: req.MessageID, Created: token.From, Expires: token.Until,
			AppliesTo: req.AppliesTo, TokenType: tokenType, Assertion: token.Assertion,
		}.Encode()
		if err != nil {
			f.log.ErrorContext(r.Context(), "answer not written", "error", err)
			f.fault(w, r, req, faultOf(prterr.New(prterr.Internal, "the answer could not be written: see the provider's log")))
			return
		}
		write(w, http.StatusOK, wstrust.ContentType, []byte(xml.Reveal()))
	}
}

// readRequest gives the request as far as it was read, and what is wrong with it.
func readRequest(w http.ResponseWriter, r *http.Request, v wstrust.Version, endpoint string) (wstrust.Request, *answerFault) {
	if kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/soap+xml" ||
		params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return wstrust.Request{}, senderFault(http.StatusUnsupportedMediaType, wstrust.InvalidRequest, "Content-Type is not "+wstrust.ContentType)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wstrust.MaxMessage))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return wstrust.Request{}, senderFault(http.StatusRequestEntityTooLarge, wstrust.InvalidRequest, wstrust.ErrSize.Error())
	case err != nil:
		return wstrust.Request{}, senderFault(http.StatusBadRequest, wstrust.InvalidRequest, "the message did not arrive whole")
	}
	req, err := wstrust.ReadRequest(body)
	switch {
	case errors.Is(err, wstrust.ErrMustUnderstand):
		return req, &answerFault{http.StatusInternalServerError, wstrust.Fault{Code: wstrust.MustUnderstand, Reason: err.Error()}}
	case err != nil:
		return req, senderFault(http.StatusBadRequest, wstrust.InvalidRequest, err.Error())
	case req.Version != v:
		return req, senderFault(http.StatusInternalServerError, wstrust.ActionNotSupported, "this endpoint speaks another version of WS-Trust: take the one that the metadata names for it")
	case req.To != "" && !strings.EqualFold(req.To, endpoint):
		return req, senderFault(http.StatusInternalServerError, wstrust.DestinationUnreachable, "wsa:To is not the address of this endpoint: "+endpoint)
	case req.TokenType != "" && req.TokenType != wstrust.TokenSAML11 && req.TokenType != wstrust.TokenSAML11Profile:
		return req, senderFault(http.StatusInternalServerError, wstrust.InvalidRequest, "TokenType is not served: leave it out, or ask for SAML 1.1")
	}
	return req, nil
}

// faultOf turns the token service's error into the words of the wire. AD FS says
// 500 to a wrong password too, and clients know it.
func faultOf(err error) *answerFault {
	var e *prterr.Error
	switch {
	case prterr.KindOf(err) == prterr.Unauthenticated:
		return senderFault(http.StatusInternalServerError, wstrust.FailedAuthentication, sts.FailedReason)
	case errors.Is(err, sts.ErrAudience) && errors.As(err, &e):
		return senderFault(http.StatusInternalServerError, wstrust.InvalidScope, e.Msg)
	}
	status := http.StatusInternalServerError
	switch prterr.KindOf(err) {
	case prterr.Unavailable, prterr.Deadline, prterr.Exhausted:
		status = http.StatusServiceUnavailable
	default: // ours to mend
	}
	return &answerFault{status, wstrust.Fault{Code: wstrust.Receiver, Subcode: wstrust.RequestFailed, Reason: "the provider could not answer: try again"}}
}

func (f *Front) fault(w http.ResponseWriter, r *http.Request, req wstrust.Request, bad *answerFault) {
	bad.RelatesTo = req.MessageID
	xml, err := bad.Encode()
	if err != nil {
		f.log.ErrorContext(r.Context(), "fault not written", "error", err)
		http.Error(w, "the fault could not be written: see the provider's log", http.StatusInternalServerError)
		return
	}
	write(w, bad.status, wstrust.ContentType, xml)
}
