package kdf_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

func TestPRO06_Vectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]string
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	key := secret.NewBytes(unhex(t, v["session_key_hex"]))
	ctx := unhex(t, v["ctx_hex"])
	v2 := kdf.ContextV2(ctx, []byte(v["payload"]))
	for name, got := range map[string][]byte{
		"derived_v1_hex": kdf.Derive(key, ctx).Reveal(),
		"context_v2_hex": v2,
		"derived_v2_hex": kdf.Derive(key, v2).Reveal(),
	} {
		if want := unhex(t, v[name]); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", name, got, want)
		}
	}
}

func TestInputLayout(t *testing.T) {
	got := kdf.Input([]byte{0xAA, 0xBB})
	want := "00000001" + hex.EncodeToString([]byte("AzureAD-SecureConversation")) + "00" + "aabb" + "00000100"
	if hex.EncodeToString(got) != want {
		t.Fatalf("got %x, want %s", got, want)
	}
	if got3, want3 := kdf.InputV3([]byte{0xAA, 0xBB}), want[:len(want)-8]+"00002000"; hex.EncodeToString(got3) != want3 {
		t.Fatalf("version 3: got %x, want %s", got3, want3)
	}
}

// A key for one payload is not the key for any other: flip each byte in turn.
func TestA06_ContextV2DependsOnEveryByte(t *testing.T) {
	ctx, payload := bytes.Repeat([]byte{7}, 24), []byte(`{"refresh_token":"0.x","request_nonce":"n"}`)
	seen := map[string]bool{string(kdf.ContextV2(ctx, payload)): true}
	for i := range payload {
		p := bytes.Clone(payload)
		p[i] ^= 1
		seen[string(kdf.ContextV2(ctx, p))] = true
	}
	for i := range ctx {
		c := bytes.Clone(ctx)
		c[i] ^= 1
		seen[string(kdf.ContextV2(c, payload))] = true
	}
	if want := 1 + len(payload) + len(ctx); len(seen) != want {
		t.Fatalf("%d different contexts, want %d", len(seen), want)
	}
}

func BenchmarkDerive(b *testing.B) {
	key, ctx := secret.NewBytes(make([]byte, kdf.KeySize)), make([]byte, 24)
	payload := make([]byte, 2048)
	b.Run("v1", func(b *testing.B) {
		for b.Loop() {
			kdf.Derive(key, ctx)
		}
	})
	b.Run("v2", func(b *testing.B) {
		for b.Loop() {
			kdf.Derive(key, kdf.ContextV2(ctx, payload))
		}
	})
	b.Run("v3", func(b *testing.B) {
		for b.Loop() {
			kdf.DeriveV3(key, kdf.ContextV2(ctx, payload))
		}
	})
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) == 0 {
		t.Fatalf("bad vector %q: %v", s, err)
	}
	return b
}
