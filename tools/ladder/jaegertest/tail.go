package jaegertest

import "sync"

// mostLog is how much of Jaeger's log is kept, in bytes.
const mostLog = 16 << 10

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write keeps it.
func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if over := len(l.text) - mostLog; over > 0 {
		l.text = l.text[over:]
	}
	return len(p), nil
}

// String is what is kept.
func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
