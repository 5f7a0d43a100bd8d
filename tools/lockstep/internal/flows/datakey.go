package flows

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// atRest are the commands about what rests on the disk of a device, in the hands of
// somebody who reads and writes all of it.
func (r *Runner) atRest(ctx context.Context, command string, arg map[string]string) (string, bool) {
	switch command {
	case "cache": // cache
		return r.cache(), true
	case "copy-cache": // copy-cache from=alice to=bob, or user=alice to-device=device-2
		return r.copyCache(arg), true
	case "open-cache": // open-cache user=alice [for=bob]
		return r.openCache(ctx, arg), true
	default:
		return "", false
	}
}

// cache counts the files, and tells what of them can be read.
func (r *Runner) cache() string {
	tokens, _ := filepath.Glob(filepath.Join(r.device.StateDir("wam-broker"), "tokens", "*.json"))
	keys, _ := filepath.Glob(filepath.Join(r.device.StateDir("lsa-cloudap"), "datakeys", "*.json"))
	var out strings.Builder
	fmt.Fprintf(&out, "%d refresh tokens of apps, sealed under the data keys of their users\n", len(tokens))
	fmt.Fprintf(&out, "%d data keys, wrapped by the TPM and under the key of the identity provider\n", len(keys))
	return out.String()
}

// cached is what lsa-cloudap keeps of a user.
type cached struct {
	Tenant string `json:"tenant_id"`
	User   string `json:"user_id"`
	Kind   string `json:"credential_kind"`
	UPN    string `json:"user_principal_name"`
	Key    []byte `json:"sealed_session_key"`
}

func (s *seat) cached(upn string) (cached, error) {
	names, _ := filepath.Glob(filepath.Join(s.device.StateDir("lsa-cloudap"), "partitions", "*.json"))
	for _, name := range names {
		var c cached
		if raw, err := os.ReadFile(name); err != nil || json.Unmarshal(raw, &c) != nil {
			return c, fmt.Errorf("partition %s cannot be read", name)
		}
		if c.UPN == upn {
			return c, nil
		}
	}
	return cached{}, fmt.Errorf("%s has no PRT on this device", upn)
}

// refreshFile is where the broker keeps the refresh token of the app for a user.
func (s *seat) refreshFile(c cached, app string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{c.Tenant, c.User, c.Kind, app}, "\n")))
	return filepath.Join(s.device.StateDir("wam-broker"), "tokens", hex.EncodeToString(sum[:])+".json")
}

// copyCache puts the refresh token of one user in the place of another's, or of the
// same user on another device.
func (r *Runner) copyCache(arg map[string]string) string {
	from, to, there := arg["from"], arg["to"], r.seat
	if from == "" {
		from, to, there = arg["user"], arg["user"], r.seats[arg["to-device"]]
	}
	if there == nil {
		return failure(fmt.Errorf("there is no device %.80q", arg["to-device"]))
	}
	var paths [2]string
	for i, who := range []string{from, to} {
		upn, _, err := r.person(map[string]string{"user": who})
		if err != nil {
			return failure(err)
		}
		s := []*seat{r.seat, there}[i]
		c, err := s.cached(upn)
		if err != nil {
			return failure(err)
		}
		paths[i] = s.refreshFile(c, r.tenant.App)
	}
	err := copySealed(paths[0], paths[1])
	return outcome(fmt.Sprintf("the refresh token of %s lies where that of %s on %s was", from, to, there.device.Name), err)
}

// copySealed puts a sealed token into the file of another, as somebody does who leaves in
// it what is not sealed, such as whose membership it is of, and would be noticed.
func copySealed(from, to string) error {
	var files [2]map[string]json.RawMessage
	for i, path := range []string{from, to} {
		raw, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(raw, &files[i])
		}
		if err != nil {
			return err
		}
	}
	files[1]["sealed"] = files[0]["sealed"]
	raw, err := json.Marshal(files[1])
	if err != nil {
		return err
	}
	return os.WriteFile(to, raw, 0o600)
}

// openCache has the tpm-agent try the refresh token of a user, as lsa-cloudap would.
func (r *Runner) openCache(ctx context.Context, arg map[string]string) string {
	whose, _, err := r.person(arg)
	if err != nil {
		return failure(err)
	}
	owner, err := r.seat.cached(whose)
	if err != nil {
		return failure(err)
	}
	asks := owner
	if other := arg["for"]; other != "" {
		upn, _, err := r.person(map[string]string{"user": other})
		if err != nil {
			return failure(err)
		}
		if asks, err = r.seat.cached(upn); err != nil {
			return failure(err)
		}
	}
	var token struct{ Sealed []byte }
	raw, err := os.ReadFile(r.seat.refreshFile(owner, r.tenant.App))
	if err != nil || json.Unmarshal(raw, &token) != nil {
		return failure(fmt.Errorf("there is no refresh token of %s", whose))
	}
	conn, err := r.lab.Dial(ctx, "lsa-cloudap", r.device.Key("tpm-agent"))
	if err != nil {
		return failure(err)
	}
	_, err = tpmv1.NewPRTKeyServiceClient(conn).SignTokenRequest(ctx, &tpmv1.SignTokenRequestRequest{
		Partition:  &tpmv1.Partition{TenantId: asks.Tenant, UserId: asks.User, CredentialKind: asks.Kind},
		SessionKey: &tpmv1.SealedSessionKey{Sealed: asks.Key}, ClientId: r.tenant.App, Resource: r.tenant.Resource, RequestNonce: "AQAB.n",
		Grant: &tpmv1.SignTokenRequestRequest_RefreshToken{RefreshToken: &tpmv1.SealedToken{Sealed: token.Sealed}},
	})
	return outcome("the tpm-agent opened the refresh token", err)
}
