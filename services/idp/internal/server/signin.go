package server

import (
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// SignIn serves SignInService.
type SignIn struct {
	idpv1.UnimplementedSignInServiceServer
}
