package server

import (
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// ConnectedDevice serves ConnectedDeviceService.
type ConnectedDevice struct {
	idpv1.UnimplementedConnectedDeviceServiceServer
}
