// Package outbox keeps the text messages and calls that would go to telephones.
//
// What lives here: the newest 1,000 of them, in memory, until somebody reads them.
// What never may: a way out of this process: nothing here dials a number, and
// nothing is written to a file or a log, because the texts hold codes. The rooms
// that send codes call it; an operator reads it through ListMessages.
package outbox

import (
	"slices"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// Size is how many messages are kept.
const Size = 1000

// Channel is how a message goes.
type Channel string

// The channels.
const (
	SMS   Channel = "sms"
	Voice Channel = "voice"
	// Notice is for what an app or a mailbox would show: it asks for nothing.
	Notice Channel = "notice"
)

// Message is what a telephone got.
type Message struct {
	Sent    time.Time
	User    ids.UPN
	Channel Channel
	// Phone is the number it went to, empty for a notice.
	Phone string
	// Text holds codes, so it does not print.
	Text secret.Text
}

// KeyNotice tells a user of a key that signs in as them from now on.
func KeyNotice(user ids.UPN, device string) Message {
	where := "no particular device"
	if device != "" {
		where = "the device " + device
	}
	return Message{
		User: user, Channel: Notice,
		Text: secret.NewText("A Windows Hello key was added to your account, for " + where + ". If that was not you, tell your administrator now."),
	}
}

// Config of an outbox.
type Config struct {
	// Clock tells the time; nil is the machine's.
	Clock clock.Clock
}

// Box is an outbox. It is safe for concurrent use.
type Box struct {
	clock clock.Clock

	mu   sync.Mutex
	kept []Message
}

// New makes an empty box.
func New(cfg Config) *Box { return &Box{clock: clock.Or(cfg.Clock)} }

// Send puts a message in the box and dates it.
func (b *Box) Send(m Message) {
	m.Sent = b.clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.kept) == Size {
		b.kept = slices.Delete(b.kept, 0, 1)
	}
	b.kept = append(b.kept, m)
}

// Messages lists what was sent to a user, or to everybody when the name is empty,
// the newest last.
func (b *Box) Messages(user ids.UPN) []Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.kept), func(m Message) bool { return user != "" && m.User != user })
}
