package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
)

// Device is one computer: tpm-agent, dsreg, lsa-cloudap, wam-broker and the
// native host of its browser.
type Device struct {
	// Name of the device, such as device-1.
	Name string
	lab  *Lab

	LogonUI  actor.LogonUI
	Operator actor.Operator
	Browser  actor.Browser
	// Window is the broker's sign-in window, without anybody before it.
	Window actor.Window
	// Settings of the device, where work accounts are added.
	Settings actor.Settings
	broker   actor.App
	// set are settings of this device alone, by component and name.
	set map[string]map[string]string
}

// SignInOrigin is where the lab's sign-in pages are, as browsers know it.
const SignInOrigin = "https://login.microsoftonline.com"

// Key names a component of the device in the lab.
func (d *Device) Key(component string) string { return d.Name + "/" + component }

// components of a device, in an order in which each can start; none needs the
// others to be there yet.
func (d *Device) components() []spec {
	// A device of a lab registers at once, and mostly once: no keys in advance.
	tpm := map[string]string{"tpm-ca": d.lab.path(makerFolder), "software-keys": d.lab.cfg.SoftwareKeys, "spare-key-sets": "0"}
	if d.lab.cfg.NativeSessionKeys {
		tpm["native-session-keys"] = "on"
	}
	if d.lab.cfg.TPM != "" {
		// A TPM that was asked for is used, or the lab fails, unless it is told otherwise.
		tpm["tpm"], tpm["software-keys"] = d.lab.cfg.TPM, cmp.Or(d.lab.cfg.SoftwareKeys, "refuse")
	}
	logon := map[string]string{"sign-in-url": SignInOrigin}
	maps.Copy(logon, d.lab.overHTTPS())
	specs := []spec{
		{key: d.Key("tpm-agent"), name: "tpm-agent", settings: tpm},
		{key: d.Key("dsreg"), name: "dsreg", device: d.Name, settings: d.lab.overHTTPS()},
		{key: d.Key("lsa-cloudap"), name: "lsa-cloudap", device: d.Name, settings: logon},
		{key: d.Key("wam-broker"), name: "wam-broker", device: d.Name, settings: maps.Clone(logon)},
	}
	if d.lab.cfg.WithoutBroker {
		specs = specs[:len(specs)-1]
	}
	if d.lab.cfg.ServedNativeHost {
		specs = append(specs, spec{key: d.Key("browsercore"), name: "browsercore"})
	}
	for i, s := range specs {
		if specs[i].settings == nil {
			specs[i].settings = map[string]string{}
		}
		maps.Copy(specs[i].settings, d.lab.cfg.DeviceSettings[s.name])
		maps.Copy(specs[i].settings, d.set[s.name])
	}
	return specs
}

// Set changes a setting of one component of this device. It is read when the
// component starts the next time.
func (d *Device) Set(component, name, value string) {
	if d.set[component] == nil {
		d.set[component] = map[string]string{}
	}
	d.set[component][name] = value
}

func (d *Device) peers() map[string]string {
	peers := map[string]string{
		"idp": "idp", "adfs": "adfs", "tpm-agent": d.Key("tpm-agent"), "dsreg": d.Key("dsreg"), "lsa-cloudap": d.Key("lsa-cloudap"),
	}
	if d.lab.cfg.HTTPS {
		peers["idp"], peers["adfs"] = SignInOrigin, "https://"+stsName
	}
	if d.lab.cfg.Domain {
		peers["domain"] = "adfs"
	}
	return peers
}

// AddDevice starts another device, or takes the next one of a deployment.
func (l *Lab) AddDevice(ctx context.Context) (*Device, error) {
	if l.cfg.Deployment != nil {
		return l.deployed(ctx)
	}
	d := &Device{Name: fmt.Sprintf("device-%d", len(l.devices)+1), lab: l, set: map[string]map[string]string{}}
	for _, s := range d.components() {
		if err := l.start(ctx, s, d.peers()); err != nil {
			return nil, err
		}
	}
	l.devices = append(l.devices, d)
	return d, d.actors(ctx)
}

// actors gives the device its person, its apps and its browser.
func (d *Device) actors(ctx context.Context) error {
	for _, a := range []string{"logonui", "app", "browser"} {
		if _, err := d.lab.tracer(ctx, a); err != nil {
			return err
		}
	}
	lsa, err := d.lab.Dial(ctx, "logonui", d.Key("lsa-cloudap"))
	if err != nil {
		return err
	}
	d.LogonUI = actor.LogonUI{LSA: lsa, Tracer: d.lab.tracers["logonui"].Tracer("logonui")}
	if d.Operator.LSA, err = d.lab.Dial(ctx, "operator", d.Key("lsa-cloudap")); err != nil {
		return err
	}
	if d.Operator.Directory, err = d.lab.Dial(ctx, "operator", "idp"); err != nil {
		return err
	}
	if d.Operator.Dsreg, err = d.lab.Dial(ctx, "operator", d.Key("dsreg")); err != nil {
		return err
	}
	wam, err := d.lab.Dial(ctx, "app", d.Key("wam-broker"))
	if err != nil {
		return err
	}
	if d.Window.Broker, err = d.lab.Dial(ctx, "window", d.Key("wam-broker")); err != nil {
		return err
	}
	if d.Operator.WAM, err = d.lab.Dial(ctx, "operator", d.Key("wam-broker")); err != nil {
		return err
	}
	if d.Settings.Broker, err = d.lab.Dial(ctx, "settings", d.Key("wam-broker")); err != nil {
		return err
	}
	d.broker = actor.App{Broker: wam, Tracer: d.lab.tracers["app"].Tracer("app")}
	idp, err := d.lab.web(ctx)
	if err != nil {
		return err
	}
	d.Browser = actor.Browser{
		IdP: idp, Host: d.lab.host.nativeHost(d), Tracer: d.lab.tracers["browser"].Tracer("browser"), SignInURLs: []string{SignInOrigin},
	}
	return nil
}

// App is an app of the device with this client id.
func (d *Device) App(clientID string) actor.App {
	a := d.broker
	a.ClientID = clientID
	return a
}

// SetOffline cuts the device off from the cloud, or brings it back. Only a lab in
// one process can do that.
func (d *Device) SetOffline(off bool) error {
	if d.lab.cfg.Processes {
		return fmt.Errorf("a lab of processes cannot cut the network of %s", d.Name)
	}
	d.lab.network.set(d.Name, off)
	return nil
}

// SetReach takes one part of the cloud away from the device, or gives it back: "idp",
// or "domain", which is the organisation of the federation provider as a whole. Only a
// lab in one process can do that.
func (d *Device) SetReach(part string, off bool) error {
	addresses, err := d.partOfCloud(part)
	if err == nil {
		d.lab.network.setApart(d.Name, off, addresses...)
	}
	return err
}

// Stall has one part of the cloud take what the device sends and answer nothing, until
// SetReach is called for it.
func (d *Device) Stall(part string) error {
	addresses, err := d.partOfCloud(part)
	if err == nil {
		d.lab.network.stall(d.Name, addresses...)
	}
	return err
}

func (d *Device) partOfCloud(part string) ([]string, error) {
	key := map[string]string{"idp": "idp", "domain": "adfs"}[part]
	switch {
	case key == "":
		return nil, fmt.Errorf("the cloud has no part %.80q: use idp or domain", part)
	case d.lab.cfg.Processes:
		return nil, fmt.Errorf("a lab of processes cannot cut the network of %s", d.Name)
	}
	return []string{d.lab.addr(key), d.lab.addr(key + "-https")}, nil
}

// StateDir is the folder of a component of the device.
func (d *Device) StateDir(component string) string { return d.lab.path(d.Name, component) }

// Restart stops a component of the device and starts it again on its state.
func (d *Device) Restart(ctx context.Context, component string) error {
	if err := d.Stop(component); err != nil {
		return err
	}
	return d.Resume(ctx, component)
}

// Stop ends a component of the device.
func (d *Device) Stop(component string) error {
	if !slices.ContainsFunc(d.components(), func(s spec) bool { return s.name == component }) {
		return d.unknown(component)
	}
	return d.lab.host.stop(d.Key(component))
}

// unknown names what there is to whoever names something else.
func (d *Device) unknown(component string) error {
	var names []string
	for _, s := range d.components() {
		names = append(names, s.name)
	}
	return prterr.New(prterr.Invalid, "%s has no component %.80q: it has %s; without the cloud a device is by the command offline", d.Name, component, strings.Join(names, ", "))
}

// AwaitKilled waits until a component has killed itself at a crash point, which the
// setting lab-crash-at arms, in a lab of processes.
func (d *Device) AwaitKilled(ctx context.Context, component string) error {
	h, ok := d.lab.host.(*processes)
	if !ok {
		return errors.New("only a process can be killed")
	}
	return h.killed(ctx, d.Key(component))
}

// Resume starts a component that was stopped, on the state that is in its folder now.
func (d *Device) Resume(ctx context.Context, component string) error {
	for _, s := range d.components() {
		if s.name == component {
			return d.lab.start(ctx, s, d.peers())
		}
	}
	return d.unknown(component)
}

// Components are the names of the components of the device.
func (d *Device) Components() []string {
	var names []string
	for _, s := range d.components() {
		names = append(names, s.name)
	}
	return names
}

// Runs says whether a component of the device runs.
func (d *Device) Runs(component string) bool { return d.lab.host.runs(d.Key(component)) }

// ID is the device id that the device has now.
func (d *Device) ID(ctx context.Context) (string, error) {
	resp, err := dsregv1.NewDeviceStateServiceClient(d.Operator.Dsreg).GetDeviceState(ctx, &dsregv1.GetDeviceStateRequest{})
	return resp.GetDeviceId(), err
}
