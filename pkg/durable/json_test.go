package durable_test

import (
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/durable"
)

func TestAFileOfAStrangerIsOneValueOfTheExpectedForm(t *testing.T) {
	type file struct {
		Version int    `json:"version"`
		Secret  string `json:"secret"`
	}
	var got file
	if err := durable.DecodeJSON([]byte(`{"version":1,"secret":"s"}`+"\n"), &got); err != nil || got != (file{1, "s"}) {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, text := range map[string]string{
		"nothing": "", "half": `{"version":1,"secret":"hunter2`, "another type": `{"version":"hunter2"}`, "another member": `{"hunter2":1}`,
		"two values": `{"version":1}{"secret":"hunter2"}`, "a tail": `{"version":1} hunter2`,
	} {
		if err := durable.DecodeJSON([]byte(text), &got); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
