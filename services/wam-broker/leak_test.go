package wambroker_test

import (
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
)

// The answers' fields are listed, so that a new one makes somebody think.
func TestAPP04_NoFieldCanHoldARefreshToken(t *testing.T) {
	allowed := map[protoreflect.Name]string{
		"access_token": "string", "expires_at": "message", "scope": "string",
		"user_principal_name": "string", "user_id": "string", "tenant_id": "string",
		"registered": "bool", "device_id": "string", "prt_obtained": "bool", "accounts": "message", "display_name": "string",
		"default": "bool", "authority": "enum",
	}
	for _, m := range []proto.Message{
		&wamv1.RequestTokenResponse{}, &wamv1.GetTokenResponse{}, &wamv1.AddWorkAccountResponse{}, &wamv1.AddAccountResponse{},
		&wamv1.ListAccountsResponse{}, &wamv1.Account{}, &wamv1.ConnectAccountResponse{},
	} {
		d := m.ProtoReflect().Descriptor()
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			if allowed[f.Name()] != f.Kind().String() {
				t.Errorf("%s has field %s of kind %s", d.FullName(), f.Name(), f.Kind())
			}
		}
		if d.Oneofs().Len() != 0 || d.ExtensionRanges().Len() != 0 {
			t.Errorf("%s has room for more", d.FullName())
		}
	}
}

func TestAPP04_TheRefreshTokenReachesNeitherAppNorDisk(t *testing.T) {
	d := newDevice(t)
	var seen []string
	for range 3 {
		resp := d.token(t, force)
		seen = append(seen, prototext.Format(resp))
	}
	for _, s := range seen {
		if strings.Contains(s, canaryRT) {
			t.Errorf("the app got %s", s)
		}
	}
	forbidden := map[string]string{
		canaryRT: "the refresh token", base64.StdEncoding.EncodeToString([]byte(canaryRT))[:24]: "the refresh token in base64",
		"alice": "a user name", alice: "a user id", outlook: "an app id", "eyJ": "a token",
	}
	files := 0
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
		for needle, what := range forbidden {
			if strings.Contains(string(data)+" "+e.Name(), needle) {
				t.Errorf("%s shows %s", path, what)
			}
		}
		return nil
	})
	if err != nil || files != 1 {
		t.Errorf("%d files, %v", files, err)
	}
}
