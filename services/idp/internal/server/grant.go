package server

import (
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// Grant serves GrantService.
type Grant struct {
	idpv1.UnimplementedGrantServiceServer
}
