// Package adfs is the federation provider of a federated domain: another
// organisation, which checks its own users' passwords and tells the cloud in
// signed assertions who they are. It is the organisation's domain controller as well,
// as far as a sign-in to a hybrid joined computer needs one.
//
// What lives here: the door (configuration, registration, allow-list). What
// never may: anything of the cloud's, which trusts this organisation's
// certificate and no more. Its one caller is lsa-cloudap (first sign-in and
// renewal of a federated user, between realm discovery and the nonce; sign-in to a
// hybrid joined computer); idp and operator may fetch its certificates.
package adfs

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/url"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	domainv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/domain/v1"
	federationv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
	trustv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/trust/v1"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/card"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/front"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/org"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/saml11"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/server"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/sts"
)

// Signer is the token-signing key with its certificate, RSA of at least
// 2048 bits.
type Signer struct {
	Key         crypto.Signer
	Certificate *x509.Certificate
}

// Config of the federation provider. Its zero value serves the built-in
// organisation, adatum.test, with a fresh key.
type Config struct {
	// Organisation is the YAML of the organisation file (README.md); nil means
	// the built-in one.
	Organisation []byte
	// Signer signs the assertions; nil makes a fresh RSA-2048 key with a
	// certificate for one year. With a fresh key the cloud must be told the new
	// SigningCertificate after every start.
	Signer *Signer
	// ClientCA is the PEM of the authorities of the organisation's smart cards; empty
	// when it has none, and then certificates are not served.
	ClientCA []byte
	// MultipleAuthn says of a sign-in by card that more than one factor was proven,
	// as a claim rule of AD FS does. Whether the cloud believes it is the cloud's.
	MultipleAuthn bool
	// Clock is where the time is read; nil is the machine's.
	Clock clock.Clock
	// Log gets one line an issued or refused token, without names; nil discards.
	Log *slog.Logger
}

// Service is the federation provider.
type Service struct {
	server      *server.Server
	front       *front.Front
	certificate []byte
}

// New reads the organisation and puts the rooms together. Errors name the
// field that is wrong.
func New(cfg Config) (*Service, error) {
	clk := clock.Or(cfg.Clock)
	organisation, err := org.New(org.Config{YAML: cfg.Organisation})
	if err != nil {
		return nil, err
	}
	signer, err := signerOr(cfg.Signer, organisation.BaseURL(), clk)
	if err != nil {
		return nil, err
	}
	issuer, err := saml11.New(saml11.Config{
		Issuer: organisation.Issuer(), Audience: organisation.Audience(),
		Key: signer.Key, Certificate: signer.Certificate,
	})
	if err != nil {
		return nil, prterr.Wrap(prterr.Invalid, err, "Signer is not usable")
	}
	var cards *card.Judge
	if len(cfg.ClientCA) > 0 {
		if cards, err = card.New(card.Config{Authorities: cfg.ClientCA, Clock: clk}); err != nil {
			return nil, prterr.Wrap(prterr.Invalid, err, "ClientCA is not usable")
		}
	}
	service, err := sts.New(sts.Config{Organisation: organisation, Issuer: issuer, Cards: cards, MultipleAuthn: cfg.MultipleAuthn, Clock: clk, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	srv, err := server.New(server.Config{STS: service})
	if err != nil {
		return nil, err
	}
	web, err := front.New(front.Config{STS: service, Organisation: organisation, Certificate: issuer.Certificate(), Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.Certificate().Raw})
	return &Service{server: srv, front: web, certificate: certificate}, nil
}

func signerOr(given *Signer, baseURL string, clk clock.Clock) (Signer, error) {
	if given != nil {
		return *given, nil
	}
	u, err := url.Parse(baseURL)
	if err != nil {
		return Signer{}, prterr.New(prterr.Invalid, "organisation: base_url is not a URL")
	}
	key, cert, err := saml11.SelfSigned(u.Host, clk.Now())
	if err != nil {
		return Signer{}, err
	}
	return Signer{Key: key, Certificate: cert}, nil
}

// Register puts the service on a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	federationv1.RegisterFederationServiceServer(r, s.server)
	domainv1.RegisterDomainServiceServer(r, s.server.Domain())
}

// Handler is the provider's HTTP: metadata exchange, WS-Trust with a user name and
// a password, and the sign-in page of browsers, at the same paths as AD FS. The
// caller serves it over TLS at the organisation's base_url and sets the time
// limits of its connections.
func (s *Service) Handler() http.Handler { return s.front }

// Close ends the service. It holds nothing open; calls under way may finish.
func (s *Service) Close() error { return nil }

// SigningCertificate is the PEM of the token-signing certificate: what the
// cloud pins in the domain's federation setting. The caller owns the copy.
func (s *Service) SigningCertificate() []byte { return append([]byte(nil), s.certificate...) }

// Allow says who may call what.
func Allow() rpc.AllowList {
	return rpc.AllowList{
		federationv1.FederationService_GetMetadata_FullMethodName: {"lsa-cloudap"},
		federationv1.FederationService_IssueToken_FullMethodName:  {"lsa-cloudap"},
		domainv1.DomainService_RequestTicket_FullMethodName:       {"lsa-cloudap"},
		// Entra reads a provider's certificate out of its metadata; over a contract the
		// cloud asks for it.
		trustv1.CertificateService_GetCertificate_FullMethodName: {"idp", "lsa-cloudap", "operator"},
	}
}
