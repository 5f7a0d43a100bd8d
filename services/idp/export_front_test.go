package idp

import "google.golang.org/grpc"

// RegisterFront adds what the HTTPS front calls.
func (s *Service) RegisterFront(r grpc.ServiceRegistrar) { s.registerFront(r) }
