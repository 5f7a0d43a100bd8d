// Package chrome is Chromium and the person in front of it.
//
// What lives here: the process, windows with a profile of their own, what hands and
// eyes do: open an address, type, press, look. What never may: what a page of the
// sign-in means; the tests know that. They are the only callers.
package chrome

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

// Variable names the program, when it is not on the PATH as chromium.
const Variable = "LOCKSTEP_CHROMIUM"

// patience bounds the time until a page has what is looked for.
const patience = 30 * time.Second

// Config says which server the browser talks to.
type Config struct {
	// Program is the file to run.
	Program string
	// Proxy is HOST:PORT; everything but localhost goes there.
	Proxy string
	// PublicKeys are the base64 SHA-256 sums of server keys that are good.
	PublicKeys []string
	// Dir is an empty folder for the profile.
	Dir string
}

// Chrome is a running browser.
type Chrome struct {
	ctx    context.Context
	cancel []context.CancelFunc
	// Version is what the browser calls itself.
	Version string
}

// Find answers the program, or what to do when there is none.
func Find() (string, error) {
	if p := os.Getenv(Variable); p != "" {
		if _, err := os.Stat(p); err != nil {
			return "", fmt.Errorf("%s: %w", Variable, err)
		}
		return p, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			return p, nil
		}
	}
	return "", errors.New("there is no Chromium: install it (Debian: apt-get install chromium), or name it in " + Variable)
}

// Start runs the browser without a window on the screen.
func Start(ctx context.Context, cfg Config) (*Chrome, error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(cfg.Program),
		chromedp.UserDataDir(cfg.Dir),
		chromedp.ProxyServer("http://"+cfg.Proxy),
		chromedp.Flag("ignore-certificate-errors-spki-list", strings.Join(cfg.PublicKeys, ",")),
		chromedp.Flag("lang", "en-US"),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.Env("HOME="+cfg.Dir),
	)
	if os.Geteuid() == 0 {
		// Chromium does not start its sandbox as root. The pages are ours.
		options = append(options, chromedp.NoSandbox)
	}
	c := &Chrome{}
	alloc, stop := chromedp.NewExecAllocator(ctx, options...)
	c.cancel = append(c.cancel, stop)
	c.ctx, stop = chromedp.NewContext(alloc)
	c.cancel = append(c.cancel, stop)
	version, err := chromedp.Run(c.ctx, chromedp.Evaluate[string]("navigator.userAgent"))
	if err != nil {
		c.Stop()
		return nil, fmt.Errorf("%s does not start: %w", cfg.Program, err)
	}
	c.Version = version
	return c, nil
}

// Stop ends the browser and all of its windows.
func (c *Chrome) Stop() {
	for i := range c.cancel {
		c.cancel[len(c.cancel)-1-i]()
	}
}
