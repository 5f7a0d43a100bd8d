package idp

import "google.golang.org/grpc"

// RegisterForFront lets a test call what the HTTPS front calls.
func (s *Service) RegisterForFront(r grpc.ServiceRegistrar) { s.registerFront(r) }
