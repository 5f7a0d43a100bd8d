// Package entracarrier carries what a device asks of its identity provider over
// Entra's HTTPS protocol in place of gRPC: the second carrier of the contracts
// prt.idp.v1.
//
// What lives here: a connection that turns each of the contract's messages into
// the request of the public protocol, and its answer back. What never may: a
// decision, a key, a secret beside the message that holds it. The artefacts
// inside (signed requests, encrypted answers, nonces, certificates) are passed on
// as they are. lsa-cloudap, wam-broker and dsreg use it in place of the
// connection to the component idp; they cannot tell which one they have, and
// read answers as from a stranger either way.
package entracarrier

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

const (
	// LoginURL is the public sign-in host.
	LoginURL = "https://login.microsoftonline.com"
	// RegistrationURL is the public host of device registration.
	RegistrationURL = "https://enterpriseregistration.windows.net"

	// callTime bounds a call whose caller sets no deadline.
	callTime = 30 * time.Second
	// maxAnswer bounds what is read of an answer: an honest one has some 10 KiB.
	maxAnswer = 256 << 10
)

// Config says where the identity provider is.
type Config struct {
	// Login and Registration are base URLs, https. Login empty is the public one;
	// Registration empty is the public one with the public Login, else Login.
	Login, Registration string
	// Client makes the connections; nil is one with the machine's roots. Redirects
	// are never followed.
	Client *http.Client
}

// Carrier is a connection to an identity provider. It is safe for concurrent use.
type Carrier struct {
	login, registration *url.URL
	client              *http.Client
	methods             map[string]method
}

var _ grpc.ClientConnInterface = (*Carrier)(nil)

// method carries one RPC.
type method func(context.Context, any) (proto.Message, error)

// New prepares a carrier. It connects with the first call, follows no redirect
// and keeps no cookie: state is the caller's.
func New(cfg Config) (*Carrier, error) {
	c := &Carrier{}
	public := cfg.Login == "" || strings.TrimSuffix(cfg.Login, "/") == LoginURL
	if cfg.Registration == "" && !public {
		cfg.Registration = cfg.Login
	}
	for _, u := range []struct {
		name, text, standard string
		into                 **url.URL
	}{{"Login", cfg.Login, LoginURL, &c.login}, {"Registration", cfg.Registration, RegistrationURL, &c.registration}} {
		if u.text == "" {
			u.text = u.standard
		}
		parsed, err := url.Parse(u.text)
		if err != nil || parsed.Scheme != "https" || parsed.Host == "" || parsed.User != nil || strings.Trim(parsed.Path, "/") != "" || parsed.RawQuery != "" {
			return nil, fmt.Errorf("entra carrier: %s is not an https address of a host, such as %s", u.name, u.standard)
		}
		parsed.Path = ""
		*u.into = parsed
	}
	client := http.Client{}
	if cfg.Client != nil {
		client = *cfg.Client
	}
	c.client = &client
	c.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.methods = map[string]method{
		idpv1.RealmService_DiscoverRealm_FullMethodName:                         on(c.discoverRealm),
		idpv1.NonceService_IssueNonce_FullMethodName:                            on(c.issueNonce),
		idpv1.IssuanceService_RequestPRT_FullMethodName:                         on(c.requestPRT),
		idpv1.IssuanceService_RenewPRT_FullMethodName:                           on(c.renewPRT),
		idpv1.TokenService_RedeemPRT_FullMethodName:                             on(c.redeemPRT),
		idpv1.TokenService_RedeemRefreshToken_FullMethodName:                    on(c.redeemRefreshToken),
		idpv1.DataKeyService_RequestDataKey_FullMethodName:                      on(c.requestDataKey),
		idpv1.SessionService_Authorize_FullMethodName:                           on(c.authorize),
		idpv1.DeviceRegistrationService_RequestRegistrationToken_FullMethodName: on(c.requestRegistrationToken),
		idpv1.DeviceRegistrationService_RegisterDevice_FullMethodName:           on(c.registerDevice),
		idpv1.DeviceRegistrationService_DeleteDevice_FullMethodName:             on(c.deleteDevice),
		idpv1.DeviceRegistrationService_JoinHybridDevice_FullMethodName:         on(c.joinHybridDevice),
		idpv1.DeviceRegistrationService_RegisterHelloKey_FullMethodName:         on(c.registerHelloKey),
		idpv1.GrantService_RequestTokens_FullMethodName:                         on(c.requestTokens),

		idpv1.DeviceRegistrationService_RequestAttestationChallenge_FullMethodName: on(c.requestAttestationChallenge),
		idpv1.DeviceRegistrationService_ReplaceDeviceKeys_FullMethodName:           on(c.replaceDeviceKeys),
		idpv1.DeviceRegistrationService_CheckDevice_FullMethodName:                 on(c.checkDevice),
		idpv1.MetadataService_DescribeRegistrationServices_FullMethodName:          on(c.describeRegistrationServices),
		idpv1.PINResetService_DescribePINReset_FullMethodName:                      on(c.describePINReset),
		idpv1.PINResetService_OpenResetSecret_FullMethodName:                       on(c.openResetSecret),
	}
	return c, nil
}

// on gives a typed function the untyped form of the table.
func on[Req any, Resp proto.Message](f func(context.Context, *Req) (Resp, error)) method {
	return func(ctx context.Context, args any) (proto.Message, error) {
		req, ok := args.(*Req)
		if !ok {
			return nil, prterr.New(prterr.Internal, "the message is not the method's")
		}
		return f(ctx, req)
	}
}

// Invoke carries one call. Errors are *prterr.Error.
func (c *Carrier) Invoke(ctx context.Context, name string, args, reply any, _ ...grpc.CallOption) error {
	m, known := c.methods[name]
	if !known {
		return prterr.New(prterr.NotFound, "%s has no form in Entra's HTTPS protocol", strings.TrimPrefix(name, "/"))
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTime)
		defer cancel()
	}
	ctx = rpc.Asking(ctx, name)
	out, err := m(ctx, args)
	if err != nil {
		return rpc.At(ctx, err)
	}
	into, ok := reply.(proto.Message)
	if !ok {
		return prterr.New(prterr.Internal, "the answer's message is not the method's")
	}
	proto.Merge(into, out)
	return nil
}

// errNoStreams says that the contracts have no streams.
var errNoStreams = errors.New("entra carrier: there are no streams")

// NewStream refuses: the contracts have none.
func (c *Carrier) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errNoStreams
}

// Close lets go of idle connections.
func (c *Carrier) Close() error {
	c.client.CloseIdleConnections()
	return nil
}
