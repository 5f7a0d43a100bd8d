package directory

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// The kinds of documents that hold what an operator changed of a tenant. The key
// is the tenant's id, a slash, and the object's id; the newest change is the one
// that counts.
const (
	applicationKind = "application"
	policyKind      = "policy"
	// rulebookKind holds all policies of a tenant since they were replaced as a whole;
	// single changes from before do not count any more. Its key is the tenant's id.
	rulebookKind = "policies"
)

// kept is a change. Neither member says that the object was removed.
type kept struct {
	Application *keptApplication `json:",omitempty"`
	Policy      *tenant.Policy   `json:",omitempty"`
	Rulebook    *tenant.Rulebook `json:",omitempty"`
}

// keptApplication is an application with its secrets in the clear, as the tenant
// file has them.
type keptApplication struct {
	ID                                            ids.ClientID
	Name                                          string
	RedirectURIs, SPARedirectURIs, PostLogoutURIs []string
	Resources, AppRoles, Secrets                  []string
	Certificates                                  [][]byte
	Family                                        bool
	Resource                                      *tenant.Resource
	Consent                                       tenant.Consent `json:",omitempty"`
}

func (d *Directory) keepApplication(ctx context.Context, t ids.TenantID, r Registration) error {
	k := keptApplication{
		ID: r.ID, Name: r.Name, RedirectURIs: r.RedirectURIs, SPARedirectURIs: r.SPARedirectURIs, PostLogoutURIs: r.PostLogoutURIs,
		Resources: r.Resources, AppRoles: r.AppRoles, Family: r.Family, Resource: r.Resource, Consent: r.Consent,
	}
	for _, s := range r.Secrets {
		k.Secrets = append(k.Secrets, s.Reveal())
	}
	for _, c := range r.Certificates {
		k.Certificates = append(k.Certificates, c.Raw)
	}
	return d.keep(ctx, applicationKind, t, string(r.ID), kept{Application: &k})
}

func (k keptApplication) registration() (Registration, error) {
	r := Registration{Resource: k.Resource, Application: tenant.Application{
		ID: k.ID, Name: k.Name, RedirectURIs: k.RedirectURIs, SPARedirectURIs: k.SPARedirectURIs, PostLogoutURIs: k.PostLogoutURIs,
		Resources: k.Resources, AppRoles: k.AppRoles, Family: k.Family, Consent: k.Consent,
	}}
	for _, s := range k.Secrets {
		r.Secrets = append(r.Secrets, secret.NewText(s))
	}
	for _, der := range k.Certificates {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return r, fmt.Errorf("certificate: %w", err)
		}
		r.Certificates = append(r.Certificates, cert)
	}
	return r, nil
}

func (d *Directory) keepPolicy(ctx context.Context, t ids.TenantID, p tenant.Policy) error {
	return d.keep(ctx, policyKind, t, p.ID, kept{Policy: &p})
}

func (d *Directory) keepRulebook(ctx context.Context, t ids.TenantID, b tenant.Rulebook) error {
	return d.keepAs(ctx, rulebookKind, string(t), kept{Rulebook: &b})
}

// replaced are the policies of a tenant once they were replaced as a whole, and the
// document they stand in, nil before that.
func (d *Directory) replaced(ctx context.Context, t ids.TenantID) (tenant.Rulebook, []byte, error) {
	raw, err := d.store.Document(ctx, rulebookKind, string(t))
	if errors.Is(err, store.ErrNotFound) {
		return tenant.Rulebook{}, nil, nil
	}
	var k kept
	if err == nil {
		err = json.Unmarshal(raw, &k)
	}
	if err != nil || k.Rulebook == nil {
		return tenant.Rulebook{}, nil, prterr.Wrap(prterr.Internal, err, "the directory cannot be read")
	}
	return *k.Rulebook, raw, nil
}

// swapRulebook puts policies in the place of those that were read in the document old.
func (d *Directory) swapRulebook(ctx context.Context, t ids.TenantID, b tenant.Rulebook, old []byte) error {
	raw, err := json.Marshal(kept{Rulebook: &b})
	var stands []byte
	if err == nil {
		stands, err = d.store.SwapDocument(ctx, rulebookKind, string(t), old, raw)
	}
	switch {
	case err != nil:
		return prterr.Wrap(prterr.Internal, err, "the directory cannot be changed")
	case !bytes.Equal(stands, raw):
		return prterr.New(prterr.Unavailable, "somebody else changes the policies of the tenant at the same time: try again")
	}
	return nil
}

func (d *Directory) keepRemoval(ctx context.Context, kind string, t ids.TenantID, id string) error {
	return d.keep(ctx, kind, t, id, kept{})
}

func (d *Directory) keep(ctx context.Context, kind string, t ids.TenantID, id string, k kept) error {
	return d.keepAs(ctx, kind, string(t)+"/"+id, k)
}

func (d *Directory) keepAs(ctx context.Context, kind, key string, k kept) error {
	raw, err := json.Marshal(k)
	if err == nil {
		err = d.store.PutDocument(ctx, kind, key, raw)
	}
	if err != nil {
		return prterr.Wrap(prterr.Internal, err, "the directory cannot be changed")
	}
	return nil
}

// replayChanges puts into the tenants of the file what an operator had changed.
// A change of a tenant that is not in the file any more waits for its return.
func (d *Directory) replayChanges(ctx context.Context) error {
	for _, kind := range []string{applicationKind, policyKind, rulebookKind} {
		keys, err := d.store.DocumentKeys(ctx, kind)
		if err != nil {
			return fmt.Errorf("changes of tenants: %w", err)
		}
		for _, key := range keys {
			if err := d.replayChange(ctx, kind, key); err != nil {
				return fmt.Errorf("change %s %s of a tenant: %w", kind, key, err)
			}
		}
	}
	return nil
}

// Changed takes over what other processes changed of tenants: the documents named, or
// all.
func (d *Directory) Changed(ctx context.Context, docs []store.Change, all bool) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	if all {
		return d.replayChanges(ctx)
	}
	for _, c := range docs {
		if c.Kind != applicationKind && c.Kind != policyKind && c.Kind != rulebookKind {
			continue
		}
		if err := d.replayChange(ctx, c.Kind, c.Key); err != nil {
			return fmt.Errorf("change %s %s of a tenant: %w", c.Kind, c.Key, err)
		}
	}
	return nil
}

func (d *Directory) replayChange(ctx context.Context, kind, key string) error {
	t, id, _ := strings.Cut(key, "/")
	if _, ok := d.tenants.Tenant(ids.TenantID(t)); !ok {
		return nil
	}
	raw, err := d.store.Document(ctx, kind, key)
	if err != nil {
		return err
	}
	var k kept
	if err := json.Unmarshal(raw, &k); err != nil {
		return err
	}
	var f func(*tenant.Tenant)
	switch {
	case k.Application != nil:
		r, err := k.Application.registration()
		if err != nil {
			return err
		}
		f = func(next *tenant.Tenant) { putRegistration(next, r) }
	case k.Rulebook != nil:
		f = func(next *tenant.Tenant) { putRulebook(next, *k.Rulebook) }
	case k.Policy != nil:
		f = func(next *tenant.Tenant) { putPolicy(next, *k.Policy) }
	case kind == applicationKind:
		f = func(next *tenant.Tenant) { dropRegistration(next, ids.ClientID(id)) }
	default:
		f = func(next *tenant.Tenant) { dropPolicy(next, id) }
	}
	return d.change(ids.TenantID(t), f)
}
