package idp

import "github.com/lockstep-sso/lockstep/services/idp/internal/deviceflow"

// DeviceFlows lets a test answer a device code as the sign-in pages do.
func (s *Service) DeviceFlows() *deviceflow.Flows { return s.flows }
