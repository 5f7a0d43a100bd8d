// Package tpmsocket serves a TPM on sockets, so that programs written for an
// emulated TPM (tpm2-tools, go-tpm's TCP and Unix transports) can use one that
// lives in this process.
//
// What lives here: two framings of TPM commands on a byte stream, each with its
// second channel for power, and the bounds that keep a client from holding or
// exhausting the server. What never may: an opinion about a command. The bytes
// between a header and its end go to the TPM as they are. There is no
// authentication on either channel, in the protocols or here: whoever connects
// owns the TPM and may end the server. The caller chooses listeners that only
// its own user, or its own machine, can reach.
//
// Callers: tools/softtpm, and tests that need a TPM behind a socket.
package tpmsocket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// TPM is what is served: go-tpm's transport.TPM. It need not be safe for
// concurrent use, one command is in it at a time.
type TPM interface {
	// Send runs one command and gives the response. An error ends the
	// connection of the client that asked.
	Send(command []byte) ([]byte, error)
}

// Power is the power supply of a TPM.
type Power interface {
	// PowerCycle resets what does not survive a loss of power; the next command
	// has to be TPM2_Startup.
	PowerCycle() error
}

// Framing says how commands and responses lie on the stream.
type Framing int

// The framings. Both are those of an emulator whose clients exist.
const (
	// SWTPM is swtpm's: a command is its own frame, because its header has its
	// size. The second channel is swtpm's control channel.
	SWTPM Framing = iota + 1
	// MSSIM is that of the Microsoft and TCG reference simulators, which
	// prefixes commands with a code, a locality and a size. The second channel
	// is the simulator's platform port.
	MSSIM
)

func (f Framing) String() string {
	switch f {
	case SWTPM:
		return "swtpm"
	case MSSIM:
		return "mssim"
	}
	return fmt.Sprintf("framing %d", int(f))
}

// ParseFraming is the opposite of String: "swtpm" or "mssim".
func ParseFraming(s string) (Framing, error) {
	for _, f := range []Framing{SWTPM, MSSIM} {
		if s == f.String() {
			return f, nil
		}
	}
	return 0, fmt.Errorf("tpmsocket: framing %q is not swtpm or mssim", s)
}

// Bounds of what one client may do.
const (
	// MaxMessage is the size in bytes of the largest command or response.
	MaxMessage = 4096

	defaultConns   = 16
	maxConns       = 1024
	defaultIdle    = time.Hour
	defaultMessage = 10 * time.Second
)

// Config says what is served and how.
type Config struct {
	// TPM runs the commands.
	TPM TPM
	// Power is cycled when a client asks for it; nil refuses such requests.
	Power Power
	// Framing is SWTPM or MSSIM.
	Framing Framing
	// Conns bounds the open connections of each listener, 1 to 1024; 0 is 16.
	// One more is closed at once.
	Conns int
	// Idle is how long a connection may stay without a command; 0 is one hour.
	Idle time.Duration
	// Message is how long a message may take from its first byte to its last,
	// and a response to be taken; 0 is 10 seconds.
	Message time.Duration
	// Log gets one line for each connection that ended other than by its
	// client; nil logs nothing.
	Log *slog.Logger
}

// ErrStopped is what Serve returns when a client asked for the end of the
// server, which both protocols provide for.
var ErrStopped = errors.New("tpmsocket: stopped by a client")

// Server serves one TPM.
type Server struct {
	cfg    Config
	dev    device
	stop   context.CancelCauseFunc
	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

// New checks the configuration. A Server serves once.
func New(cfg Config) (*Server, error) {
	if cfg.TPM == nil {
		return nil, errors.New("tpmsocket: Config.TPM is missing")
	}
	if cfg.Framing != SWTPM && cfg.Framing != MSSIM {
		return nil, fmt.Errorf("tpmsocket: Config.Framing: %v is not swtpm or mssim", cfg.Framing)
	}
	if cfg.Conns == 0 {
		cfg.Conns = defaultConns
	}
	if cfg.Conns < 1 || cfg.Conns > maxConns {
		return nil, fmt.Errorf("tpmsocket: Config.Conns is %d, must be 1 to %d", cfg.Conns, maxConns)
	}
	if cfg.Idle == 0 {
		cfg.Idle = defaultIdle
	}
	if cfg.Message == 0 {
		cfg.Message = defaultMessage
	}
	if cfg.Idle < 0 || cfg.Message < 0 {
		return nil, errors.New("tpmsocket: Config.Idle and Config.Message must not be negative")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg: cfg, dev: device{tpm: cfg.TPM, power: cfg.Power}, conns: map[net.Conn]struct{}{}}, nil
}
