// Package app is a native application that signs people in through a browser
// (RFC 8252): it opens an address, listens for the code and redeems it.
//
// What lives here: what such an application does, by its own code. What never may:
// pages. The tests of the module are the only callers.
package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// CommandLine is the client id of the Azure CLI, which takes an answer at
	// every port of localhost and may ask for every resource.
	CommandLine = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	// Scope asks for an ID token, a refresh token and Microsoft Graph.
	Scope = "openid profile offline_access https://graph.microsoft.com/.default"

	patience = 30 * time.Second
	maxBody  = 1 << 20
)

// Config says where the application signs in.
type Config struct {
	// HTTP reaches the token endpoint at Login.
	HTTP  *http.Client
	Login string
	// Tenant is a GUID, a domain or organizations.
	Tenant string
}

// App is the application, listening.
type App struct {
	cfg    Config
	server *http.Server
	port   int

	mu   sync.Mutex
	wait map[string]chan url.Values
}

// New starts to listen on localhost.
func New(cfg Config) (*App, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, port: l.Addr().(*net.TCPAddr).Port, wait: map[string]chan url.Values{}}
	a.server = &http.Server{Handler: http.HandlerFunc(a.answered), ReadHeaderTimeout: patience}
	go func() { _ = a.server.Serve(l) }() // ends with Close
	return a, nil
}

// Close stops to listen.
func (a *App) Close() { _ = a.server.Close() }

// redirectURI has the name that native applications register, and a port of its own.
func (a *App) redirectURI() string { return fmt.Sprintf("http://localhost:%d/", a.port) }

func (a *App) answered(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = r.ParseForm()
	a.mu.Lock()
	c := a.wait[r.Form.Get("state")]
	a.mu.Unlock()
	if c == nil {
		http.Error(w, "nobody waits for this", http.StatusNotFound)
		return
	}
	select {
	case c <- r.Form:
	default: // it was answered before
	}
	_, _ = io.WriteString(w, `<!DOCTYPE html><html lang="en"><title>Back at the app</title><h1 id="back">Back at the app</h1></html>`)
}

// SignIn is one sign-in of the application.
type SignIn struct {
	// URL is what the browser opens.
	URL      string
	app      *App
	form     url.Values
	verifier string
	answer   chan url.Values
}

// Begin makes the address of a sign-in. More are names and values of parameters
// that replace or join the usual ones.
func (a *App) Begin(more ...string) *SignIn {
	s := &SignIn{app: a, verifier: rand.Text() + rand.Text(), answer: make(chan url.Values, 1)}
	sum := sha256.Sum256([]byte(s.verifier))
	s.form = url.Values{
		"client_id": {CommandLine}, "response_type": {"code"}, "redirect_uri": {a.redirectURI()}, "scope": {Scope}, "state": {rand.Text()},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		s.form.Set(more[i], more[i+1])
	}
	s.URL = "https://" + a.cfg.Login + "/" + a.cfg.Tenant + "/oauth2/v2.0/authorize?" + s.form.Encode()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wait[s.form.Get("state")] = s.answer
	return s
}

// Tokens are what the application has in the end, by the names of the claims.
type Tokens struct {
	// Access and ID are the claims of the tokens; that signatures verify is looked
	// at elsewhere.
	Access, ID map[string]any
	// AccessToken is the token itself.
	AccessToken string
}

// AMR are the methods that the access token names.
func (t Tokens) AMR() []string {
	list, _ := t.Access["amr"].([]any)
	var all []string
	for _, v := range list {
		all = append(all, fmt.Sprint(v))
	}
	return all
}

// Answer waits for what the browser brings: a code, or the text of a refusal.
func (s *SignIn) Answer(ctx context.Context) (url.Values, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case v := <-s.answer:
		return v, nil
	case <-ctx.Done():
		return nil, errors.New("the browser did not come back to the application")
	}
}

// Tokens waits for the code and redeems it.
func (s *SignIn) Tokens(ctx context.Context) (Tokens, error) {
	v, err := s.Answer(ctx)
	if err != nil {
		return Tokens{}, err
	}
	if v.Get("code") == "" {
		return Tokens{}, fmt.Errorf("refused: %s: %s", v.Get("error"), v.Get("error_description"))
	}
	return s.app.redeem(ctx, url.Values{
		"client_id": s.form["client_id"], "grant_type": {"authorization_code"}, "code": {v.Get("code")}, "redirect_uri": s.form["redirect_uri"],
		"code_verifier": {s.verifier}, "scope": s.form["scope"],
	})
}

func (a *App) redeem(ctx context.Context, form url.Values) (t Tokens, err error) {
	var out map[string]any
	if out, err = a.post(ctx, "token", form); err != nil {
		return t, err
	}
	t.AccessToken, _ = out["access_token"].(string)
	if t.Access, err = claims(t.AccessToken); err != nil {
		return t, err
	}
	if id, ok := out["id_token"].(string); ok {
		t.ID, err = claims(id)
	}
	return t, err
}

// post sends a form to an endpoint of version 2.0.
func (a *App) post(ctx context.Context, endpoint string, form url.Values) (map[string]any, error) {
	u := "https://" + a.cfg.Login + "/" + a.cfg.Tenant + "/oauth2/v2.0/" + endpoint
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := a.cfg.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	var out map[string]any
	if err := json.NewDecoder(io.LimitReader(res.Body, maxBody)).Decode(&out); err != nil {
		return nil, fmt.Errorf("%s: %w", res.Status, err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %v: %v", res.Status, out["error"], out["error_description"])
	}
	return out, nil
}

func claims(token string) (map[string]any, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("not a token: %.40q", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, err
	}
	var m map[string]any
	return m, json.Unmarshal(raw, &m)
}

// DeviceCode is a sign-in of an application on a device without a browser (RFC 8628).
type DeviceCode struct {
	// UserCode is what the person types, at the page with the address URL.
	UserCode, URL string
	app           *App
	device        string
}

// BeginDevice asks for a code.
func (a *App) BeginDevice(ctx context.Context) (*DeviceCode, error) {
	out, err := a.post(ctx, "devicecode", url.Values{"client_id": {CommandLine}, "scope": {Scope}})
	if err != nil {
		return nil, err
	}
	d := &DeviceCode{app: a}
	d.UserCode, _ = out["user_code"].(string)
	d.URL, _ = out["verification_uri"].(string)
	d.device, _ = out["device_code"].(string)
	return d, nil
}

// Tokens asks once whether the person is done.
func (d *DeviceCode) Tokens(ctx context.Context) (Tokens, error) {
	return d.app.redeem(ctx, url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {CommandLine}, "device_code": {d.device},
	})
}
