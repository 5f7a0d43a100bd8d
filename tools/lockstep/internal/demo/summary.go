package demo

import (
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/step"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// Tenant is what the demo needs to know of the embedded default tenant.
type Tenant struct {
	User     string
	Password secret.Text
	App      string
	Resource string
	Page     actor.Page
}

// DefaultTenant is alice of contoso.test, a mail app and a web portal.
func DefaultTenant() Tenant {
	return Tenant{
		User:     "alice@contoso.test",
		Password: secret.NewText("correct horse battery staple"),
		App:      "d3590ed6-52b3-4102-aeff-aad2292ab01c",
		Resource: "https://graph.microsoft.com",
		Page: actor.Page{
			ClientID:    "c44b4083-3bb0-49c1-b47d-974e53cbdf3c",
			RedirectURI: "https://portal.contoso.test/signin",
			Nonce:       "nonce-of-the-portal",
			Authorize:   lab.SignInOrigin + "/common/oauth2/v2.0/authorize",
		},
	}
}

// line is one line of the summary.
type line struct {
	what, outcome string
	took          time.Duration
}

func (d *Demo) note(what, outcome string, took time.Duration) {
	d.summary = append(d.summary, line{what, outcome, took})
}

func (d *Demo) printSummary(total time.Duration, rows int) {
	if d.cfg.JSON {
		return
	}
	t := table.NewWriter()
	t.SetOutputMirror(d.cfg.Out)
	t.SetStyle(table.StyleLight)
	t.Style().Format.Footer, t.Style().Format.Header = text.FormatDefault, text.FormatDefault
	t.SetTitle("Summary")
	t.AppendHeader(table.Row{"flow", "what ran", "ms"})
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 3, Align: text.AlignRight, AlignHeader: text.AlignRight, AlignFooter: text.AlignRight}})
	for _, l := range d.summary {
		t.AppendRow(table.Row{l.what, l.outcome, fmt.Sprintf("%.1f", float64(l.took.Microseconds())/1000)})
	}
	t.AppendFooter(table.Row{"", ranInOrder(rows), fmt.Sprintf("%d", total.Milliseconds())})
	t.SetCaption("%s", d.keys)
	t.Render()
}

// ranInOrder says how much of the documents ran.
func ranInOrder(rows int) string {
	if rows < len(step.All()) {
		return fmt.Sprintf("all %d documented rows of the flow ran, in order", rows)
	}
	return fmt.Sprintf("all %d documented rows ran, in order", rows)
}

// joiner is who joins a device for somebody: a tenant takes it from its own people alone, so
// for Carol, whose password only her organisation knows, Frank does.
func joiner(user string) Person {
	if user == "carol" {
		user = "frank"
	}
	return People()[user]
}

// Person is a user of the embedded tenants.
type Person struct {
	UPN      string
	Password secret.Text
}

// People are the users of the embedded tenants, by first name. Dave may not join
// devices; Mia has an authenticator, and Nora one that signs in without a password,
// and a telephone besides; Frank is of another tenant than they are; Carol's domain,
// of Frank's tenant, is federated: her password is known to its provider only.
func People() map[string]Person {
	return map[string]Person{
		"alice": {"alice@contoso.test", secret.NewText("correct horse battery staple")},
		"bob":   {"bob@contoso.test", secret.NewText("staple battery horse correct")},
		"dave":  {"dave@contoso.test", secret.NewText("no devices for dave")},
		"mia":   {"mia@contoso.test", secret.NewText("two factors are better")},
		"nora":  {"nora@contoso.test", secret.NewText("every method has its day")},
		"frank": {"frank@fabrikam.test", secret.NewText("fabrikam makes everything")},
		"admin": {"admin@contoso.test", secret.NewText("administrators need long passwords")},
		"carol": {"carol@adatum.test", secret.NewText("federated horse")},
	}
}
