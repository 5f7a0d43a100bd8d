package front

import (
	"net"
	"strings"
)

// at is what the name that was asked stands for.
func (x *exchange) at() place { return placeOf(bareHost(x.r.Host)) }

// certAuth is the address that asks for a client certificate, "" when the login
// host has no name that another could stand before.
func (x *exchange) certAuth() string {
	login := hostOf(x.sibling(atLogin))
	if inCloud(bareHost(login)) {
		return "https://" + certAuthHost + certAuthPath
	}
	if net.ParseIP(strings.Trim(bareHost(login), "[]")) != nil {
		return ""
	}
	return "https://" + certAuthLabel + "." + login + certAuthPath
}
