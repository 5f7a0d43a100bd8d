package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/secret"
)

const canary = "canary-7f3a"

func TestNothingPrints(t *testing.T) {
	text, raw := secret.NewText(canary), secret.NewBytes([]byte(canary))
	holder := struct {
		T secret.Text
		B secret.Bytes
		P *secret.Text
		t secret.Text
		b secret.Bytes
	}{text, raw, &text, text, raw}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", text)
		fmt.Fprintf(&out, verb+"\n", raw)
		fmt.Fprintf(&out, verb+"\n", holder)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "t", text, "b", raw, "h", holder)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "t", text, "b", raw, "h", holder)
	if j, err := json.Marshal(holder); err == nil {
		t.Errorf("a secret was marshalled: %s", j)
	}
	hex := fmt.Sprintf("%x", canary)
	if s := out.String(); strings.Contains(s, canary) || strings.Contains(s, hex) {
		t.Errorf("the canary was printed:\n%s", s)
	}
}

func TestEqualAndWipe(t *testing.T) {
	a, b := secret.NewBytes([]byte("abc")), secret.NewBytes([]byte("abc"))
	if !a.Equal(b) || a.Equal(secret.NewBytes([]byte("abd"))) || a.Equal(secret.NewBytes([]byte("ab"))) {
		t.Error("Equal is wrong")
	}
	a.Wipe()
	if a.Equal(b) || !bytes.Equal(a.Reveal(), make([]byte, 3)) {
		t.Error("Wipe left the secret")
	}
	if !secret.NewText("x").Equal(secret.NewText("x")) || secret.NewText("x").Equal(secret.NewText("y")) {
		t.Error("Text.Equal is wrong")
	}
}
