package lsacloudap

import "testing"

func TestSettingsAboutHelloAreChecked(t *testing.T) {
	for name, off := range map[string]string{"hello": "off", "hello-at-logon": "off", "hello-keys": "hardware", "hello-trust": "certificate", "remote-session": "on"} {
		standard, err := helloPolicy(map[string]string{})
		if err != nil || standard != (HelloPolicy{}) {
			t.Errorf("nothing set: %+v, %v", standard, err)
		}
		p, err := helloPolicy(map[string]string{name: off})
		if err != nil || p == (HelloPolicy{}) {
			t.Errorf("%s=%s: %+v, %v", name, off, p, err)
		}
		if _, err := helloPolicy(map[string]string{name: "maybe"}); err == nil {
			t.Errorf("%s=maybe was taken", name)
		}
	}
}
