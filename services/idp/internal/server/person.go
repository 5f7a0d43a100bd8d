package server

import (
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
)

// Person serves PersonService.
type Person struct {
	directoryv1.UnimplementedPersonServiceServer
}
