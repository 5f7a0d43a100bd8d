package idp

import "google.golang.org/grpc"

// RegisterPages registers what the HTTPS front calls, for tests that come in its
// place.
func (s *Service) RegisterPages(r grpc.ServiceRegistrar) { s.registerFront(r) }
