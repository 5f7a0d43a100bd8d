package acceptance_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/services/adfs"
	"github.com/lockstep-sso/lockstep/services/dsreg"
	"github.com/lockstep-sso/lockstep/services/idp"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	wambroker "github.com/lockstep-sso/lockstep/services/wam-broker"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// TestT1_EveryMethodByEveryIdentity calls every method of every running component
// as every component: who is refused is exactly who is not on the list.
func TestT1_EveryMethodByEveryIdentity(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	doors := map[string]rpc.AllowList{
		"idp": idp.Allow(), "adfs": adfs.Allow(), w.device.Key("tpm-agent"): tpmagent.Allow(), w.device.Key("dsreg"): dsreg.Allow(),
		w.device.Key("lsa-cloudap"): lsacloudap.Allow(), w.device.Key("wam-broker"): wambroker.Allow(),
	}
	callers := []string{"logonui", "app", "browser", "browsercore", "wam-broker", "lsa-cloudap", "dsreg", "tpm-agent", "idp", "adfs", "operator", "stranger"}
	calls := 0
	for key, own := range doors {
		allow := rpc.Join(own, run.LabAllow())
		for _, caller := range callers {
			conn, err := w.lab.Dial(t.Context(), caller, key)
			if err != nil {
				t.Fatal(err)
			}
			for method := range allow {
				m := descriptor(t, method)
				err := conn.Invoke(t.Context(), method, dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output()))
				refused := err != nil && strings.Contains(err.Error(), caller+" may not call")
				if listed := slices.Contains(allow[method], caller); listed == refused {
					t.Errorf("%s calling %s at %s: listed %v, %v", caller, m.Name(), key, listed, err)
				}
				calls++
			}
		}
	}
	if calls < 300 {
		t.Errorf("only %d calls", calls)
	}
}

func descriptor(t *testing.T, method string) protoreflect.MethodDescriptor {
	t.Helper()
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return d.(protoreflect.MethodDescriptor)
}
