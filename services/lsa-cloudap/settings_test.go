package lsacloudap

import (
	"testing"
	"time"
)

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

func TestSettingsAboutTheTimeAreChecked(t *testing.T) {
	for value, want := range map[string]time.Duration{"": 0, "0": 0, "72h": 72 * time.Hour} {
		if got, err := offlineLifetime(map[string]string{"offline-lifetime": value}); err != nil || got != want {
			t.Errorf("%q: %v, %v", value, got, err)
		}
	}
	for _, value := range []string{"-1h", "3 days", "72"} {
		if _, err := offlineLifetime(map[string]string{"offline-lifetime": value}); err == nil {
			t.Errorf("%q was taken", value)
		}
	}
	for value, want := range map[string]bool{"": false, "at-once": false, "sign-in": true} {
		if got, err := choice(map[string]string{"x": value}, "x", "at-once", "sign-in"); err != nil || got != want {
			t.Errorf("%q: %v, %v", value, got, err)
		}
	}
}
