package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// maxDeployment bounds a deployment file, in bytes.
const maxDeployment = 64 << 10

// Deployment says where the components of a lab are that runs elsewhere, such as in a
// cluster. The lab then starts none: it acts the persons, apps, browsers and the operator.
type Deployment struct {
	// OTLP is the receiver of traces, HOST:PORT; empty sends none.
	OTLP string `yaml:"otlp"`
	// Jaeger is the base address of the query service that traces are read from; empty
	// shows what was recorded here, which are the spans of the actors alone.
	Jaeger string `yaml:"jaeger"`
	// Identities is a folder with a folder for each actor (logonui, app, window, browser,
	// settings, operator), and in it cert.pem, key.pem and ca.pem.
	Identities string `yaml:"identities"`
	// Cloud are the addresses of idp and adfs, and of their HTTPS sides, idp-https and
	// adfs-https, which only sign-in pages need.
	Cloud map[string]string `yaml:"cloud"`
	// Replicas are the addresses of each single one of several idp: that in Cloud leads to
	// any of them, and the operator moves the clock of each.
	Replicas map[string][]string `yaml:"replicas"`
	// CloudRoots are PEM files with the authorities of those HTTPS sides.
	CloudRoots map[string]string `yaml:"cloud-roots"`
	Devices    []DeployedDevice  `yaml:"devices"`
}

// DeployedDevice is one device of a deployment.
type DeployedDevice struct {
	// Name of the device, such as device-1.
	Name string `yaml:"name"`
	// Components are the addresses of tpm-agent, dsreg, lsa-cloudap, wam-broker and
	// browsercore.
	Components map[string]string `yaml:"components"`
}

// onDevice are the components that a device of a deployment has.
func onDevice() []string {
	return []string{"tpm-agent", "dsreg", "lsa-cloudap", "wam-broker", "browsercore"}
}

// ReadDeployment reads a deployment file. Errors name the field and what to write there.
func ReadDeployment(path string) (*Deployment, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("deployment file: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxDeployment+1))
	if err != nil {
		return nil, fmt.Errorf("deployment file: %w", err)
	}
	if len(text) > maxDeployment {
		return nil, fmt.Errorf("deployment file %s is longer than %d bytes", path, maxDeployment)
	}
	d, err := ParseDeployment(text)
	if err != nil {
		return nil, fmt.Errorf("deployment file %s: %w", path, err)
	}
	return d, nil
}

// ParseDeployment reads the text of a deployment file. A field that it does not know is
// an error: it would be a spelling that nobody notices.
func ParseDeployment(text []byte) (*Deployment, error) {
	var d Deployment
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict(), yaml.DisallowUnknownField()).Decode(&d); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("it is empty: name identities, cloud and devices")
		}
		return nil, errors.New(yaml.FormatError(err, false, false))
	}
	return &d, d.check()
}

func (d *Deployment) check() error {
	if d.Identities == "" {
		return errors.New("identities: name the folder with the actors' identities, as /identities")
	}
	if d.OTLP != "" && strings.Contains(d.OTLP, "://") {
		return fmt.Errorf("otlp: %.80q has to be HOST:PORT", d.OTLP)
	}
	if err := d.checkCloud(); err != nil {
		return err
	}
	if len(d.Devices) == 0 {
		return errors.New("devices: name at least one, with name and components")
	}
	seen := map[string]bool{}
	for i, dev := range d.Devices {
		at := fmt.Sprintf("devices[%d]", i)
		switch {
		case dev.Name == "" || strings.ContainsAny(dev.Name, "/ "):
			return fmt.Errorf("%s.name: %.80q has to be a word such as device-1", at, dev.Name)
		case seen[dev.Name]:
			return fmt.Errorf("%s.name: there are two devices %s", at, dev.Name)
		}
		seen[dev.Name] = true
		if err := addresses(at+".components", dev.Components, onDevice()); err != nil {
			return err
		}
		for _, c := range onDevice() {
			if dev.Components[c] == "" {
				return fmt.Errorf("%s.components.%s: name its address, as tcp:HOST:PORT", at, c)
			}
		}
	}
	return nil
}

func (d *Deployment) checkCloud() error {
	const https = "-https"
	parts := []string{"idp", "adfs", "idp" + https, "adfs" + https}
	if err := addresses("cloud", d.Cloud, parts); err != nil {
		return err
	}
	if d.Cloud["idp"] == "" {
		return errors.New("cloud.idp: name its address, as tcp:HOST:PORT")
	}
	for name, all := range d.Replicas {
		if len(all) < 2 {
			return fmt.Errorf("replicas.%.80s: list two addresses at least, or leave it out", name)
		}
		for _, addr := range all {
			if err := addresses("replicas", map[string]string{name: addr}, []string{"idp"}); err != nil {
				return err
			}
		}
	}
	for name, path := range d.CloudRoots {
		if !slices.Contains(parts, name) || !strings.HasSuffix(name, https) || d.Cloud[name] == "" {
			return fmt.Errorf("cloud-roots.%.80s: has to be one of cloud's HTTPS sides, idp-https or adfs-https", name)
		}
		if path == "" {
			return fmt.Errorf("cloud-roots.%s: name a PEM file", name)
		}
	}
	return nil
}

// addresses checks that the names are among those that are known, and what they name.
func addresses(field string, all map[string]string, known []string) error {
	for name, addr := range all {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%s.%.80s: there is no such component: there are %s", field, name, strings.Join(known, ", "))
		}
		kind, rest, _ := strings.Cut(addr, ":")
		if rest == "" || kind != "tcp" && kind != "unix" {
			return fmt.Errorf("%s.%s: %.80q is not of the form tcp:HOST:PORT or unix:PATH", field, name, addr)
		}
	}
	return nil
}

// addr is the address of a component by its key, or empty.
func (d *Deployment) addr(key string) string {
	device, component, ok := strings.Cut(key, "/")
	if !ok {
		name, n, _ := strings.Cut(key, "-")
		if i, err := strconv.Atoi(n); err == nil && i >= 0 && i < len(d.Replicas[name]) {
			return d.Replicas[name][i]
		}
		return d.Cloud[key]
	}
	for _, dev := range d.Devices {
		if dev.Name == device {
			return dev.Components[component]
		}
	}
	return ""
}

// folder is where the identity of an actor is.
func (d *Deployment) folder(actor string) string { return filepath.Join(d.Identities, actor) }
