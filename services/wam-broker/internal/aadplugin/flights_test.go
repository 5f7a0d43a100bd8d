package aadplugin

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
)

// TestNobodyWaitsInAFlightThatWasLeft: a flight that everybody left is over, and who comes
// next has one of their own.
func TestNobodyWaitsInAFlightThatWasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flights
		ended := make(chan error, 1)
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := f.do(impatient, "key", time.Minute, func(ctx context.Context) (apptoken.Grant, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return apptoken.Grant{}, ctx.Err()
		})
		if prterr.KindOf(err) != prterr.Deadline {
			t.Errorf("who left got %v", err)
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the flight ended with %v", err)
		}
		if _, err := f.do(t.Context(), "key", time.Minute, func(context.Context) (apptoken.Grant, error) { return apptoken.Grant{}, nil }); err != nil {
			t.Errorf("who came next got %v", err)
		}
		if len(f.all) != 0 {
			t.Errorf("%d flights are left", len(f.all))
		}
	})
}

// TestAFlightGoesOnForWhoStays: the one who began it leaves, and the other has the answer.
func TestAFlightGoesOnForWhoStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flights
		times := 0
		slow := func(ctx context.Context) (apptoken.Grant, error) {
			times++
			select {
			case <-time.After(3 * time.Second):
				return apptoken.Grant{}, nil
			case <-ctx.Done():
				return apptoken.Grant{}, ctx.Err()
			}
		}
		first, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		left := make(chan error, 1)
		go func() {
			_, err := f.do(first, "key", time.Minute, slow)
			left <- err
		}()
		synctest.Wait()
		if _, err := f.do(t.Context(), "key", time.Minute, slow); err != nil || times != 1 {
			t.Errorf("%d flights, %v", times, err)
		}
		if err := <-left; prterr.KindOf(err) != prterr.Deadline {
			t.Errorf("who left got %v", err)
		}
		if _, err := f.do(t.Context(), "key", time.Minute, func(context.Context) (apptoken.Grant, error) { panic("canary") }); err == nil {
			t.Error("a panic is no error")
		}
	})
}
