// Command window shows one sign-in page in Chromium and prints the address that it
// ended at. It is the part of `lockstep window` that needs a browser: the page comes as
// JSON on standard input, {"url", "headers", "redirect_uri"}, and nothing else of the
// device does.
//
// The headers go with the first request to the page's own address and with no other.
// The address that begins with redirect_uri is the answer and is not opened. Closing
// the window prints an empty line.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

// maxPage bounds the page on standard input, in bytes.
const maxPage = 256 << 10

// page is what is shown.
type page struct {
	URL         string            `json:"url"`
	Headers     map[string]string `json:"headers"`
	RedirectURI string            `json:"redirect_uri"`
}

func main() {
	var o options
	flag.StringVar(&o.browser, "browser", "", "path of Chromium (default: look for it)")
	flag.BoolVar(&o.headless, "headless", false, "without a screen, for tests")
	flag.StringVar(&o.trust, "trust", "", "SHA-256 of a public key, base64, to trust beside the machine's authorities: a laboratory's")
	flag.StringVar(&o.resolve, "resolve", "", "rules for host names, as in MAP login.microsoftonline.com 127.0.0.1:8443: a laboratory's")
	flag.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long somebody may take")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	final, err := run(ctx, os.Stdin, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "window:", err)
		os.Exit(1)
	}
	fmt.Println(final)
}

// run reads a page and shows it.
func run(ctx context.Context, in io.Reader, o options) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(in, maxPage+1))
	var p page
	if err != nil || len(raw) > maxPage || json.Unmarshal(raw, &p) != nil {
		return "", errors.New("standard input is not the JSON of a page")
	}
	if !strings.HasPrefix(p.URL, "https://") || p.RedirectURI == "" {
		return "", errors.New("the page needs an https url and a redirect_uri")
	}
	dir, err := os.MkdirTemp("", "lockstep-window-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }() // cookies of the sign-in go with it
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, o.flags(dir)...)
	defer cancel()
	return show(ctx, p)
}
