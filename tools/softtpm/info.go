package main

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	"github.com/lockstep-sso/lockstep/pkg/tpmca"
)

// info is what a TPM says of itself.
type info struct {
	What         string   `json:"what"`
	Manufacturer string   `json:"manufacturer"`
	Firmware     string   `json:"firmware"`
	Revision     string   `json:"revision"`
	Commands     int      `json:"commands"`
	Persistent   []string `json:"persistent"`
	NV           []string `json:"nv"`
	Lockout      lockout  `json:"lockout"`
	Certificates []string `json:"certificates"`
}

// lockout is how near the TPM is to refusing protected keys.
type lockout struct {
	Failures uint32 `json:"failures"`
	Limit    uint32 `json:"limit"`
	Heals    uint32 `json:"heals_one_per_seconds"`
}

func infoCommand() *cobra.Command {
	var (
		state  string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "info",
		Short: "Say what the TPM of a state file is and holds, while it is in use too",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			i, err := inspect(state)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(i)
			}
			return i.print(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "state file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one line of JSON")
	must(cmd, "state")
	return cmd
}

// inspect starts a copy of the TPM, so that the file is neither locked nor
// changed: a start counts as a reset.
func inspect(path string) (i info, err error) {
	state, err := durable.ReadFile(path)
	if err != nil {
		return info{}, err
	}
	if state == nil {
		state = []byte{} // nil would be a new TPM
	}
	tpm, err := softtpm.New(softtpm.Config{State: state})
	if err != nil {
		return info{}, fmt.Errorf("%s: %w", path, err)
	}
	defer func() { err = errors.Join(err, tpm.Close()) }()
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(tpm); err != nil {
		return info{}, fmt.Errorf("start the TPM: %w", err)
	}
	p, err := properties(tpm)
	if err != nil {
		return info{}, err
	}
	i = info{
		What: notice, Manufacturer: letters(p[tpm2.TPMPTManufacturer]),
		Firmware: fmt.Sprintf("%d.%d", p[tpm2.TPMPTFirmwareVersion1], p[tpm2.TPMPTFirmwareVersion2]),
		Revision: fmt.Sprintf("%d.%02d", p[tpm2.TPMPTRevision]/100, p[tpm2.TPMPTRevision]%100), Commands: int(p[tpm2.TPMPTTotalCommands]),
		Lockout: lockout{p[tpm2.TPMPTLockoutCounter], p[tpm2.TPMPTMaxAuthFail], p[tpm2.TPMPTLockoutInterval]},
	}
	if i.Persistent, err = handles(tpm, tpm2.TPMHTPersistent); err != nil {
		return info{}, err
	}
	if i.NV, err = handles(tpm, tpm2.TPMHTNVIndex); err != nil {
		return info{}, err
	}
	i.Certificates, err = certificates(tpm)
	return i, err
}

func capability(tpm transport.TPM, kind tpm2.TPMCap, first uint32) (*tpm2.GetCapabilityResponse, error) {
	r, err := tpm2.GetCapability{Capability: kind, Property: first, PropertyCount: 256}.Execute(tpm)
	if err != nil {
		return nil, fmt.Errorf("ask the TPM: %w", err)
	}
	return r, nil
}

func properties(tpm transport.TPM) (map[tpm2.TPMPT]uint32, error) {
	found := map[tpm2.TPMPT]uint32{}
	for _, first := range []uint32{0x100, 0x200} { // fixed and variable ones
		r, err := capability(tpm, tpm2.TPMCapTPMProperties, first)
		if err != nil {
			return nil, err
		}
		list, err := r.CapabilityData.Data.TPMProperties()
		if err != nil {
			return nil, err
		}
		for _, p := range list.TPMProperty {
			found[p.Property] = p.Value
		}
	}
	return found, nil
}

func handles(tpm transport.TPM, kind tpm2.TPMHT) ([]string, error) {
	r, err := capability(tpm, tpm2.TPMCapHandles, uint32(kind)<<24)
	if err != nil {
		return nil, err
	}
	list, err := r.CapabilityData.Data.Handles()
	if err != nil {
		return nil, err
	}
	found := []string{}
	for _, h := range list.Handle {
		found = append(found, fmt.Sprintf("0x%08x", uint32(h)))
	}
	return found, nil
}

// certificates names the endorsement certificates: key, maker and TPM.
func certificates(tpm transport.TPM) ([]string, error) {
	found := []string{}
	for _, index := range []tpm2.TPMHandle{tpmca.IndexP256, tpmca.IndexP384, tpmca.IndexRSA2048} {
		der, err := tpmca.EKCertificateAt(tpm, index)
		if errors.Is(err, tpmca.ErrNoCertificate) {
			continue
		}
		if err != nil {
			return nil, err
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate at 0x%08x: %w", uint32(index), err)
		}
		found = append(found, fmt.Sprintf("0x%08x %s, issued by %s, for %s", uint32(index), cert.PublicKeyAlgorithm, cert.Issuer.CommonName, subject(cert)))
	}
	return found, nil
}

// subject is the name that a certificate gives the TPM, which stands in its
// alternative name.
func subject(cert *x509.Certificate) string {
	for _, e := range cert.Extensions {
		if e.Id.String() != "2.5.29.17" {
			continue
		}
		var names []asn1.RawValue
		if _, err := asn1.Unmarshal(e.Value, &names); err != nil || len(names) == 0 {
			break
		}
		var parts []string
		for rest := names[0].Bytes; len(rest) > 0; {
			var v asn1.RawValue
			var err error
			if rest, err = asn1.Unmarshal(rest, &v); err != nil {
				break
			}
			if v.IsCompound { // name, set and attribute lie in each other
				rest = append(append([]byte{}, v.Bytes...), rest...)
			} else if v.Tag == asn1.TagUTF8String || v.Tag == asn1.TagPrintableString {
				parts = append(parts, string(v.Bytes))
			}
		}
		return strings.Join(parts, ", ")
	}
	return "a TPM without a name"
}

// letters spells a property of four characters.
func letters(v uint32) string {
	return strings.TrimRight(string(binary.BigEndian.AppendUint32(nil, v)), "\x00")
}

func (i info) print(out io.Writer) error {
	list := func(s []string) string {
		if len(s) == 0 {
			return "none"
		}
		return strings.Join(s, "\n               ")
	}
	_, err := fmt.Fprintf(out, `This is %s.

manufacturer   %s
firmware       %s
specification  TPM 2.0, revision %s
commands       %d
persistent     %s
NV indexes     %s
lockout        %d of %d failures, one healed per %d s
certificates   %s
`, i.What, i.Manufacturer, i.Firmware, i.Revision, i.Commands, list(i.Persistent), list(i.NV),
		i.Lockout.Failures, i.Lockout.Limit, i.Lockout.Heals, list(i.Certificates))
	return err
}
