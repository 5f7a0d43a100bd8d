package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html"
)

// config is what the pages tell their script; the names are Entra's.
type config struct {
	PageID     string `json:"pgid"`
	Flow       string `json:"sFT"`
	Ctx        string `json:"sCtx"`
	Canary     string `json:"canary"`
	APICanary  string `json:"apiCanary"`
	Session    string `json:"sessionId"`
	Post       string `json:"urlPost"`
	BeginAuth  string `json:"urlBeginAuth"`
	EndAuth    string `json:"urlEndAuth"`
	ErrorCode  string `json:"sErrorCode"`
	ErrorText  string `json:"sErrTxt"`
	Exception  string `json:"strServiceExceptionMessage"`
	Additional string `json:"strAdditionalMessage"`
	Proofs     []struct {
		Method  string `json:"authMethodId"`
		Default bool   `json:"isDefault"`
	} `json:"arrUserProofs"`
}

// after says what the browser does with a page.
func (b *Browser) after(ctx context.Context, p page) (step, error) {
	if to := p.header.Get("Location"); p.status/100 == 3 && to != "" {
		return b.resolve(p, to, nil)
	}
	if c, ok := readConfig(p.body); ok {
		return b.fill(ctx, p, c)
	}
	if m := regexp.MustCompile(`document\.location\.replace\("([^"]*)"\)`).FindSubmatch(p.body); m != nil {
		var to string
		if err := json.Unmarshal([]byte(`"`+string(m[1])+`"`), &to); err != nil {
			return step{}, fmt.Errorf("the page's location.replace: %w", err)
		}
		return b.resolve(p, to, nil)
	}
	if f, ok := readForm(p.body); ok && f.asks("UserName", "Password") {
		return b.federated(p, f)
	} else if ok && f.asks() {
		return b.resolve(p, f.action, f.hidden)
	}
	return step{}, fmt.Errorf("nothing to do on a page with status %d: %.200q", p.status, p.body)
}

func (b *Browser) resolve(p page, to string, form url.Values) (step, error) {
	u, err := p.url.Parse(to)
	if err != nil {
		return step{}, err
	}
	if form != nil {
		return post(u.String(), form), nil
	}
	return get(u.String()), nil
}

// readConfig cuts the block out as clients do: up to //]]>, less two characters.
func readConfig(body []byte) (config, bool) {
	_, rest, ok := bytes.Cut(body, []byte("$Config="))
	if !ok {
		return config{}, false
	}
	block, _, ok := bytes.Cut(rest, []byte("//]]>"))
	if !ok || len(block) < 2 {
		return config{}, false
	}
	var c config
	if json.Unmarshal(block[:len(block)-2], &c) != nil {
		return config{}, false
	}
	return c, true
}

func (b *Browser) fill(ctx context.Context, p page, c config) (step, error) {
	form := url.Values{"ctx": {c.Ctx}, "flowToken": {c.Flow}, "canary": {c.Canary}}
	switch c.PageID {
	case "ConvergedSignIn":
		if p.url.Path != "" && strings.HasSuffix(strings.ToLower(p.url.Path), "/login") {
			return step{}, fmt.Errorf("sign-in refused: %s %s", c.ErrorCode, c.ErrorText)
		}
		form.Set("login", b.cfg.Username)
		form.Set("loginfmt", b.cfg.Username)
		form.Set("passwd", b.cfg.Password)
		form.Set("type", "11")
		return b.resolve(p, c.Post, form)
	case "KmsiInterrupt":
		form.Set("LoginOptions", "3") // no
		form.Set("type", "28")
		return b.resolve(p, c.Post, form)
	case "ConvergedTFA":
		return b.secondFactor(ctx, p, c)
	}
	if f, ok := readForm(p.body); ok && f.asks() {
		return b.resolve(p, f.action, f.hidden)
	}
	return step{}, fmt.Errorf("page %s: %s %s %s %s", c.PageID, c.ErrorCode, c.ErrorText, c.Exception, c.Additional)
}

// federated types name and password on the page of AD FS, once.
func (b *Browser) federated(p page, f form) (step, error) {
	if b.away {
		return step{}, fmt.Errorf("the federation provider asks again: %.2000q", p.body)
	}
	b.away = true
	f.hidden.Set("UserName", b.cfg.Username)
	f.hidden.Set("Password", b.cfg.Password)
	return b.resolve(p, f.action, f.hidden)
}

// answer is what BeginAuth and EndAuth say.
type answer struct {
	Success, Retry bool
	Message        string
	Ctx            string
	FlowToken      string
	SessionID      string `json:"SessionId"`
}

// secondFactor types the code of the user's authenticator.
func (b *Browser) secondFactor(ctx context.Context, p page, c config) (step, error) {
	if b.cfg.OneTimeCode == nil {
		return step{}, errors.New("a second factor is wanted, and the user has none")
	}
	const method = "PhoneAppOTP"
	begun, err := b.factor(ctx, p, c, c.BeginAuth, map[string]string{"AuthMethodId": method, "Method": "BeginAuth", "ctx": c.Ctx, "flowToken": c.Flow})
	if err != nil {
		return step{}, err
	}
	code, err := b.cfg.OneTimeCode(ctx)
	if err != nil {
		return step{}, err
	}
	ended, err := b.factor(ctx, p, c, c.EndAuth, map[string]string{
		"AuthMethodId": method, "Method": "EndAuth", "SessionId": begun.SessionID, "FlowToken": begun.FlowToken, "Ctx": begun.Ctx, "AdditionalAuthData": code,
	})
	if err != nil {
		return step{}, err
	}
	if !ended.Success {
		return step{}, fmt.Errorf("the second factor was refused: %s", ended.Message)
	}
	return b.resolve(p, c.Post, url.Values{
		"request": {ended.Ctx}, "mfaAuthMethod": {method}, "login": {b.cfg.Username}, "flowToken": {ended.FlowToken}, "canary": {c.Canary},
	})
}

func (b *Browser) factor(ctx context.Context, p page, c config, to string, body map[string]string) (answer, error) {
	u, err := p.url.Parse(to)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	canary := c.APICanary
	if canary == "" {
		canary = c.Canary
	}
	got, err := b.do(ctx, step{method: http.MethodPost, url: u.String(), json: body, header: http.Header{"Canary": {canary}}})
	if err != nil {
		return answer{}, err
	}
	var a answer
	if err := json.Unmarshal(got.body, &a); err != nil {
		return answer{}, fmt.Errorf("%s: %w: %.200q", u.Path, err, got.body)
	}
	return a, nil
}

// form is the first form of a page: what it sends of itself, and what a person has
// to type.
type form struct {
	action string
	hidden url.Values
	typed  []string
}

// asks says whether a person has to type these fields and no others. A form that
// asks for nothing posts itself.
func (f form) asks(fields ...string) bool {
	return slices.Equal(f.typed, fields) && len(f.hidden) > 0
}

func readForm(body []byte) (form, bool) {
	doc, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		return form{}, false
	}
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" {
			return fields(n), true
		}
	}
	return form{}, false
}

func fields(of *html.Node) form {
	f := form{action: attribute(of, "action"), hidden: url.Values{}}
	for n := range of.Descendants() {
		if n.Type != html.ElementNode || n.Data != "input" {
			continue
		}
		switch attribute(n, "type") {
		case "hidden":
			f.hidden.Add(attribute(n, "name"), attribute(n, "value"))
		case "submit", "checkbox":
		default:
			f.typed = append(f.typed, attribute(n, "name"))
		}
	}
	return f
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
