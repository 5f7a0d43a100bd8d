package flows

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/step"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
)

// mishap carries out the commands about a component that dies while it writes, files of
// another day, and what somebody finds who reads everything.
func (r *Runner) mishap(ctx context.Context, command string, arg map[string]string) (string, bool) {
	switch command {
	case "crash": // crash at=renamed: lsa-cloudap dies when it comes there
		r.crash.Store(arg["at"])
		return "lsa-cloudap will die at: " + arg["at"] + "\n", true
	case "comes-back": // comes-back: a new process on what is left
		if at, _ := r.crash.Load().(string); at != "" {
			return failure(fmt.Errorf("lsa-cloudap did not come to %s", at)), true
		}
		return outcome("lsa-cloudap was started again", r.device.Restart(context.WithoutCancel(ctx), "lsa-cloudap")), true
	case "keep-cache": // keep-cache: a copy of lsa-cloudap's files of now
		return r.keepCache(ctx), true
	case "old-cache": // old-cache: that copy over the files of now
		return r.oldCache(ctx), true
	case "cache-check": // cache-check
		return r.cacheCheck(ctx), true
	case "search": // search for=secrets|name user=alice
		return r.search(ctx, arg), true
	case "enter-slowly": // enter-slowly user=alice: a sign-in that has to wait
		return r.enterSlowly(ctx, arg), true
	case "at-once": // at-once n=8 user=alice: so many sign-ins and tokens at one time
		return r.atOnce(ctx, arg), true
	default:
		return "", false
	}
}

// stillWaiting is how long a sign-in that has to wait is looked at.
const stillWaiting = time.Second

// enterSlowly signs somebody in and tells whether the desktop was open after a second.
func (r *Runner) enterSlowly(ctx context.Context, arg map[string]string) string {
	out := make(chan string, 1)
	go func() { out <- unladdered(r.signIn(ctx, arg)) }()
	select {
	case said := <-out:
		return "it did not wait\n" + said
	case <-time.After(stillWaiting):
	}
	said := <-out
	// A connection that comes to nothing and an answer that does not come are told apart;
	// which of them it is depends on the carrier.
	if strings.HasPrefix(said, "error (deadline)") || strings.HasPrefix(said, "error (unavailable)") {
		said = "then it failed: the identity provider has not answered\n"
	}
	return "after a second the desktop is not open\n" + said
}

// dies is the crash point of lsa-cloudap.
func (r *Runner) dies(at string) {
	if armed, _ := r.crash.Load().(string); armed == at && at != "" {
		r.crash.Store("")
		r.die(at)
	}
}

func (r *Runner) keepCache(ctx context.Context) string {
	dir, err := os.MkdirTemp("", "cache")
	if err == nil {
		r.saved = dir
		err = r.withoutLSA(ctx, func(state string) error { return os.CopyFS(filepath.Join(dir, "state"), os.DirFS(state)) })
	}
	return outcome("the cache is copied", err)
}

func (r *Runner) oldCache(ctx context.Context) string {
	if r.saved == "" {
		return failure(errors.New("no cache was kept"))
	}
	return outcome("the cache of that day lies over the one of now", r.withoutLSA(ctx, func(state string) error {
		if err := os.RemoveAll(state); err != nil {
			return err
		}
		if err := os.CopyFS(state, os.DirFS(filepath.Join(r.saved, "state"))); err != nil {
			return err
		}
		return filepath.WalkDir(state, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Chmod(path, map[bool]fs.FileMode{true: 0o700, false: 0o600}[e.IsDir()])
		})
	}))
}

// withoutLSA does something to the files of lsa-cloudap while it does not run.
func (r *Runner) withoutLSA(ctx context.Context, do func(state string) error) error {
	const component = "lsa-cloudap"
	if err := r.device.Stop(component); err != nil {
		return err
	}
	return errors.Join(do(r.device.StateDir(component)), r.device.Resume(context.WithoutCancel(ctx), component))
}

func (r *Runner) cacheCheck(ctx context.Context) string {
	s, err := lsav1.NewSSOStateServiceClient(r.device.Operator.LSA).GetSSOState(ctx, &lsav1.GetSSOStateRequest{})
	if err != nil {
		return failure(err)
	}
	c := s.GetCache()
	verdict := strings.ToLower(strings.TrimPrefix(c.GetVerification().String(), "CACHE_VERIFICATION_"))
	return fmt.Sprintf("the cache is %s, files in quarantine: %d\n", strings.ReplaceAll(verdict, "_", " "), len(c.GetQuarantined()))
}

// logged is everything that the components of a lab log.
type logged struct {
	mu   sync.Mutex
	text []byte
}

// Write adds lines.
func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	return len(b), nil
}

func (l *logged) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// search looks for what a user typed and got, or for the user's name, in everything that
// is written: the files and the events of the device, and the logs of all components. Each place has to hold something, or its zero would say nothing.
func (r *Runner) search(ctx context.Context, arg map[string]string) string {
	if r.log == nil {
		return failure(errors.New("nothing was logged: begin with \"lab log\""))
	}
	upn, password, err := r.person(arg)
	if err != nil {
		return failure(err)
	}
	words := []string{upn}
	if arg["for"] == "secrets" {
		if words, err = r.secrets(ctx, arg, password.Reveal()); err != nil {
			return failure(err)
		}
	}
	places, err := r.written(ctx)
	if err != nil {
		return failure(err)
	}
	var b strings.Builder
	for _, p := range []string{"files", "logs", "events"} {
		if places[p] == "" {
			return failure(fmt.Errorf("there are no %s", p))
		}
		n := 0
		for _, w := range words {
			n += strings.Count(places[p], w)
		}
		found := "nothing"
		if n > 0 {
			found = "it is there"
		}
		fmt.Fprintf(&b, "%s: %s\n", p, found)
	}
	return b.String()
}

// secrets are what a user typed, and what a device got for it: a PRT, an access token.
func (r *Runner) secrets(ctx context.Context, arg map[string]string, password string) ([]string, error) {
	resp, _, err := r.device.App(r.tenant.App).Ask(ctx, r.desktops[arg["user"]], actor.Wish{Resource: r.tenant.Resource})
	if err != nil {
		return nil, err
	}
	h, request, err := r.signed(ctx, map[string]string{"user": arg["user"]})
	if err != nil {
		return nil, err
	}
	// A renewal by hand holds the PRT of the device as it is.
	prt, err := prtIn(request)
	if err != nil {
		return nil, err
	}
	opened, err := h.renew(ctx, request)
	if err != nil {
		return nil, err
	}
	words := []string{password, resp.GetAccessToken(), prt, opened.GetPrt()}
	if slices.Contains(words, "") {
		return nil, errors.New("one of the secrets is empty")
	}
	return words, nil
}

// written is all that the components wrote, by the kind of place.
func (r *Runner) written(ctx context.Context) (map[string]string, error) {
	r.seat.told += r.events(ctx) // which has what is new
	places := map[string]string{"logs": r.log.all(), "events": r.seat.told}
	var files strings.Builder
	for _, c := range []string{"tpm-agent", "dsreg", "lsa-cloudap", "wam-broker"} {
		err := filepath.WalkDir(r.device.StateDir(c), func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && !e.Type().IsRegular() {
				return nil
			}
			raw, err := os.ReadFile(path)
			files.Write(raw)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	places["files"] = files.String()
	return places, nil
}

// atOnce has users sign in and apps ask at one time. Whoever comes gets what is asked for,
// and one PRT is left.
func (r *Runner) atOnce(ctx context.Context, arg map[string]string) string {
	upn, password, err := r.person(arg)
	n, bad := count(arg["n"])
	if err = errors.Join(err, bad); err != nil {
		return failure(err)
	}
	var wg sync.WaitGroup
	failed := make([]error, n)
	for i := range n {
		wg.Go(func() {
			d := r.desktops[arg["user"]]
			if i%2 == 0 {
				if d, _, failed[i] = r.device.LogonUI.SignIn(ctx, upn, password); failed[i] != nil {
					return
				}
			}
			_, _, failed[i] = r.device.App(r.tenant.App).Ask(ctx, d, actor.Wish{Resource: r.tenant.Resource, Fresh: true})
		})
	}
	wg.Wait()
	if err := errors.Join(errors.Join(failed...), r.device.Operator.AwaitSSOState(step.Outside(ctx), nil)); err != nil {
		return failure(err)
	}
	return fmt.Sprintf("%d came at once, by sign-ins and by apps, and each got a token\n", n)
}

// prtIn is the PRT in a renewal.
func prtIn(request string) (string, error) {
	parsed, err := jose.Parse(request)
	if err != nil {
		return "", err
	}
	var c struct {
		PRT string `json:"refresh_token"`
	}
	err = parsed.Claims(&c)
	return c.PRT, err
}
