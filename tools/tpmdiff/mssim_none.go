//go:build !mssim

package main

import "errors"

func openMSSIM() (target, error) {
	return nil, errors.New("this program was built without the reference simulator: build it with -tags mssim (needs a C compiler and OpenSSL's headers)")
}
