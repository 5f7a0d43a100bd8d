package idp

import "google.golang.org/grpc"

// RegisterFront adds what the HTTPS front calls, for tests that come in its place.
func (s *Service) RegisterFront(r grpc.ServiceRegistrar) { s.registerFront(r) }
