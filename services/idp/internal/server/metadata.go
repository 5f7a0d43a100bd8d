package server

import (
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// Metadata serves MetadataService.
type Metadata struct {
	idpv1.UnimplementedMetadataServiceServer
}
