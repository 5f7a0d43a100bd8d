package flows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/chip"
)

// plug says what TPM the devices of a script have, before its lab starts: "chip" is one
// that can be handled, "absent" the place for one, "old" one of the family 1.2, and
// "file" an emulated one that lies with the device's files. Without a chip keys go to
// software.
func (r *Runner) plug(d *datadriven.TestData) string {
	if r.lab != nil || len(d.CmdArgs) != 1 {
		return failure(errors.New("say first of all what TPM it is: chip, absent, old or file"))
	}
	kind := d.CmdArgs[0].Key
	if kind == "file" {
		r.cfg.TPM = ""
		return "the TPM lies with the device's files\n"
	}
	c, err := chip.New(chip.Config{OldFamily: kind == "old", Now: r.now})
	if err != nil {
		return failure(err)
	}
	r.chip, r.cfg.TPM, r.cfg.SoftwareKeys = c, c.Address(), "allow"
	switch kind {
	case "chip":
		r.cfg.SoftwareKeys = ""
		return outcome("there is a TPM 2.0", c.PutIn())
	case "old":
		return outcome("there is a TPM 1.2", c.PutIn())
	case "absent":
		return "there is no TPM\n"
	default:
		return failure(fmt.Errorf("there is no TPM called %.80q", kind))
	}
}

// now is the lab's time.
func (r *Runner) now() time.Time {
	if r.lab == nil {
		return time.Now()
	}
	return time.Now().Add(r.lab.Ahead())
}

// onDevice carries out the commands about the device itself. The last result is false
// for a command of somebody else.
func (r *Runner) onDevice(ctx context.Context, d *datadriven.TestData, arg map[string]string) (string, bool) {
	switch d.Cmd {
	case "tpm": // tpm stop|start|clear|break|mend|measure pcr=7|vouched
		return r.handle(ctx, arg), true
	case "register": // register user=alice
		return r.register(ctx, arg), true
	case "migrate": // migrate
		provider, err := r.device.Operator.MigrateKeys(ctx)
		return r.nameless(outcome("the keys are with: "+provider, err)), true
	case "describe": // describe [live]
		return r.describe(ctx, arg["live"] != ""), true
	case "damage": // damage key=device
		return outcome("the blob of the "+arg["key"]+" key is damaged", damage(r.device.StateDir("tpm-agent"), arg["key"])), true
	case "enter": // enter user=alice [pin=135790], a sign-in without its ladder
		return awhile(unladdered(r.signIn(ctx, arg))), true
	case "use": // use user=alice, a fresh token without its ladder
		return r.use(ctx, arg), true
	case "pin": // pin wrong user=mia times=5
		return r.wrongPINs(ctx, arg), true
	case "backup", "put-back": // backup, put-back
		return r.backup(ctx, d.Cmd), true
	case "lose-tpm": // lose-tpm
		return r.loseTPM(ctx), true
	}
	return "", false
}

func (r *Runner) handle(ctx context.Context, arg map[string]string) string {
	if r.chip == nil {
		return failure(prterr.New(prterr.Invalid, "there is no TPM to handle: a script of its own begins with plug chip; elsewhere stop component=tpm-agent has the device without keys"))
	}
	switch {
	case arg["stop"] != "":
		return outcome("the TPM answers no more", r.chip.TakeOut())
	case arg["start"] != "":
		return outcome("the TPM answers", r.chip.PutIn())
	case arg["clear"] != "":
		return outcome("the TPM was cleared in the firmware menu", r.chip.Clear())
	case arg["break"] != "":
		r.chip.Break()
		return "the TPM answers every command with a failure\n"
	case arg["mend"] != "":
		return outcome("the TPM works again", r.chip.Mend())
	case arg["vouched"] != "":
		// The lab's own maker vouches for the TPM inside the agent.
		r.device.Set("tpm-agent", "tpm", "mem:")
		return outcome("the device has a TPM now, by a maker whom the tenant trusts", r.device.Restart(context.WithoutCancel(ctx), "tpm-agent"))
	case arg["measure"] != "":
		pcr, err := strconv.ParseUint(arg["pcr"], 10, 32)
		if err == nil {
			err = r.chip.Measure(uint32(pcr))
		}
		return outcome("PCR "+arg["pcr"]+" has another value", err)
	default:
		return failure(errors.New("a TPM can be told stop, start, clear, break, mend, measure and vouched"))
	}
}

func (r *Runner) register(ctx context.Context, arg map[string]string) string {
	upn, password, err := r.person(arg)
	if err == nil {
		_, err = r.device.Operator.Register(ctx, upn, password, r.seat.computer())
	}
	return outcome("the device is registered for the work account "+upn, err)
}

// describe is what the diagnostics of dsregcmd /status say of the registration.
func (r *Runner) describe(ctx context.Context, live bool) string {
	d, err := dsregv1.NewDiagnosticsServiceClient(r.device.Operator.Dsreg).DescribeRegistration(ctx, &dsregv1.DescribeRegistrationRequest{Live: live})
	if err != nil {
		return failure(err)
	}
	var b strings.Builder
	s := d.GetState()
	fmt.Fprintf(&b, "AzureAdJoined : %s, WorkplaceJoined : %s, DomainJoined : %s\n", yes(s.GetAzureAdJoined()), yes(s.GetWorkplaceJoined()), yes(s.GetDomainJoined()))
	if s.GetDeviceId() != "" {
		fmt.Fprintf(&b, "TpmProtected : %s, keys known to the tenant as %s\n", yes(s.GetTpmProtected()), s.GetAttestedProtection())
		if s.GetSoftwareReason() != "" {
			fmt.Fprintf(&b, "KeyProvider : %s\n", s.GetKeyProvider())
		}
		fmt.Fprintf(&b, "KeySignTest : %s, AadRecoveryEnabled : %s\n", keyTest(s.GetKeySignTest()), yes(s.GetAadRecoveryEnabled()))
	}
	if status := deviceAuth(d.GetDeviceAuthStatus()); live && status != "" {
		fmt.Fprintf(&b, "DeviceAuthStatus : %s\n", status)
	}
	for _, t := range d.GetTests() {
		fmt.Fprintf(&b, "%s : %s%s\n", t.GetName(), t.GetResult(), codes(t))
	}
	if a := d.GetLastAttempt(); a != nil {
		fmt.Fprintf(&b, "last attempt : %s%s\n", a.GetRegistrationType(), ending(a))
	}
	return b.String()
}

func codes(t *dsregv1.DiagnosticTest) string {
	switch {
	case t.GetCode() == 0:
		return ""
	case t.GetSubCode() == 0:
		return fmt.Sprintf(" [0x%08x]", t.GetCode())
	default:
		return fmt.Sprintf(" [0x%08x/0x%08x]", t.GetCode(), t.GetSubCode())
	}
}

func ending(a *dsregv1.RegistrationAttempt) string {
	switch {
	case a.GetErrorPhase() == "" && a.GetLeftBehindDeviceId() != "":
		return ", done; the old device stays at the tenant"
	case a.GetErrorPhase() == "":
		return ", done"
	}
	text := fmt.Sprintf(", phase %s, client code 0x%08x", a.GetErrorPhase(), a.GetClientErrorCode())
	if a.GetServerErrorCode() != "" {
		text += ", server code " + a.GetServerErrorCode()
	}
	if a.GetPending() {
		text += ", waiting"
	}
	return text
}

func deviceAuth(s dsregv1.DeviceAuthStatus) string {
	return map[dsregv1.DeviceAuthStatus]string{
		dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_SUCCESS:             "SUCCESS",
		dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_DISABLED_OR_DELETED: "FAILED. Device is either disabled or deleted",
		dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_ERROR:               "FAILED. ERROR",
	}[s]
}

// wrongPINs types wrong PINs and tells how the last one was answered.
func (r *Runner) wrongPINs(ctx context.Context, arg map[string]string) string {
	upn, _, err := r.person(arg)
	times, bad := strconv.Atoi(arg["times"])
	if err != nil || bad != nil || times < 1 || times > 100 {
		return failure(errors.Join(err, bad, errors.New("use pin wrong user=NAME times=1 to 100")))
	}
	for range times {
		_, _, err = r.device.LogonUI.SignInPIN(ctx, upn, secret.NewText("864209"))
	}
	if err == nil {
		return "the last wrong PIN was taken\n"
	}
	return awhile(failure(err)) + hresult(err)
}

// pause is a wait that an error names, to the second.
var pause = regexp.MustCompile(`wait [0-9hms.]+`)

// awhile is an output without the exact length of a wait, which depends on how long the
// script took until then.
func awhile(out string) string { return pause.ReplaceAllString(out, "wait some minutes") }

// use asks for a token that is in no cache and tells whether anything of it reached the
// identity provider.
func (r *Runner) use(ctx context.Context, arg map[string]string) string {
	_, _, id, err := r.ask(ctx, arg, r.tenant.App, actor.Wish{Resource: r.tenant.Resource, Fresh: true})
	if err == nil {
		return "a fresh access token\n"
	}
	out := failure(err) + hresult(err)
	if !strings.Contains(r.ladder(ctx, id), "-> IdP") {
		out += "nothing was sent to the identity provider\n"
	}
	return out
}

// nameless is an output without the address of the script's TPM, which is another every
// time.
func (r *Runner) nameless(out string) string {
	if r.chip == nil {
		return out
	}
	return strings.ReplaceAll(out, r.chip.Address(), "its socket")
}

// unladdered is an output without its ladder.
func unladdered(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		if !strings.Contains(line, " -> ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// hresult is a line with the Windows code of an error.
func hresult(err error) string {
	var known *prterr.Error
	if !errors.As(err, &known) || known.HRESULT == 0 {
		return ""
	}
	return fmt.Sprintf("code 0x%08x\n", known.HRESULT)
}

// backup copies everything the device has, its emulated TPM too, or puts the copy back.
func (r *Runner) backup(ctx context.Context, what string) string {
	ctx = context.WithoutCancel(ctx)
	if what == "put-back" {
		return outcome("disk and TPM are as they were at the backup", r.device.PutBack(ctx, r.saved))
	}
	dir, err := os.MkdirTemp("", "backup")
	if err == nil {
		r.saved, err = dir, r.device.Snapshot(ctx, dir)
	}
	return outcome("disk and TPM are copied", err)
}

// loseTPM has the device find another TPM: the main board was exchanged.
func (r *Runner) loseTPM(ctx context.Context) string {
	ctx = context.WithoutCancel(ctx)
	err := r.device.Stop("tpm-agent")
	if err == nil {
		err = os.Remove(filepath.Join(r.device.StateDir("tpm-agent"), "tpm.state"))
	}
	if err == nil {
		err = r.device.Resume(ctx, "tpm-agent")
	}
	return outcome("the device has another TPM", err)
}

// damage changes one character of a key's blob on the disk.
func damage(dir, key string) error {
	found, err := filepath.Glob(filepath.Join(dir, "*.keyset"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("the device has %d key sets", len(found))
	}
	var set map[string]any
	raw, err := os.ReadFile(found[0])
	if err == nil {
		err = json.Unmarshal(raw, &set)
	}
	if err != nil {
		return err
	}
	blob, ok := set[key].(map[string]any)
	text, ok2 := blob["private"].(string)
	if !ok || !ok2 || text == "" {
		return fmt.Errorf("there is no %.20q key", key)
	}
	at, letter := len(text)/2, "A"
	if text[at] == 'A' {
		letter = "B"
	}
	blob["private"] = text[:at] + letter + text[at+1:]
	if raw, err = json.Marshal(set); err != nil {
		return err
	}
	return os.WriteFile(found[0], raw, 0o600)
}
