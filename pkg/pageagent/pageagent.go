// Package pageagent is a scripted browser: it goes through the identity provider's
// sign-in pages over HTTPS as a person would, and keeps a ledger of what the person
// was asked.
//
// What lives here: reading pages and forms, answering them from what a Person has,
// cookies and redirects. What never may: knowledge of the identity provider that is
// not on a page, a regular expression on HTML, a secret in an error. Flow scripts,
// the lab's sign-in window and the what-if report call it; a sign-in window for
// people is a real browser.
//
// Its two powers: the same pages that people see are what it needs, so a page that
// it cannot get through is a defect; and it types a secret on the pages of the
// origins that it was given and nowhere else. Its limit: it runs no scripts.
package pageagent

import (
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// Bounds of one run.
const (
	// maxRounds bounds requests, redirects among them.
	maxRounds = 192
	// maxPage bounds an answer, in bytes.
	maxPage = 1 << 20
	// maxAddress bounds an address, in bytes; one with a code in it has a few KiB.
	maxAddress = 64 << 10
	// runTime bounds a run when the configuration does not.
	runTime = 2 * time.Minute
)

// userAgent is what the agent says it is when it is told nothing else: a browser
// on Windows, which is where a sign-in window is.
const userAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Lockstep"

// Config says who sits before the pages, and how they are reached.
type Config struct {
	// HTTP reaches the pages. Its cookie jar is the browser's, kept from run to run;
	// without one the agent has its own. It follows no redirect by itself here.
	HTTP *http.Client
	// Person answers the pages.
	Person Person
	// Origins are further origins on whose pages the person types secrets, such as
	// https://sts.adatum.test. The origin of the address of a run is always one.
	Origins []string
	// UserAgent is the header of that name; empty is a browser on Windows.
	UserAgent string
	// Clock makes one-time codes; nil is the machine's.
	Clock clock.Clock
	// Timeout bounds a run; zero is two minutes.
	Timeout time.Duration
}

// Agent is a browser with a person before it. It is for one run at a time, as a
// browser's window is.
type Agent struct {
	cfg  Config
	http *http.Client
}

// New makes an agent. HTTP may not be nil: there is no way to the pages that would
// be right for everybody.
func New(cfg Config) (*Agent, error) {
	if cfg.HTTP == nil {
		return nil, errors.New("pageagent: HTTP is missing: give the client that reaches the pages")
	}
	for _, o := range cfg.Origins {
		if u, err := url.Parse(o); err != nil || originOf(u) != o {
			return nil, errors.New("pageagent: origins: give scheme and host alone, such as https://sts.adatum.test")
		}
	}
	client := *cfg.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if client.Jar == nil {
		jar, err := cookiejar.New(nil)
		if err != nil {
			return nil, err
		}
		client.Jar = jar
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = userAgent
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = runTime
	}
	cfg.Clock = clock.Or(cfg.Clock)
	return &Agent{cfg: cfg, http: &client}, nil
}

// Run opens an address with headers on the first request only, and goes through
// the pages until one leads to the redirect_uri that the address names, or there is
// nothing more to do on a page. The first answer is the address it ended at, with
// code or error in it; it was not opened, and Answer reads it. An application that
// has its answer posted gets the same address here, with the form as its query.
//
// The second answer is the ledger: the questions that the person had to answer, in
// order, in the names of this package. The user name and "stay signed in?" are not
// in it: they prove nothing. It is there with an error too.
//
// A page that says no is an error of pkg/prterr with the page's AADSTS code.
func (a *Agent) Run(ctx context.Context, address string, headers http.Header) (final string, prompts []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Timeout)
	defer cancel()
	v, err := a.visit(address)
	if err != nil {
		return "", nil, err
	}
	final, err = v.run(ctx, address, headers)
	if errors.Is(err, context.DeadlineExceeded) {
		err = prterr.Wrap(prterr.Deadline, err, "the sign-in pages took too long")
	}
	return final, v.prompts, err
}

// visit is one run.
type visit struct {
	*Agent
	// redirect is where the pages lead back to; empty for those that lead nowhere.
	redirect string
	origins  []string
	prompts  []string
	// answered counts the answers to each question, so that one that comes back with
	// an error is known to have been refused.
	answered map[string]int
	// last is the kind of the page before.
	last string
}

func (a *Agent) visit(address string) (*visit, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(address) > maxAddress {
		return nil, prterr.New(prterr.Invalid, "the address of the sign-in page is not an https address")
	}
	v := &visit{
		Agent: a, redirect: u.Query().Get("redirect_uri"), origins: append(slices.Clone(a.cfg.Origins), originOf(u)), answered: map[string]int{},
	}
	if a.cfg.Person.Certificate {
		v.origins = append(v.origins, certificateOrigin(u))
	}
	return v, nil
}

// ask puts a question into the ledger.
func (v *visit) ask(prompt string) { v.prompts = append(v.prompts, prompt) }

// once counts the answer to a question, and refuses to give it for ever: a page that
// asks again without an error has lost it.
func (v *visit) once(question string, most int) error {
	if v.answered[question]++; v.answered[question] > most {
		return prterr.New(prterr.Denied, "the sign-in pages ask for the same again and again: %s", question)
	}
	return nil
}

// originOf is scheme and authority.
func originOf(u *url.URL) string { return u.Scheme + "://" + u.Host }
