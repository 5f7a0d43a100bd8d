package storetest

import (
	"testing"

	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

func documents(t *testing.T, s store.Store) {
	want(t, second(s.Document(ctx(), "k", "1")), store.ErrNotFound)
	given := []byte("x")
	must(t, s.PutDocument(ctx(), "k", "2", given))
	must(t, s.PutDocument(ctx(), "k", "1", []byte("y")))
	must(t, s.PutDocument(ctx(), "other", "1", []byte("z")))
	given[0] = '!'
	got, err := s.Document(ctx(), "k", "2")
	must(t, err)
	same(t, string(got), "x")
	must(t, s.PutDocument(ctx(), "k", "2", []byte("new")))
	got, err = s.Document(ctx(), "k", "2")
	must(t, err)
	same(t, string(got), "new")
	keys, err := s.DocumentKeys(ctx(), "k")
	must(t, err)
	same(t, keys, []string{"1", "2"})
}
