package archtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// ban says that a package never imports another; both are patterns of Match.
type ban struct{ who, never string }

// bans are the walls that the compiler does not build. The value is the reason.
// The order of the whole is
//
//	proto/gen <- pkg <- services/X/internal <- services/X <- services/X/cmd, tools
func bans() map[ban]string {
	return map[ban]string{
		{"pkg/...", "services/..."}:              "pkg is below the services: a library that knows a component drags it into every other",
		{"pkg/...", "tools/..."}:                 "tools look at everything, nothing looks at tools",
		{"services/...", "tools/..."}:            "tools look at everything, nothing looks at tools",
		{"proto/gen/...", "pkg/..."}:             "contracts import nobody, so that everybody can import them",
		{"proto/gen/...", "services/..."}:        "contracts import nobody, so that everybody can import them",
		{"services/idp/...", gen("tpm")}:         "the cloud has no business with a device's TPM",
		{"services/adfs/...", gen("tpm")}:        "another organisation has no business with a device's TPM",
		{"services/browsercore/...", "pkg/kdf"}:  "the browser's host asks for cookies, it holds no key to derive from",
		{"services/wam-broker/...", "pkg/kdf"}:   "WAM never holds a session key, so there is nothing it could derive from",
		{"services/dsreg/...", "pkg/kdf"}:        "registration is over before the first session key exists",
		{"services/lsa-cloudap/...", "pkg/kdf"}:  "the session key is in the TPM; a derivation here would need it in the clear",
		{"services/browsercore/...", gen("tpm")}: "the browser's host never talks to the tpm-agent, it asks the authority of the PRT",
	}
}

// deepBans hold for all that a package reaches, not only for what it names.
func deepBans() map[ban]string {
	const wire = "a wire format must be usable, and testable against outside vectors, without the machinery of this system"
	return map[ban]string{
		{"pkg/jose", "pkg/rpc"}: wire, {"pkg/kdf", "pkg/rpc"}: wire, {"pkg/entrawire", "pkg/rpc"}: wire, {"pkg/wstrust", "pkg/rpc"}: wire,
		{"pkg/jose", "pkg/obs"}: wire, {"pkg/kdf", "pkg/obs"}: wire, {"pkg/entrawire", "pkg/obs"}: wire, {"pkg/wstrust", "pkg/obs"}: wire,
		{"pkg/secret", "google.golang.org/grpc/..."}: "a secret that can reach a wire by itself is no secret",
	}
}

// reserved are packages that only some may import, and why.
func reserved() map[string]reservation {
	const tpmAlone = "whoever can send TPM commands can use keys: that is the tpm-agent alone, the TPM in software that stands in for the chip, and the maker of such TPMs"
	return map[string]reservation{
		// One room of the identity provider reads what a TPM wrote; without a transport it
		// can send nothing. Its test helper has a TPM in software for devices of a test.
		"github.com/google/go-tpm/tpm2": {
			[]string{"services/tpm-agent/...", "pkg/softtpm/...", "pkg/tpmca", "pkg/tpmfault", "pkg/tpmsocket", "tools/softtpm", "tools/tpmconformance/...", "services/idp/internal/attestation/...", "services/idp/internal/tpmwrap", "services/idp/idptest"}, tpmAlone,
		},
		"github.com/google/go-tpm/*/*/...":     {[]string{"services/tpm-agent/...", "pkg/softtpm/...", "pkg/tpmca", "pkg/tpmfault", "pkg/tpmsocket", "tools/softtpm", "tools/tpmconformance/...", "services/idp/idptest"}, tpmAlone},
		"github.com/google/go-tpm/tpmutil/...": {[]string{"services/tpm-agent/...", "pkg/softtpm/...", "tools/tpmconformance/..."}, tpmAlone},
		"pkg/softtpm/...": {
			[]string{"services/tpm-agent/...", "pkg/softtpm/...", "services/idp/idptest", "tools/..."},
			"a TPM belongs to the tpm-agent; a second door to it would be a second owner of the keys",
		},
		"pkg/tpmca": {
			[]string{"services/tpm-agent/...", "tools/..."},
			"it makes TPMs: the cloud trusts its root and has no business with its key",
		},
		"pkg/tpmsocket": {
			[]string{"services/faulty/internal/tpmfront", "tools/..."},
			"a socket without authentication is a door to a TPM that the tpm-agent never opens to its own",
		},
		"pkg/fault": {
			[]string{"services/faulty/...", "tools/..."},
			"a component that knows rules for faults can be told to fail: the stand-in alone does",
		},
		"pkg/adfscarrier": {
			[]string{"services/lsa-cloudap/...", "tools/..."},
			"it sends users' passwords to another organisation: the logon authority alone does that",
		},
		"google.golang.org/grpc/credentials/insecure": {
			[]string{"pkg/obs", "tools/..."},
			"every connection between components is mutual TLS, in memory too; only spans, which hold no secret, go to their collector in plain text",
		},
		"log":          {nil, "logs go through the slog.Logger of a Config, which redacts secrets"},
		"unsafe":       {nil, "nothing here is worth giving up memory safety for"},
		"math/rand":    {nil, "predictable; nonces, keys and ids come from crypto/rand"},
		"math/rand/v2": {[]string{"tools/lockstep/internal/faults"}, "predictable; nonces, keys and ids come from crypto/rand"},
	}
}

// reservation names who may, in code that is not a test.
type reservation struct {
	who     []string
	because string
}

// gen is the pattern of the generated package of a contract.
func gen(contract string) string { return "proto/gen/prt/" + contract + "/..." }

func brokenBans(r *Repo) (bad []string) {
	for _, f := range r.Go {
		for _, imp := range f.Imports() {
			for b, because := range bans() {
				if Match(b.who, f.Dir()) && Match(b.never, imp) {
					bad = append(bad, fmt.Sprintf("%s imports %s: %s", f.Path, imp, because))
				}
			}
			for pattern, res := range reserved() {
				may := func(w string) bool { return Match(w, f.Dir()) }
				if Match(pattern, imp) && !f.Test() && !f.Generated() && !slices.ContainsFunc(res.who, may) {
					bad = append(bad, fmt.Sprintf("%s imports %s: %s", f.Path, imp, res.because))
				}
			}
		}
	}
	return bad
}

// A service is a process, a certificate and a trust boundary. An import across
// it is a call that no allow-list sees. Only tests may reach over, and only to
// the test helpers that a service offers.
func servicesApart(r *Repo) (bad []string) {
	for _, f := range r.Go {
		for _, imp := range f.Imports() {
			from, to := Service(f.Dir()), Service(imp)
			switch {
			case to == "" || from == to || strings.HasPrefix(f.Dir(), "tools/"):
			case f.Test() && ForTests(imp):
			case from != "":
				bad = append(bad, fmt.Sprintf("%s imports %s: a service never imports another service", f.Path, imp))
			default:
				bad = append(bad, fmt.Sprintf("%s imports %s: only a service's own code and tools open its door", f.Path, imp))
			}
		}
	}
	return bad
}

// Test helpers take shortcuts: what links them into the product ships the shortcut.
func testHelpersOutside(r *Repo) (bad []string) {
	for _, f := range r.Go {
		for _, imp := range f.Imports() {
			if !f.Test() && (imp == "testing" || strings.HasPrefix(imp, "testing/") || ForTests(imp)) {
				bad = append(bad, fmt.Sprintf("%s imports %s: only tests import test helpers", f.Path, imp))
			}
		}
	}
	return bad
}

// Contracts import themselves and the runtime of protobuf and gRPC.
func contractsAlone(r *Repo) (bad []string) {
	for _, f := range r.Go {
		if !Match("proto/gen/...", f.Dir()) {
			continue
		}
		for _, imp := range f.Imports() {
			std := !strings.Contains(strings.Split(imp, "/")[0], ".") && !strings.Contains(imp, Module)
			own := Match("proto/gen/...", imp)
			runtime := Match("google.golang.org/protobuf/...", imp) || Match("google.golang.org/grpc/...", imp)
			if !own && !runtime && (!std || isOurs(r, imp)) {
				bad = append(bad, fmt.Sprintf("%s imports %s: contracts import nobody", f.Path, imp))
			}
		}
	}
	return bad
}

func isOurs(r *Repo, imp string) bool { return len(r.Dirs()[imp]) > 0 }

func brokenDeepBans(r *Repo) (bad []string) {
	graph := importGraph(r)
	for b, because := range deepBans() {
		for dir := range graph {
			if !Match(b.who, dir) {
				continue
			}
			if way := reach(graph, dir, b.never); way != nil {
				bad = append(bad, fmt.Sprintf("%s: %s", strings.Join(way, " -> "), because))
			}
		}
	}
	return bad
}

// importGraph maps each package of this module to what its code imports.
func importGraph(r *Repo) map[string][]string {
	graph := map[string][]string{}
	for _, f := range r.Go {
		if !strings.HasSuffix(f.Path, "_test.go") {
			graph[f.Dir()] = append(graph[f.Dir()], slices.Sorted(maps.Values(f.Imports()))...)
		}
	}
	return graph
}

// reach is a shortest way from a package to one that fits the pattern, or nil.
func reach(graph map[string][]string, from, pattern string) []string {
	seen := map[string]bool{from: true}
	for queue := [][]string{{from}}; len(queue) > 0; queue = queue[1:] {
		way := queue[0]
		for _, next := range graph[way[len(way)-1]] {
			on := append(slices.Clone(way), next)
			if Match(pattern, next) {
				return on
			}
			if !seen[next] {
				seen[next] = true
				queue = append(queue, on)
			}
		}
	}
	return nil
}

func TestImports(t *testing.T) {
	t.Run("bans", func(t *testing.T) { holds(t, brokenBans) })
	t.Run("deep bans", func(t *testing.T) { holds(t, brokenDeepBans) })
	t.Run("services apart", func(t *testing.T) { holds(t, servicesApart) })
	t.Run("test helpers", func(t *testing.T) { holds(t, testHelpersOutside) })
	t.Run("contracts", func(t *testing.T) { holds(t, contractsAlone) })
}

// A ban on a package that is gone guards nothing, and looks as if it did.
func TestBannedPackagesExist(t *testing.T) {
	r := repository(t)
	check := func(pattern string) {
		if strings.Contains(strings.Split(pattern, "/")[0], ".") {
			module := strings.TrimSuffix(pattern, "/...")
			for ; module != "." && !strings.Contains(r.Text["go.mod"], "\t"+module+" v"); module = parent(module) {
			}
			if module == "." {
				t.Errorf("%s is in no module of go.mod: drop the rule about it", pattern)
			}
			return
		}
		ours := strings.HasPrefix(pattern, "services/") || strings.HasPrefix(pattern, "pkg/") ||
			strings.HasPrefix(pattern, "proto/") || strings.HasPrefix(pattern, "tools/")
		fits := func(dir string) bool { return Match(pattern, dir) }
		if ours && !slices.ContainsFunc(slices.Collect(maps.Keys(r.Dirs())), fits) {
			t.Errorf("%s does not exist: drop the rule about it, or follow it to its new name", pattern)
		}
	}
	for _, table := range []map[ban]string{bans(), deepBans()} {
		for b := range table {
			check(b.who)
			check(b.never)
		}
	}
	for pattern, res := range reserved() {
		check(pattern)
		for _, w := range res.who {
			check(w)
		}
	}
}

func parent(p string) string {
	i := strings.LastIndex(p, "/")
	if i < 0 {
		return "."
	}
	return p[:i]
}

func TestImportRulesBite(t *testing.T) {
	src := func(pkg string, imports ...string) string {
		s := "package " + pkg + "\n"
		for _, i := range imports {
			s += "import _ \"" + i + "\"\n"
		}
		return s
	}
	const m = Module + "/"
	finds(t, brokenBans, files{
		"pkg/a/a.go":              src("a", m+"services/idp"),
		"pkg/b/b.go":              src("b", "math/rand/v2"),
		"pkg/b/b_test.go":         src("b", "math/rand/v2"),
		"services/dsreg/d.go":     src("d", "github.com/google/go-tpm/tpm2"),
		"services/dsreg/e.go":     src("d", "github.com/google/go-tpm/legacy/tpm2"),
		"services/tpm-agent/t.go": src("t", "github.com/google/go-tpm/tpm2"),

		"services/idp/internal/attestation/a.go": src("attestation", "github.com/google/go-tpm/tpm2"),
		"services/idp/internal/attestation/b.go": src("attestation", "github.com/google/go-tpm/tpm2/transport"),
	},
		"pkg/a/a.go imports services/idp: pkg is below the services: a library that knows a component drags it into every other",
		"pkg/b/b.go imports math/rand/v2: predictable; nonces, keys and ids come from crypto/rand",
		"services/dsreg/e.go imports github.com/google/go-tpm/legacy/tpm2: whoever can send TPM commands can use keys: that is the tpm-agent alone, the TPM in software that stands in for the chip, and the maker of such TPMs",
		"services/idp/internal/attestation/b.go imports github.com/google/go-tpm/tpm2/transport: whoever can send TPM commands can use keys: that is the tpm-agent alone, the TPM in software that stands in for the chip, and the maker of such TPMs",
		"services/dsreg/d.go imports github.com/google/go-tpm/tpm2: whoever can send TPM commands can use keys: that is the tpm-agent alone, the TPM in software that stands in for the chip, and the maker of such TPMs")
	finds(t, servicesApart, files{
		"services/a/a.go":         src("a", m+"services/a/internal/x", m+"services/b"),
		"services/a/a_test.go":    src("a", m+"services/b/btest", m+"services/b"),
		"services/a/cmd/a/m.go":   src("main", m+"services/a"),
		"tools/lockstep/m.go":     src("main", m+"services/a", m+"services/b"),
		"services/b/btest/all.go": src("btest", m+"services/b"),
		"examples/x.go":           src("x", m+"services/b"),
	},
		"services/a/a.go imports services/b: a service never imports another service",
		"services/a/a_test.go imports services/b: a service never imports another service",
		"examples/x.go imports services/b: only a service's own code and tools open its door")
	finds(t, testHelpersOutside, files{
		"services/a/a.go":         src("a", "net/http/httptest", m+"services/a/atest"),
		"services/a/a_test.go":    src("a", "testing", m+"services/a/atest"),
		"services/a/atest/all.go": src("atest", "testing"),
	},
		"services/a/a.go imports net/http/httptest: only tests import test helpers",
		"services/a/a.go imports services/a/atest: only tests import test helpers")
	finds(t, contractsAlone, files{
		"proto/gen/a/a.go": src("a", "sync", "google.golang.org/grpc", m+"proto/gen/b", m+"pkg/ids", "github.com/x/y"),
		"pkg/ids/ids.go":   src("ids"),
	},
		"proto/gen/a/a.go imports pkg/ids: contracts import nobody",
		"proto/gen/a/a.go imports github.com/x/y: contracts import nobody")
	finds(t, brokenDeepBans, files{
		"pkg/jose/j.go": src("jose", m+"pkg/x"),
		"pkg/x/x.go":    src("x", m+"pkg/rpc"),
	}, "pkg/jose -> pkg/x -> pkg/rpc: a wire format must be usable, and testable against outside vectors, without the machinery of this system")
}
