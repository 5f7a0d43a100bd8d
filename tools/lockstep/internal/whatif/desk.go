package whatif

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/services/browsercore"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
	wambroker "github.com/lockstep-sso/lockstep/services/wam-broker"
)

// desk is a person before a computer, who has signed in to it with one credential or
// tried to. CloudAP and broker are the person's alone and begin empty, so nothing
// that was proven elsewhere is in them. A desk runs one cell at a time.
type desk struct {
	device     *device // nil without a computer of the tenant's
	person     *person
	credential Credential
	world      *World

	lsa    *lsacloudap.Service
	broker *wambroker.Service
	dir    string
	// computer is what CloudAP, broker and browser speak to the cloud through.
	computer *wire

	authority grpc.ClientConnInterface
	logon     lsav1.LogonServiceClient
	web       lsav1.WebSignInServiceClient
	hello     lsav1.HelloServiceClient
	tokens    wamv1.BrokerServiceClient
	windows   wamv1.WindowServiceClient

	session secret.Text
	desktop Desktop
	// why the desktop did not open.
	why error
	// only narrows the methods that the person takes; nil is all of them.
	only []string
	// proven is what the person was asked for at the sign-in to the device.
	proven []string
	// spent says that a cell has changed what CloudAP holds of the person.
	spent bool
}

// sit makes a desk and signs the person in.
func (w *World) sit(ctx context.Context, p *person, state DeviceState, c Credential) (_ *desk, err error) {
	k := &desk{device: w.devices[state], person: p, credential: c, world: w, computer: w.cloud.wire(), desktop: Own}
	k.computer.proven = p.certificate
	if !state.joined() {
		return k, nil
	}
	k.dir = w.path(string(state), "desk", fmt.Sprint(k.device.desks.Add(1)))
	defer func() {
		if err != nil {
			err = errors.Join(err, k.close())
		}
	}()
	if err := k.start(); err != nil {
		return nil, err
	}
	if state == Disabled { // the device was in use before
		k.device.signingIn.Lock()
		defer k.device.signingIn.Unlock()
		if err := k.device.enable(ctx); err != nil {
			return nil, err
		}
	}
	k.session, k.why = k.signIn(ctx)
	if state == Disabled { // whatever became of the sign-in: the cells of others are waiting
		if err := k.device.disable(ctx); err != nil {
			return nil, err
		}
	}
	switch {
	case k.why == nil:
		k.desktop = Open
	case refused(k.why):
		k.desktop = Shut
	default:
		return nil, fmt.Errorf("sign-in of %s by %s to %s: %w", p.name(), c, state, k.why)
	}
	return k, nil
}

// refused tells an answer from a fault of the simulation.
func refused(err error) bool {
	switch prterr.KindOf(err) {
	case prterr.Unauthenticated, prterr.Denied, prterr.Conflict, prterr.Interaction:
		return true
	default:
		return false
	}
}

// start builds CloudAP and broker on the device.
func (k *desk) start() error {
	provider, err := k.computer.peer()
	if err != nil {
		return err
	}
	if k.credential == Hello {
		if err := k.remember(); err != nil {
			return err
		}
	}
	d := k.device
	k.lsa, err = lsacloudap.New(lsacloudap.Config{
		StateDir: k.dir + "/lsa-cloudap", TPM: d.conns["lsa-cloudap>tpm-agent"], Dsreg: d.conns["lsa-cloudap>dsreg"], IdP: provider, Clock: k.world.clock,
	})
	if err != nil {
		return err
	}
	door := func(caller string) (grpc.ClientConnInterface, error) {
		return between(caller, "lsa-cloudap", lsacloudap.Allow(), k.lsa.Register)
	}
	logonui, err := door("logonui")
	if err != nil {
		return err
	}
	k.logon, k.web, k.hello = lsav1.NewLogonServiceClient(logonui), lsav1.NewWebSignInServiceClient(logonui), lsav1.NewHelloServiceClient(logonui)
	if k.authority, err = door("browsercore"); err != nil {
		return err
	}
	authority, err := door("wam-broker")
	if err != nil {
		return err
	}
	k.broker, err = wambroker.New(wambroker.Config{
		StateDir: k.dir + "/wam-broker", Authority: authority, IdP: provider, Dsreg: d.conns["wam-broker>dsreg"], Clock: k.world.clock,
	})
	if err != nil {
		return err
	}
	app, err := between("app", "wam-broker", wambroker.Allow(), k.broker.Register)
	if err != nil {
		return err
	}
	window, err := between("window", "wam-broker", wambroker.Allow(), k.broker.Register)
	k.tokens, k.windows = wamv1.NewBrokerServiceClient(app), wamv1.NewWindowServiceClient(window)
	return err
}

// cookie is the header with the PRT for a sign-in page, which a browser gets from
// its native host.
func (k *desk) cookie(ctx context.Context, page string) (http.Header, error) {
	host, err := browsercore.New(browsercore.Config{Authority: k.authority, LogonSession: k.session})
	if err != nil {
		return nil, err
	}
	all, err := host.GetCookies(ctx, page, page)
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	for _, c := range all {
		h.Set(c.Name, c.Value.Reveal())
	}
	return h, nil
}

func (k *desk) close() error {
	var errs []error
	if k.broker != nil {
		errs = append(errs, k.broker.Close())
	}
	if k.lsa != nil {
		errs = append(errs, k.lsa.Close())
	}
	if k.dir != "" {
		errs = append(errs, os.RemoveAll(k.dir))
	}
	return errors.Join(errs...)
}
