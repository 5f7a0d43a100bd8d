package serve

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/notes"
)

// Operator is the name in the operator's identity.
const Operator = "operator"

// infoName is the file in a state folder that says where its server is.
const infoName = "serve.json"

// notePrefix begins the names of the notes of servers.
const notePrefix = "serve-"

// Info says where a running server is. Its JSON form is the ready message.
type Info struct {
	// HTTPS and Proxy are HOST:PORT; Proxy is empty when there is none.
	HTTPS string `json:"https"`
	Proxy string `json:"proxy"`
	// BehindProxy is where a proxy that ends TLS sends plain HTTP, HOST:PORT.
	BehindProxy string `json:"behind_proxy,omitempty"`
	// CA is the path of the certificate to trust.
	CA      string   `json:"ca"`
	Tenants []Tenant `json:"tenants"`
	// IssuerHost is the name in the issuers of tokens.
	IssuerHost string `json:"issuer_host"`
	// Admin is the address of the operator's door.
	Admin string `json:"admin"`
	PID   int    `json:"pid"`
	// State is the state folder.
	State string `json:"state"`
	// Lab says that the operator may move the clock.
	Lab bool `json:"lab"`
	// Started is when it started, by the machine's clock.
	Started time.Time `json:"started"`
	// Identity is the folder of the operator's identity; empty is the one in State.
	Identity string `json:"-"`
	// Names are the host names that are served.
	Names []string `json:"names"`
	// Users are the user names of the tenant file.
	Users []string `json:"users"`
}

// Tenant is a directory that is served.
type Tenant struct {
	ID     string `json:"id"`
	Domain string `json:"domain"`
}

// Dial connects as the operator.
func (i Info) Dial() (*grpc.ClientConn, error) {
	id, err := rpc.LoadIdentity(cmp.Or(i.Identity, filepath.Join(i.State, operatorDir)))
	if err != nil {
		return nil, err
	}
	return rpc.Dial(rpc.DialConfig{Network: rpc.OS{}, Addr: i.Admin, Identity: id, Server: "idp"})
}

// publish writes the note into the state folder and where Find looks; the
// function that it returns takes both away.
func (i Info) publish() (retire func() error, err error) {
	text, err := json.Marshal(i)
	if err != nil {
		return nil, fmt.Errorf("note of the server: %w", err)
	}
	retire, err = notes.Publish(text, filepath.Join(i.State, infoName), notePrefix, i.PID)
	if err != nil {
		return nil, fmt.Errorf("note of the server: %w", err)
	}
	return retire, nil
}

// Find returns the server of a state folder, or, without one, the newest that
// this user runs.
func Find(stateDir string) (Info, error) {
	if stateDir != "" {
		i, err := read(filepath.Join(stateDir, infoName))
		if errors.Is(err, fs.ErrNotExist) || err == nil && !i.answers() {
			return Info{}, fmt.Errorf("no lockstep serve runs on the state folder %s: start one with lockstep serve --state %s", stateDir, stateDir)
		}
		return i, err
	}
	dir, err := notes.Folder()
	if err != nil {
		return Info{}, fmt.Errorf("%w: use --state", err)
	}
	for _, path := range notes.Newest(dir, notePrefix) {
		i, err := read(path)
		if err == nil && i.answers() {
			return i, nil
		}
		// Left by a server that could not clean up.
		if err == nil {
			_ = durable.Remove(path)
		}
	}
	return Info{}, errors.New("no lockstep serve is running: start one, or name its state folder with --state")
}

func read(path string) (Info, error) {
	text, err := durable.ReadFile(path)
	if err != nil {
		return Info{}, err
	}
	var i Info
	if err := json.Unmarshal(text, &i); err != nil {
		return Info{}, fmt.Errorf("note of the server in %s: %w", path, err)
	}
	return i, nil
}

// answers says whether somebody listens at the operator's door.
func (i Info) answers() bool { return notes.Answers(i.Admin) }
