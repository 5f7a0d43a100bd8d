package tpmagent_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

// restingKey and restingSet are the agent's key set file as far as these tests
// reach into it: they play somebody who has read the whole state folder.
type restingKey struct {
	Public  []byte `json:"public"`
	Private []byte `json:"private"`
}

type restingSet struct {
	Version     int        `json:"version"`
	ID          string     `json:"id"`
	Root        []byte     `json:"root"`
	Device      restingKey `json:"device"`
	Transport   restingKey `json:"transport"`
	Data        restingKey `json:"data"`
	Certificate []byte     `json:"certificate"`
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func readResting(t testing.TB, dir, id string) (set restingSet, path string) {
	t.Helper()
	path = filepath.Join(dir, id+".keyset")
	if err := json.Unmarshal(must[[]byte](t)(os.ReadFile(path)), &set); err != nil {
		t.Fatal(err)
	}
	return set, path
}

// wrapTransportKey brings a transport key that is known in software into a TPM. It
// cannot be fixed to that TPM, which is why the agent itself never does this.
func wrapTransportKey(t testing.TB, tpm transport.TPM, key *rsa.PrivateKey, auth []byte) restingKey {
	t.Helper()
	public := tpm2.TPMTPublic{
		Type: tpm2.TPMAlgRSA, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{UserWithAuth: true, NoDA: true, Decrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
			Scheme: tpm2.TPMTRSAScheme{
				Scheme:  tpm2.TPMAlgOAEP,
				Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgOAEP, &tpm2.TPMSEncSchemeOAEP{HashAlg: tpm2.TPMAlgSHA1}),
			},
			KeyBits: 2048,
		}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: key.N.FillBytes(make([]byte, 256))}),
	}
	sensitive := tpm2.Marshal(tpm2.TPMTSensitive{
		SensitiveType: tpm2.TPMAlgRSA, AuthValue: tpm2.TPM2BAuth{Buffer: auth},
		Sensitive: tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgRSA, &tpm2.TPM2BPrivateKeyRSA{Buffer: key.Primes[0].FillBytes(make([]byte, 128))}),
	})
	root, rootPublic := tpmagenttest.StorageRoot(t, tpm)
	to, err := tpm2.ImportEncapsulationKey(rootPublic)
	if err != nil {
		t.Fatal(err)
	}
	name := must[*tpm2.TPM2BName](t)(tpm2.ObjectName(&public))
	duplicate, seed, err := tpm2.CreateDuplicate(rand.Reader, to, name.Buffer, sensitive)
	if err != nil {
		t.Fatal(err)
	}
	r := must[*tpm2.ImportResponse](t)(tpm2.Import{
		ParentHandle: root, ObjectPublic: tpm2.New2B(public), Duplicate: tpm2.TPM2BPrivate{Buffer: duplicate},
		InSymSeed: tpm2.TPM2BEncryptedSecret{Buffer: seed}, Symmetric: tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull},
	}.Execute(tpm))
	return restingKey{Public: tpm2.Marshal(public), Private: r.OutPrivate.Buffer}
}

// TestPRO15_TheCapturedExchange takes an exchange with the real service through the
// agent: its TPM unwraps the captured session key with the captured transport key,
// re-protects it, and opens the captured answer.
func TestPRO15_TheCapturedExchange(t *testing.T) {
	var captured map[string]string
	raw := must[[]byte](t)(os.ReadFile(filepath.FromSlash("../../pkg/entrawire/testdata/captured_exchange.json")))
	if err := json.Unmarshal(raw, &captured); err != nil {
		t.Fatal(err)
	}
	der := must[[]byte](t)(base64.StdEncoding.DecodeString(captured["transport_key_pkcs1_der_b64"]))
	transportKey := must[*rsa.PrivateKey](t)(x509.ParsePKCS1PrivateKey(der))

	a := withTransportKey(t, transportKey)
	partition := tpmagenttest.Partition(tpmagenttest.UserA)
	imported, err := a.PRT().ImportSessionKey(t.Context(), &tpmv1.ImportSessionKeyRequest{Partition: partition, SessionKeyJwe: captured["session_key_jwe"]})
	if err != nil {
		t.Fatal(err)
	}
	key := secret.NewBytes(must[[]byte](t)(hex.DecodeString(captured["session_key_hex"])))
	a.CreateDataKey(tpmagenttest.NewProvider(), tpmagenttest.UserA, key, imported.GetSessionKey())
	opened, err := a.PRT().OpenTokenAnswer(t.Context(), &tpmv1.OpenTokenAnswerRequest{
		Partition: partition, SessionKey: imported.GetSessionKey(), ClientId: entrawire.BrokerClientID, Answer: captured["answer_jwe"],
	})
	if err != nil {
		t.Fatal(err)
	}

	// The plaintext never leaves the agent, so what did is compared with what is in
	// the plaintext that the source of the capture vouches for by its digest.
	plain := must[[]byte](t)(entrawire.OpenAnswer(captured["answer_jwe"], key))
	if digest := sha256.Sum256(plain); hex.EncodeToString(digest[:]) != captured["answer_plaintext_sha256"] {
		t.Fatal("the captured answer does not open to the vouched plaintext")
	}
	var want entrawire.TokenAnswer
	if err := want.UnmarshalJSON(plain); err != nil {
		t.Fatal(err)
	}
	if opened.GetAccessToken() != want.AccessToken.Reveal() || opened.GetIdToken() != want.IDToken.Reveal() ||
		opened.GetResource() != want.Resource || opened.GetScope() != want.Scope || opened.GetExpiresIn() != want.ExpiresIn {
		t.Error("the agent gave something else than the captured answer holds")
	}
	if len(opened.GetRefreshToken().GetSealed()) == 0 && !want.RefreshToken.Empty() && opened.GetNewPrt() == "" {
		t.Error("the refresh token of the captured answer is gone")
	}
}

// TestREG02_TheAgentsOwnKeysDoNotMove knows all that is on disk, the secret
// included, and may use the same TPM: it can load the keys and still not export
// them.
func TestREG02_TheAgentsOwnKeysDoNotMove(t *testing.T) {
	tpm := must[*softtpm.TPM](t)(softtpm.New(softtpm.Config{Slots: 8}))
	dir := t.TempDir()
	id := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, Transport: tpm}).Register()
	set, _ := readResting(t, dir, id.KeySetID)
	root, _ := tpmagenttest.StorageRoot(t, tpm)
	for purpose, k := range map[string]restingKey{"device key": set.Device, "transport key": set.Transport} {
		public := must[*tpm2.TPMTPublic](t)(tpm2.Unmarshal[tpm2.TPMTPublic](k.Public))
		if at := public.ObjectAttributes; !at.FixedTPM || !at.FixedParent || !at.SensitiveDataOrigin || at.Restricted || at.SignEncrypt == at.Decrypt {
			t.Errorf("%s has attributes %+v", purpose, at)
		}
		loaded := must[*tpm2.LoadResponse](t)(tpm2.Load{ParentHandle: root, InPrivate: tpm2.TPM2BPrivate{Buffer: k.Private}, InPublic: tpm2.New2B(*public)}.Execute(tpm))
		_, err := tpm2.Duplicate{
			ObjectHandle:    tpm2.AuthHandle{Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: tpm2.PasswordAuth(tpmagenttest.AuthOf(t, dir, purpose, id.KeySetID))},
			NewParentHandle: tpm2.NamedHandle{Handle: tpm2.TPMRHNull, Name: tpm2.HandleName(tpm2.TPMRHNull)},
			Symmetric:       tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull},
		}.Execute(tpm)
		if err == nil {
			t.Errorf("TPM2_Duplicate gave the %s away", purpose)
		}
		_, _ = tpm2.FlushContext{FlushHandle: loaded.ObjectHandle}.Execute(tpm)
	}
}
