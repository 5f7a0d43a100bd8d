package server

import (
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// Resource serves ResourceService.
type Resource struct {
	idpv1.UnimplementedResourceServiceServer
}
