package tokencache

import "container/list"

// lru is a bounded map that forgets what was not used for longest. Every
// operation costs the same, however full it is. It does no locking.
type lru[K comparable, V any] struct {
	max   int
	order *list.List // front is the latest used
	items map[K]*list.Element
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](limit int) *lru[K, V] {
	return &lru[K, V]{max: limit, order: list.New(), items: make(map[K]*list.Element)}
}

func (l *lru[K, V]) get(k K) (V, bool) {
	e, ok := l.items[k]
	if !ok {
		var none V
		return none, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*entry[K, V]).value, true
}

func (l *lru[K, V]) put(k K, v V) {
	if e, ok := l.items[k]; ok {
		e.Value.(*entry[K, V]).value = v
		l.order.MoveToFront(e)
		return
	}
	l.items[k] = l.order.PushFront(&entry[K, V]{key: k, value: v})
	if l.order.Len() > l.max {
		l.remove(l.order.Back())
	}
}

func (l *lru[K, V]) drop(k K) {
	if e, ok := l.items[k]; ok {
		l.remove(e)
	}
}

func (l *lru[K, V]) remove(e *list.Element) {
	l.order.Remove(e)
	delete(l.items, e.Value.(*entry[K, V]).key)
}
