package enrol

import (
	"context"
	"strings"
	"sync"
	"time"
	"unicode"

	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

const (
	// providerWait bounds the question for the key provider: the state of the device
	// must not hang on a tpm-agent that does not answer.
	providerWait = 2 * time.Second
	// maxProvider bounds the words about a provider, in bytes.
	maxProvider = 256
)

// Provider is what holds the keys.
type Provider struct {
	Name string
	// Protected is true for a TPM that software cannot look into.
	Protected bool
	// SoftwareReason says why keys are in software; empty when they are not.
	SoftwareReason string
	// better says that keys are in software though a TPM is there now.
	better bool
}

// describe names what holds the keys. Only a TPM in hardware counts as protection.
func (k keyring) describe(ctx context.Context) (Provider, error) {
	resp, err := k.provider.DescribeProvider(ctx, &tpmv1.DescribeProviderRequest{})
	if err != nil {
		return Provider{}, err
	}
	if len(resp.GetKeyProvider()) > maxProvider {
		return Provider{}, badKeys("key_provider is too long")
	}
	return Provider{
		Name: shown(resp.GetKeyProvider()), Protected: resp.GetProtection() == tpmv1.ProtectionLevel_PROTECTION_LEVEL_HARDWARE,
		SoftwareReason: shown(resp.GetSoftwareReason()), better: resp.GetHigherProtection(),
	}, nil
}

// shown is a text fit for a screen: one printable line, not too long.
func shown(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	if len(s) > maxProvider {
		s = strings.ToValidUTF8(s[:maxProvider], "")
	}
	return s
}

// Provider describes what holds the keys. It changes only with the keys, so it is
// asked for until there was one answer, and again after they changed. When it
// cannot be asked, the zero value says that nothing is known to protect the keys.
func (e *Enroller) Provider(ctx context.Context) Provider {
	known, asked := e.provider.get()
	if known != nil {
		return *known
	}
	ctx, cancel := context.WithTimeout(ctx, providerWait)
	defer cancel()
	p, err := e.keys.describe(ctx)
	if err != nil {
		e.log.WarnContext(ctx, "key provider is not known", "error", err)
		return Provider{}
	}
	e.provider.put(p, asked)
	return p
}

// providerCache is the one answer about the key provider. An answer to a question
// from before the keys changed is not kept.
type providerCache struct {
	mu     sync.Mutex
	answer *Provider
	keys   int // how often the keys changed
}

func (c *providerCache) get() (*Provider, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answer, c.keys
}

func (c *providerCache) put(p Provider, asked int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == asked {
		c.answer = &p
	}
}

func (c *providerCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = nil
	c.keys++
}
