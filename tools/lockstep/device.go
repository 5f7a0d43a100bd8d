package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/door"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/status"
)

// whichDevice are the flags by which commands name a device and a user.
type whichDevice struct{ lab, device, user string }

func (w *whichDevice) flags(cmd *cobra.Command, user bool) {
	f := cmd.Flags()
	labFlag(f, &w.lab)
	f.StringVar(&w.device, "device", "", "name of the device (default the first one)")
	if user {
		f.StringVar(&w.user, "user", "", "user principal name (default who last got a PRT or failed to; with --check somebody who has one or had)")
	}
}

// deviceDoor is the way to the components of one device.
type deviceDoor struct {
	status.Door
	// now is the device's time.
	now   time.Time
	conns []io.Closer
}

// open finds the laboratory and opens the doors of the device. A component that is down
// has a door all the same: who asks there is told.
func (w *whichDevice) open(ctx context.Context, notes io.Writer) (*deviceDoor, error) {
	l, err := theLab(notes, w.lab)
	if err != nil {
		return nil, err
	}
	device, err := l.Device(w.device)
	if err != nil {
		return nil, err
	}
	d := &deviceDoor{}
	for _, c := range []struct {
		component string
		into      *grpc.ClientConnInterface
	}{{"dsreg", &d.Dsreg}, {"lsa-cloudap", &d.LSA}, {"wam-broker", &d.Broker}, {"tpm-agent", &d.TPM}} {
		if !device.Has(c.component) {
			continue
		}
		conn, err := device.Dial(c.component)
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		*c.into = conn
		d.conns = append(d.conns, conn)
	}
	d.now, err = labTime(ctx, l)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// labTime is the time in a laboratory, or the machine's where it has no door of its own.
func labTime(ctx context.Context, l door.Info) (now time.Time, err error) {
	if l.Lab == "" {
		return time.Now(), nil
	}
	conn, err := l.DialLab()
	if err != nil {
		return time.Time{}, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	d, err := labv1.NewLabServiceClient(conn).DescribeLab(ctx, &labv1.DescribeLabRequest{})
	return d.GetNow().AsTime().UTC(), err
}

// Close closes the doors.
func (d *deviceDoor) Close() error {
	var errs []error
	for _, c := range d.conns {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// facts opens the device, asks its components and closes it again.
func (w *whichDevice) facts(cmd *cobra.Command, live bool) (f status.Facts, err error) {
	d, err := w.open(cmd.Context(), cmd.ErrOrStderr())
	if err != nil {
		return status.Facts{}, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return status.Gather(cmd.Context(), d.Door, status.Ask{Live: live, User: w.user, Now: d.now}), nil
}
