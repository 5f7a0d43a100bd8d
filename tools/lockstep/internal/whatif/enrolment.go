package whatif

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
)

// Enrolment is a try of a user to set Windows Hello up on a new device, with one
// method beside the password.
type Enrolment struct {
	User string `json:"user"`
	// Method by the name of an authentication strength; empty for the password alone.
	Method string `json:"method"`
	// Provisioned says that there is a key now.
	Provisioned bool `json:"provisioned"`
	// Asked is what the person was asked for.
	Asked []string `json:"asked"`
	// Code is the AADSTS number of a refusal, or 0, and Reason says why.
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

// fresh is a joined device on which nobody has Windows Hello yet.
const fresh DeviceState = "new"

// Enrolments has every user that matches try to set up Windows Hello for the first
// time under a policy file, once with each of their methods: a new device, a sign-in
// with that method or else the password, and the page that wants a second factor of the
// last ten minutes.
func (w *World) Enrolments(ctx context.Context, policies []byte, users []string) ([]Enrolment, error) {
	if err := w.prepare(ctx, []DeviceState{fresh}); err != nil {
		return nil, err
	}
	if err := w.Apply(ctx, policies); err != nil {
		return nil, err
	}
	out := make([][]Enrolment, len(w.people))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(w.cfg.Workers)
	for i, p := range w.people {
		if p.password.Empty() || !matches(users, p.name(), p.local()) {
			continue
		}
		work.Go(func() (err error) {
			out[i], err = w.enrol(ctx, p)
			return err
		})
	}
	err := work.Wait()
	return slices.Concat(out...), err
}

// WithoutSpare lists the users of whom no try succeeded: they need another method
// before they can set Windows Hello up, and when the PRT does not work.
func WithoutSpare(all []Enrolment) []string {
	can := map[string]bool{}
	var users []string
	for _, e := range all {
		if !slices.Contains(users, e.User) {
			users = append(users, e.User)
		}
		can[e.User] = can[e.User] || e.Provisioned
	}
	return slices.DeleteFunc(users, func(u string) bool { return can[u] })
}

// enrol tries one person's methods, one after the other.
func (w *World) enrol(ctx context.Context, p *person) ([]Enrolment, error) {
	methods := p.spare()
	if len(methods) == 0 {
		methods = []string{""}
	}
	var all []Enrolment
	for _, m := range methods {
		e, err := w.enrolWith(ctx, p, m)
		if err != nil {
			return nil, fmt.Errorf("%s with %s: %w", p.name(), m, err)
		}
		all = append(all, e)
	}
	return all, nil
}

// begins is the credential to sign in to the device with for a try: the method itself
// when it can begin a sign-in, else the password, and then the page asks for it.
func begins(method string) Credential {
	for _, c := range []Credential{FIDO2, PhoneSignIn, AccessPass, Certificate} {
		if c.first() == method {
			return c
		}
	}
	return Password
}

func (w *World) enrolWith(ctx context.Context, p *person, method string) (e Enrolment, err error) {
	k, err := w.sit(ctx, p, fresh, begins(method))
	if err != nil {
		return e, err
	}
	defer func() {
		if closed := k.close(); err == nil {
			err = closed
		}
	}()
	e = Enrolment{User: p.name(), Method: p.named(method), Asked: orEmpty(k.proven)}
	if k.desktop == Open {
		k.only = []string{pageagent.Password, method}
		var asked []string
		asked, err = k.provision(ctx)
		e.Asked = append(e.Asked, asked...)
	} else {
		err = k.why
	}
	if err == nil {
		e.Provisioned = true
		return e, k.forget(ctx)
	}
	if !refused(err) {
		return e, err
	}
	e.Code, e.Reason = int(prterr.CodeOf(err)), err.Error()
	return e, nil
}

// forget takes the key away again, on the device and in the directory: the next try
// is a first one as well.
func (k *desk) forget(ctx context.Context) error {
	if _, err := k.hello.RemoveHello(ctx, &lsav1.RemoveHelloRequest{LogonSession: k.session.Reveal()}); err != nil {
		return err
	}
	list, err := k.world.cloud.read.ListUserMethods(ctx, &directoryv1.ListUserMethodsRequest{UserPrincipalName: k.person.name()})
	if err != nil {
		return err
	}
	for _, m := range list.GetMethods() {
		if m.GetKind() != Hello.method() || m.GetDeviceId() != k.device.id {
			continue
		}
		_, err := k.world.cloud.admin.RemoveUserMethod(ctx, &directoryv1.RemoveUserMethodRequest{
			UserPrincipalName: k.person.name(), MethodId: m.GetMethodId(),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
