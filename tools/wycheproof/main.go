// Command wycheproof fetches the test vectors of Project Wycheproof that this
// repository is judged by, and writes what the tests read of them to
// pkg/wycheprooftest/testdata. It is run by hand when the version below changes:
//
//	go run ./tools/wycheproof
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
)

const (
	module  = "github.com/c2sp/wycheproof"
	version = "v0.0.0-20260902155932-3fa63dd0344a"
	sum     = "h1:pNbL2nztRsWfW/ispAwsvcDFxs9Id38uIsR2/Up5G2c="
	into    = "pkg/wycheprooftest/testdata"
)

// files are what is taken of the module's testvectors_v1.
func files() []string {
	return []string{
		"aes_cbc_pkcs5_test.json", "aes_gcm_test.json", "ecdsa_secp256r1_sha256_p1363_test.json", "hmac_sha256_test.json",
		"json_web_signature_test.json", "rsa_oaep_2048_sha1_mgf1sha1_test.json", "rsa_pkcs1_2048_sig_gen_test.json",
		"rsa_signature_2048_sha256_test.json",
	}
}

// kept are the members of a group that somebody reads. All groups and all tests
// stay, and all members of a test: only repetitions of keys in other forms go.
func kept() []string {
	return []string{
		"type", "comment", "keySize", "ivSize", "tagSize", "sha", "mgfSha", "private", "public",
		"privateKeyPkcs8", "publicKeyAsn", "publicKey",
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "wycheproof:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if _, err := os.Stat(into); err != nil {
		return fmt.Errorf("run this at the root of the repository: %w", err)
	}
	dir, err := download(ctx)
	if err != nil {
		return err
	}
	licence, err := os.ReadFile(filepath.Join(dir, "LICENSE"))
	if err != nil {
		return err
	}
	if err := write("LICENSE", licence); err != nil {
		return err
	}
	for _, name := range files() {
		raw, err := os.ReadFile(filepath.Join(dir, "testvectors_v1", name))
		if err != nil {
			return err
		}
		short, err := trim(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := write(name, short); err != nil {
			return err
		}
	}
	return nil
}

func write(name string, data []byte) error {
	return os.WriteFile(filepath.Join(into, name), data, 0o644) //nolint:gosec // vectors are for everybody who reads the repository
}

// download has the go command fetch the module, and holds it to the sum above.
func download(ctx context.Context) (string, error) {
	empty, err := os.MkdirTemp("", "wycheproof-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(empty) }()
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module+"@"+version)
	cmd.Dir, cmd.Env = empty, append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	var got struct{ Dir, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &got); err != nil || jsonErr != nil || got.Error != "" {
		return "", fmt.Errorf("go mod download: %s: %w", got.Error, errors.Join(err, jsonErr))
	}
	if got.Sum != sum {
		return "", fmt.Errorf("%s is %s, which is not the module that was reviewed", module, got.Sum)
	}
	return got.Dir, nil
}

type vectors struct {
	Algorithm string                       `json:"algorithm"`
	Count     int                          `json:"numberOfTests"`
	Groups    []map[string]json.RawMessage `json:"testGroups"`
}

// trim keeps what tests read, a test a line, so that a new version shows as a
// difference of lines.
func trim(raw []byte) ([]byte, error) {
	var v vectors
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	source := module + " " + version + ", Apache-2.0 (see LICENSE); members of groups that no test reads are left out"
	fmt.Fprintf(&out, "{\"source\":%q,\"algorithm\":%q,\"numberOfTests\":%d,\"testGroups\":[", source, v.Algorithm, v.Count)
	count := 0
	for i, g := range v.Groups {
		var tests []json.RawMessage
		if err := json.Unmarshal(g["tests"], &tests); err != nil {
			return nil, err
		}
		count += len(tests)
		maps.DeleteFunc(g, func(name string, _ json.RawMessage) bool { return !slices.Contains(kept(), name) })
		line, err := json.Marshal(g)
		if err != nil {
			return nil, err
		}
		out.WriteString(separator(i) + string(line[:len(line)-1]) + ",\"tests\":[")
		for k, t := range tests {
			out.WriteString(separator(k))
			if err := json.Compact(&out, t); err != nil {
				return nil, err
			}
		}
		out.WriteString("]}")
	}
	out.WriteString("]}\n")
	if count != v.Count {
		return nil, fmt.Errorf("%d tests, the file says %d", count, v.Count)
	}
	return out.Bytes(), nil
}

func separator(i int) string {
	if i == 0 {
		return "\n"
	}
	return ",\n"
}
