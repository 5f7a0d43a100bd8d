package flows

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
)

// operate carries out the commands of an administrator of the tenant.
func (r *Runner) operate(ctx context.Context, command string, arg map[string]string) string {
	conn, err := r.lab.Dial(ctx, "operator", "idp")
	if err != nil {
		return failure(err)
	}
	if command == "sign-ins" { // sign-ins
		return r.signIns(ctx, directoryv1.NewReadServiceClient(conn))
	}
	admin := directoryv1.NewAdminServiceClient(conn)
	if arg["do"] == "policy" {
		return outcome("done", onePolicy(ctx, admin, arg))
	}
	if said, err := r.toUser(ctx, admin, arg); said {
		return outcome("done", err)
	}
	return outcome("done", r.toDevice(ctx, admin, arg))
}

// onePolicy puts one policy on everybody and everything in the place of all others:
//
//	admin do=policy block
//	admin do=policy frequency=8h
//	admin do=policy none
func onePolicy(ctx context.Context, admin directoryv1.AdminServiceClient, arg map[string]string) error {
	about := "  - {id: 3b1f8a52-9c77-4d0e-8a26-6e2f4b9d0a99, name: Of the script, include_users: [All], include_resources: [All], "
	var document string
	switch {
	case arg["block"] != "":
		document = "policies:\n" + about + "grant: block}\n"
	case arg["frequency"] != "":
		document = "policies:\n" + about + "sign_in_frequency: " + arg["frequency"] + "}\n"
	case arg["none"] != "":
		document = "policies: []\n"
	default:
		return errors.New("a policy is one of block, frequency and none")
	}
	_, err := admin.ReplacePolicies(ctx, &directoryv1.ReplacePoliciesRequest{TenantId: computer().TenantID, Document: []byte(document)})
	return err
}

// deeds are what an administrator can do, for who asks for something else.
const deeds = "disable-user, enable-user, delete-user, create-user, set-password, revoke-sessions with user=NAME; " +
	"disable-device, enable-device, delete-device; rotate-keys; policy with block, frequency=8h or none"

// toUser does something to a user, and says whether it was about one:
//
//	admin do=disable-user user=alice     also enable-user, delete-user, revoke-sessions
//	admin do=set-password user=alice password=a-new-one
//	admin do=create-user user=alice [password=a-new-one]
func (r *Runner) toUser(ctx context.Context, admin directoryv1.AdminServiceClient, arg map[string]string) (bool, error) {
	upn, password, err := r.person(arg)
	if arg["user"] == "" || err != nil {
		return err != nil && arg["user"] != "", err
	}
	switch arg["do"] {
	case "disable-user", "enable-user":
		_, err = admin.SetUserEnabled(ctx, &directoryv1.SetUserEnabledRequest{UserPrincipalName: upn, Enabled: arg["do"] == "enable-user"})
	case "set-password":
		_, err = admin.SetUserPassword(ctx, &directoryv1.SetUserPasswordRequest{UserPrincipalName: upn, Password: password.Reveal()})
	case "delete-user":
		_, err = admin.DeleteUser(ctx, &directoryv1.DeleteUserRequest{UserPrincipalName: upn})
	case "create-user":
		_, err = admin.CreateUser(ctx, &directoryv1.CreateUserRequest{UserPrincipalName: upn, Password: password.Reveal()})
	case "revoke-sessions":
		_, err = admin.RevokeSessions(ctx, &directoryv1.RevokeSessionsRequest{UserPrincipalName: upn})
	default:
		return false, nil
	}
	return true, err
}

// toDevice does something to the device of the command, or to the keys of the cloud:
//
//	admin do=disable-device     also enable-device, delete-device
//	admin do=rotate-keys
func (r *Runner) toDevice(ctx context.Context, admin directoryv1.AdminServiceClient, arg map[string]string) error {
	if arg["do"] == "rotate-keys" {
		_, err := admin.RotateKeys(ctx, &directoryv1.RotateKeysRequest{})
		return err
	}
	if !slices.Contains([]string{"disable-device", "enable-device", "delete-device"}, arg["do"]) {
		return prterr.New(prterr.Invalid, "an administrator does nothing called %q: say do= and one of %s", arg["do"], deeds)
	}
	id, err := r.device.ID(ctx)
	if err != nil {
		return err
	}
	if arg["do"] == "delete-device" {
		_, err = admin.RemoveDevice(ctx, &directoryv1.RemoveDeviceRequest{DeviceId: id})
		return err
	}
	_, err = admin.SetDeviceEnabled(ctx, &directoryv1.SetDeviceEnabledRequest{DeviceId: id, Enabled: arg["do"] == "enable-device"})
	return err
}

// logRow is what a reader sees of a row of the sign-in log, in the public service's words.
type logRow struct {
	User     string `json:"userPrincipalName"`
	App      string `json:"appDisplayName"`
	Resource string `json:"resourceDisplayName"`
	Incoming string `json:"incomingTokenType"`
	Session  string `json:"sessionId"`
	Status   struct {
		Code int32 `json:"errorCode"`
	} `json:"status"`
	Device struct {
		ID    string `json:"deviceId"`
		Trust string `json:"trustType"`
	} `json:"deviceDetail"`
}

// ofDevices are the flows of the log in which a device brings a credential, a PRT or what
// descends from one. They are the same however the device reaches the cloud; a browser
// and a registration are not.
func ofDevices() []string {
	return []string{"issue_prt", "renew_prt", "redeem_prt", "redeem_refresh_token", "data_key"}
}

// signIns lists the rows of devices in the sign-in log that are new since the last time,
// the oldest first. Sessions and devices have the names that they got when they were
// first seen.
func (r *Runner) signIns(ctx context.Context, read directoryv1.ReadServiceClient) string {
	list, err := read.ListSignIns(ctx, &directoryv1.ListSignInsRequest{Limit: 1000})
	if err != nil {
		return failure(err)
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "what\tuser\tapplication\tresource\tincoming token\tsession\tdevice\tresult")
	for _, s := range list.GetSignIns() {
		if r.names["row "+s.GetSignInId()] != "" || !slices.Contains(ofDevices(), s.GetFlow()) {
			continue
		}
		r.names["row "+s.GetSignInId()] = "seen"
		var seen logRow
		if err := json.Unmarshal([]byte(s.GetEntra()), &seen); err != nil {
			return failure(err)
		}
		cells := []string{
			s.GetFlow(), seen.User, seen.App, seen.Resource, seen.Incoming, r.named("session", seen.Session), r.named("device", seen.Device.ID), result(seen.Status.Code),
		}
		for i := range cells {
			cells[i] = cmp.Or(cells[i], "-")
		}
		_, _ = fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	_ = w.Flush() // into memory
	return trimmed(b.String())
}

// named is the name of an id in this script: its kind, and a number from 1 on.
func (r *Runner) named(kind, id string) string {
	if id == "" {
		return ""
	}
	key := kind + " " + id
	if r.names[key] == "" {
		n := 1
		for k := range r.names {
			if strings.HasPrefix(k, kind+" ") {
				n++
			}
		}
		r.names[key] = fmt.Sprintf("%s-%d", kind, n)
	}
	return r.names[key]
}

func result(code int32) string {
	if code == 0 {
		return "success"
	}
	return aadsts.Code(code).String()
}

// trimmed has no blanks at the ends of lines.
func trimmed(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}
