package main

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/lockstep-sso/lockstep/tools/identity/internal/authority"
	"github.com/lockstep-sso/lockstep/tools/identity/internal/bootstrap"
	"github.com/lockstep-sso/lockstep/tools/identity/internal/table"
)

// TestComponentsTakeWhatIsIssued fills folders with identities, and has the product's own
// test do handshakes under them. The product is another module, which this one does not
// link, so that it runs as it is.
func TestComponentsTakeWhatIsIssued(t *testing.T) {
	tab, err := table.Load("testdata/table.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, err := authority.Open(t.TempDir(), tab.Order(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	client := fake.NewClientset()
	if err := bootstrap.Run(t.Context(), bootstrap.Config{Client: client, Table: tab, Authorities: set, Life: time.Hour, Log: slog.New(slog.DiscardHandler), Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	secrets, err := client.CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, s := range secrets.Items {
		dir := filepath.Join(folder, s.Namespace, strings.TrimPrefix(s.Name, "identity-"))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, data := range s.Data {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-run", "^TestT1_T13_IdentitiesOfACluster$", "./pkg/rpc")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "GOWORK=", "LOCKSTEP_CLUSTER_IDENTITIES="+folder)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestT1_T13_IdentitiesOfACluster") {
		t.Errorf("%v\n%s", err, out)
	}
}
