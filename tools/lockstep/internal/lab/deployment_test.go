package lab_test

import (
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

const whole = `otlp: collector.lockstep-observe.svc.cluster.local.:4317
jaeger: http://jaeger.lockstep-observe.svc.cluster.local.:16686
identities: /identities
cloud: {idp: "tcp:idp:9443", adfs: "tcp:adfs:9443", idp-https: "tcp:idp:8443"}
cloud-roots: {idp-https: /cloud/idp.pem}
replicas: {idp: ["tcp:idp-0:9443", "tcp:idp-1:9443"]}
devices:
- name: device-1
  components: {tpm-agent: "tcp:t:9443", dsreg: "tcp:d:9443", lsa-cloudap: "tcp:l:9443", wam-broker: "tcp:w:9443", browsercore: "tcp:b:9443"}
`

func TestDeploymentFilesAreReadStrictly(t *testing.T) {
	d, err := lab.ParseDeployment([]byte(whole))
	if err != nil || d.Cloud["adfs"] != "tcp:adfs:9443" || d.Devices[0].Components["browsercore"] != "tcp:b:9443" {
		t.Fatalf("%+v, %v", d, err)
	}
	for old, f := range map[string]struct{ now, want string }{
		"identities: /identities":   {"", "identities: name the folder"},
		"otlp: collector":           {"otlp: http://collector", "otlp: "},
		"jaeger: http":              {"jager: http", "jager"},
		`idp: "tcp:idp:9443", `:     {"", "cloud.idp: name its address"},
		`adfs: "tcp:adfs:9443"`:     {`sts: "tcp:adfs:9443"`, "cloud.sts: there is no such component"},
		`"tcp:adfs:9443"`:           {`"adfs:9443"`, "cloud.adfs: "},
		"{idp-https: /cloud":        {"{idp: /cloud", "cloud-roots.idp: "},
		"/cloud/idp.pem":            {`""`, "cloud-roots.idp-https: name a PEM file"},
		"replicas: {idp: ":          {"replicas: {adfs: ", "replicas.adfs: there is no such component"},
		`"tcp:idp-0:9443", `:        {"", "replicas.idp: list two addresses at least"},
		"tcp:idp-1:":                {"idp-1:", "replicas.idp: "},
		"name: device-1":            {"name: a/b", "devices[0].name"},
		`browsercore: "tcp:b:9443"`: {"", "devices[0].components.browsercore: name its address"},
		`dsreg: "tcp:d:9443"`:       {`dsrek: "tcp:d:9443"`, "devices[0].components.dsrek: there is no such component"},
		"devices:\n":                {"devices: []\nx:\n", "x"},
	} {
		if !strings.Contains(whole, old) {
			t.Fatalf("%q is not in the file", old)
		}
		_, err := lab.ParseDeployment([]byte(strings.Replace(whole, old, f.now, 1)))
		if err == nil || !strings.Contains(err.Error(), f.want) {
			t.Errorf("%q in place of %q: %v, want %q", f.now, old, err, f.want)
		}
	}
	twice := whole + whole[strings.Index(whole, "- name"):]
	if _, err := lab.ParseDeployment([]byte(twice)); err == nil || !strings.Contains(err.Error(), "two devices device-1") {
		t.Error(err)
	}
	for _, bad := range []string{"", "- a", "devices: 1", "\x00", whole + "otlp: x\n"} {
		if _, err := lab.ParseDeployment([]byte(bad)); err == nil {
			t.Errorf("%q is a deployment", bad)
		}
	}
	if _, err := lab.ReadDeployment(t.TempDir() + "/none"); err == nil {
		t.Error("a file that is not there was read")
	}
}

func TestADeploymentIsAlone(t *testing.T) {
	d, err := lab.ParseDeployment([]byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]lab.Config{"processes": {Processes: true}, "sockets": {Sockets: true}, "HTTPS": {HTTPS: true}, "a folder": {Dir: t.TempDir()}} {
		cfg.Deployment = d
		if _, err := lab.Start(t.Context(), cfg); err == nil {
			t.Errorf("%s of a deployment was taken", name)
		}
	}
}

func FuzzDeployment(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("devices: [{name: a}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if d, err := lab.ParseDeployment(text); err == nil && (d.Identities == "" || d.Cloud["idp"] == "" || len(d.Devices) == 0) {
			t.Errorf("%q is a deployment: %+v", text, d)
		}
	})
}
