// Package door finds a laboratory that runs and opens the doors of its components.
//
// What lives here: the note in a laboratory's folder that says where every door is, and
// connections as those whose identities lie beside it. What never may: what anybody says
// at a door. The laboratory writes the note; the commands lab, clock, play, trace, status
// and tenant read it. The note of a cluster has the same form: addresses, and a folder
// with identities.
package door

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
)

// Operator is the caller of every command for administrators.
const Operator = "operator"

// Version of the note's form.
const Version = 1

// Info says where the doors of a laboratory are.
type Info struct {
	// Version is the form of the note, 1.
	Version int `json:"version"`
	// PID is the process, 0 when it is not one of this machine.
	PID int `json:"pid"`
	// Dir is the folder of the laboratory.
	Dir string `json:"dir"`
	// Started is when it started, by the machine's clock.
	Started time.Time `json:"started"`
	// IdP and Lab are the addresses of the identity provider and of the laboratory's own
	// door (prt.lab.v1.LabService): unix:PATH or tcp:HOST:PORT.
	IdP string `json:"idp"`
	Lab string `json:"lab"`
	// Devices are the addresses of their components, by device and component.
	Devices map[string]map[string]string `json:"devices"`
	// Identities is a folder with one folder for each caller, such as operator.
	Identities string `json:"identities"`
}

// Names are the devices in order: device-2 stands before device-10.
func (i Info) Names() []string {
	return slices.SortedFunc(maps.Keys(i.Devices), func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
}

// Dial connects as a caller to the component NAME at an address of the note. The caller
// closes the connection.
func (i Info) Dial(caller, name, address string) (*grpc.ClientConn, error) {
	if address == "" {
		return nil, fmt.Errorf("the laboratory in %s has no %s", i.Dir, name)
	}
	id, err := rpc.LoadIdentity(filepath.Join(i.Identities, caller))
	if err != nil {
		return nil, fmt.Errorf("the laboratory in %s lets its own user in only: %w", i.Dir, err)
	}
	return rpc.Dial(rpc.DialConfig{Network: rpc.OS{}, Addr: address, Identity: id, Server: name})
}

// DialIdP connects as the operator to the identity provider.
func (i Info) DialIdP() (*grpc.ClientConn, error) { return i.Dial(Operator, "idp", i.IdP) }

// DialLab connects as the operator to the laboratory's own door.
func (i Info) DialLab() (*grpc.ClientConn, error) { return i.Dial(Operator, "lab", i.Lab) }

// Device is one device of a laboratory.
type Device struct {
	// Name such as device-1.
	Name string
	info Info
}

// Device finds a device by its name; without one it is the first.
func (i Info) Device(name string) (Device, error) {
	names := i.Names()
	if len(names) == 0 {
		return Device{}, errors.New("the laboratory has no device")
	}
	if name == "" {
		name = names[0]
	}
	if !slices.Contains(names, name) {
		return Device{}, fmt.Errorf("there is no device %.80q: the laboratory has %s", name, strings.Join(names, ", "))
	}
	return Device{name, i}, nil
}

// Has says whether the device has the component: some editions have no wam-broker.
func (d Device) Has(component string) bool { return d.info.Devices[d.Name][component] != "" }

// Dial connects as the operator to a component of the device, such as lsa-cloudap. The
// caller closes the connection.
func (d Device) Dial(component string) (*grpc.ClientConn, error) {
	return d.DialAs(Operator, component)
}

// DialAs connects as another caller, such as app or logonui.
func (d Device) DialAs(caller, component string) (*grpc.ClientConn, error) {
	return d.info.Dial(caller, component, d.info.Devices[d.Name][component])
}
