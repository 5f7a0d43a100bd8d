package idp

import (
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/services/idp/internal/deviceflow"
)

// RegisterPages registers what the HTTPS front calls, for tests that come in its
// place.
func (s *Service) RegisterPages(r grpc.ServiceRegistrar) { s.registerFront(r) }

// DeviceFlows are the sign-ins by device code that are under way.
func (s *Service) DeviceFlows() *deviceflow.Flows { return s.flows }
