package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/cloudap"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/local"
)

// maxLocalPassword is in bytes, as Windows bounds a password in characters.
const maxLocalPassword = 127

// readLocal reads who signs in to an account of the device's own.
func readLocal(name string, req *lsav1.LogonUserRequest) (local.Name, secret.Text, error) {
	n, err := readLocalName("user_principal_name", name)
	if err != nil {
		return "", secret.Text{}, err
	}
	c, ok := req.GetCredential().(*lsav1.LogonUserRequest_Password)
	if !ok {
		return "", secret.Text{}, prterr.New(prterr.Invalid, "credential: a local account takes a password and nothing else; a user of a tenant is named user@domain")
	}
	password, err := readLocalPassword(c.Password)
	return n, password, err
}

func readLocalName(field, s string) (local.Name, error) {
	n, err := local.ParseName(s)
	if err != nil {
		return "", prterr.New(prterr.Invalid, "%s: %v; a user of a tenant is named user@domain", field, err)
	}
	return n, nil
}

func readLocalPassword(s string) (secret.Text, error) {
	if s == "" || len(s) > maxLocalPassword {
		return secret.Text{}, prterr.New(prterr.Invalid, "password must be 1 to %d bytes", maxLocalPassword)
	}
	return secret.NewText(s), nil
}

// locals keeps the accounts of the device's own.
type locals struct {
	lsav1.UnimplementedLocalAccountServiceServer
	cloudAP *cloudap.CloudAP
}

func (l locals) PutLocalAccount(_ context.Context, req *lsav1.PutLocalAccountRequest) (*lsav1.PutLocalAccountResponse, error) {
	name, err := readLocalName("name", req.GetName())
	if err != nil {
		return nil, err
	}
	password, err := readLocalPassword(req.GetPassword())
	if err != nil {
		return nil, err
	}
	a, err := l.cloudAP.PutLocal(name, password)
	if err != nil {
		return nil, err
	}
	return &lsav1.PutLocalAccountResponse{Sid: string(a.SID)}, nil
}

func (l locals) RemoveLocalAccount(_ context.Context, req *lsav1.RemoveLocalAccountRequest) (*lsav1.RemoveLocalAccountResponse, error) {
	name, err := readLocalName("name", req.GetName())
	if err != nil {
		return nil, err
	}
	if err := l.cloudAP.RemoveLocal(name); err != nil {
		return nil, err
	}
	return &lsav1.RemoveLocalAccountResponse{}, nil
}

func (l locals) ListLocalAccounts(context.Context, *lsav1.ListLocalAccountsRequest) (*lsav1.ListLocalAccountsResponse, error) {
	out := &lsav1.ListLocalAccountsResponse{}
	for _, a := range l.cloudAP.ListLocal() {
		out.Accounts = append(out.Accounts, &lsav1.LocalAccount{Name: string(a.Name), Sid: string(a.SID)})
	}
	return out, nil
}
