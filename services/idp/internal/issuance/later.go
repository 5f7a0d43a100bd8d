package issuance

// later is a value that is being made in the background: an RSA key takes a
// tenth of a second or more, and nobody may need it for a while.
type later[T any] struct {
	done  chan struct{}
	value T
	err   error
}

func begin[T any](work func() (T, error)) *later[T] {
	l := &later[T]{done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.value, l.err = work()
	}()
	return l
}

// get waits for the value.
func (l *later[T]) get() (T, error) {
	<-l.done
	return l.value, l.err
}
