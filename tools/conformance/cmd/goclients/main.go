// Command goclients holds the clients in Go: MSAL Go, azidentity, and go-oidc with
// x/oauth2, each as its makers publish it. The runner starts it with one of their
// names; the environment says where the tenant is.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime/debug"
	"time"

	"github.com/lockstep-sso/lockstep/tools/conformance/internal/browser"
	"github.com/lockstep-sso/lockstep/tools/conformance/internal/cases"
	"github.com/lockstep-sso/lockstep/tools/conformance/internal/serve"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "goclients:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: goclients msal|azidentity|oidc")
	}
	switch args[0] {
	case "msal":
		w := newWorld("MSAL Go", "github.com/AzureAD/microsoft-authentication-library-for-go")
		w.msalPublic()
		w.msalPolicies()
		w.msalConfidential()
	case "azidentity":
		newWorld("azidentity", "github.com/Azure/azure-sdk-for-go/sdk/azidentity").azidentity()
	case "oidc":
		newWorld("go-oidc with x/oauth2", "github.com/coreos/go-oidc/v3", "golang.org/x/oauth2").oidc()
	default:
		return fmt.Errorf("there is no client %q", args[0])
	}
	return nil
}

// world is the tenant as the cases see it.
type world struct {
	*cases.Cases
	tenant, user, password, authority string
	app, secret, redirect             string
}

const (
	graphScope      = "https://graph.microsoft.com/User.Read"
	graphDefault    = "https://graph.microsoft.com/.default"
	managementScope = "https://management.azure.com/.default"
	// commandLine is the Azure CLI, a public client with a loopback redirect.
	commandLine = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
)

func newWorld(client string, modules ...string) *world {
	get := func(name string) string { return serve.Value(os.Getenv, name) }
	return &world{
		Cases:  &cases.Cases{Client: client, Version: version(modules), Out: os.Stdout, Timeout: time.Minute},
		tenant: get("CONF_TENANT"), user: get("CONF_USER"), password: get("CONF_PASSWORD"),
		authority: "https://" + get("CONF_LOGIN") + "/" + get("CONF_TENANT"),
		app:       get("CONF_APP"), secret: get("CONF_APP_SECRET"), redirect: get("CONF_APP_REDIRECT"),
	}
}

// version is what was compiled in, by the program's own record.
func version(modules []string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	text := ""
	for _, m := range modules {
		for _, dep := range info.Deps {
			if dep.Path != m {
				continue
			}
			if text != "" {
				text += ", "
			}
			text += dep.Version
		}
	}
	return text
}

// walk signs the user in at an address and answers what was sent to stop.
func walk(ctx context.Context, address, stop string) (url.Values, error) {
	b, err := browser.New(serve.UserFromEnv(os.Getenv))
	if err != nil {
		return nil, err
	}
	return b.Walk(ctx, address, stop)
}

// code is walk for a code; an error that was sent in its place is an error here.
func code(ctx context.Context, address, stop string) (url.Values, error) {
	got, err := walk(ctx, address, stop)
	if err != nil {
		return nil, err
	}
	if got.Get("code") == "" {
		return nil, fmt.Errorf("%s: %s", got.Get("error"), got.Get("error_description"))
	}
	return got, nil
}

// visit signs the user in at an address that leads back to the client.
func visit(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b, err := browser.New(serve.UserFromEnv(os.Getenv))
	if err != nil {
		return err
	}
	return b.Visit(ctx, address)
}

// approve plays the user of a device code.
func approve(ctx context.Context, userCode string) error {
	return serve.ApproveCode(ctx, os.Getenv, userCode)
}
