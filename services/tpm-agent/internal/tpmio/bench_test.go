package tpmio

import (
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// BenchmarkOwner is one HMAC command through the owner against the same command
// straight into the same TPM: what queue, log and watch-dog cost (us_over_bare).
func BenchmarkOwner(b *testing.B) {
	p := openTap(b, "mem:") // on a socket the difference is lost in its noise
	o := New(p.tpm)
	defer o.Close()
	var h tpm2.TPMHandle
	message := make([]byte, 67)
	err := o.Do(b.Context(), func(c *Conn) error {
		srk := root(b, c)
		public, private, err := c.Create(Key{Handle: srk.Handle, Name: srk.Name.Buffer}, testAuth, make([]byte, 32), tpm2.Marshal(hmacTemplate()))
		if err != nil {
			return err
		}
		h, err = c.Load(srk.Handle, public, private)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		err := o.Do(b.Context(), func(c *Conn) error {
			_, err := c.HMAC(h, testAuth, message)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	perOp := b.Elapsed()
	start := time.Now()
	for range b.N {
		cmd := newCommand(tagSessions, tpm2.TPMCCHMAC)
		cmd.u32(uint32(h))
		cmd.password(testAuth)
		cmd.sized(message)
		cmd.u16(algSHA256)
		cmd.b[5] = byte(len(cmd.b))
		if _, err := p.tpm.Send(cmd.b); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((perOp-time.Since(start)).Nanoseconds())/float64(b.N)/1e3, "us_over_bare")
}

// BenchmarkSession seals 32 bytes with a session for each command, as go-tpm makes
// them; with the long-lived one through go-tpm; and with it and by hand.
func BenchmarkSession(b *testing.B) {
	for _, addr := range []string{"mem:", "swtpm:"} {
		p := openTap(b, addr)
		o := New(p.tpm)
		defer o.Close() //nolint:revive // two of them
		var srk tpm2.NamedHandle
		var public tpm2.TPMTPublic
		if err := o.Do(b.Context(), func(c *Conn) error {
			srk = root(b, c)
			public = o.bus.public
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		template := tpm2.Marshal(hmacTemplate())
		create := func(c *Conn, auth, extra tpm2.Session) error {
			cmd := tpm2.Create{
				ParentHandle: tpm2.AuthHandle{Handle: srk.Handle, Name: srk.Name, Auth: auth}, InPublic: tpm2.New2B(hmacTemplate()),
				InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
					UserAuth: tpm2.TPM2BAuth{Buffer: testAuth}, Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: make([]byte, 32)}),
				}},
			}
			var err error
			if extra == nil {
				_, err = cmd.Execute(c)
			} else {
				_, err = cmd.Execute(c, extra)
			}
			return err
		}
		for _, way := range []struct {
			name string
			do   func(c *Conn) error
		}{
			{"per-command", func(c *Conn) error {
				return create(c, tpm2.PasswordAuth(nil), tpm2.HMAC(tpm2.TPMAlgSHA256, nonceSize, tpm2.Salted(srk.Handle, public), tpm2.AESEncryption(128, tpm2.EncryptIn)))
			}},
			{"shared", func(c *Conn) error { return create(c, c.Session(nil, ToTPM), nil) }},
			{"shared-by-hand", func(c *Conn) error {
				_, _, err := c.Create(Key{Handle: srk.Handle, Name: srk.Name.Buffer}, testAuth, make([]byte, 32), template)
				return err
			}},
		} {
			b.Run(addr[:len(addr)-1]+"/"+way.name, func(b *testing.B) {
				for b.Loop() {
					if err := o.Do(b.Context(), way.do); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
