package lab

import (
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/durable"
)

// Of an HTTPS side: the suffix of its key, and the files of its certificate authority.
const (
	httpsSuffix   = "-https"
	caFile        = "ca.pem"
	realCAFile    = "real-ca.pem"
	httpsFolder   = "https"
	authorityFile = "authority.pem"
)

// hasHTTPS says that devices reach a component over HTTPS.
func (l *Lab) hasHTTPS(key string) bool { return l.cfg.HTTPS && (key == "idp" || key == "adfs") }

// standInHTTPS has the stand-in of a component take the place of its HTTPS side. Before a
// component that runs, the side stays where it is, its address leads to the stand-in, and
// the certificates of that are of the same authority, which everybody trusts already.
// Before one that is yet to start, the stand-in has the address, and an authority of its
// own whose certificate lies where the component's would.
func (l *Lab) standInHTTPS(key string, s spec) error {
	if !l.hasHTTPS(key) {
		return nil
	}
	mine, runs := key+httpsSuffix, l.host.runs(key)
	s.settings["https"], s.settings["https-ca"] = l.addr(mine), l.path(key, caFile)
	s.settings["https-real"], s.settings["https-real-roots"] = l.addr(RealKey(mine)), l.path(key, realCAFile)
	if key == "adfs" {
		s.settings["https-name"] = stsName
	}
	if !runs {
		return nil
	}
	s.settings["https"], s.settings["https-ca"] = l.addr(mine+faultySuffix), l.path(s.key, caFile)
	s.settings["https-real"], s.settings["https-real-roots"] = l.addr(mine), l.path(key, caFile)
	secret, err := durable.ReadFile(l.path(key, httpsFolder, authorityFile))
	if err != nil {
		return fmt.Errorf("authority of the HTTPS side of %s: %w", key, err)
	}
	if err := durable.WriteFile(l.path(s.key, httpsFolder, authorityFile), secret, nil); err != nil {
		return fmt.Errorf("authority of the HTTPS side of the stand-in: %w", err)
	}
	clear(secret)
	l.network.move(l.addr(mine), l.addr(mine+faultySuffix))
	return nil
}

// behindHTTPS moves the HTTPS side of a component that starts behind its stand-in.
func (l *Lab) behindHTTPS(s spec) {
	if l.hasHTTPS(s.key) {
		s.settings["https"], s.settings["https-ca"] = l.addr(RealKey(s.key+httpsSuffix)), l.path(s.key, realCAFile)
	}
}
