//go:build !unix

package device

import (
	"errors"
	"net"
)

var errNotHere = errors.New("this kind of TPM address is for Unix systems")

func ready(net.Conn) error { return nil }

func openKernel(string) (wire, error) { return nil, errNotHere }

func findSWTPM(string) (string, error) { return "", errNotHere }

func spawn(string, string) (wire, error) { return nil, errNotHere }
