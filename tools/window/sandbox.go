package main

import (
	"os"

	"github.com/chromedp/chromedp"
)

// sandbox is Chromium's own, which does not start for root.
func sandbox() []chromedp.ExecAllocatorOption {
	if os.Geteuid() != 0 {
		return nil
	}
	return []chromedp.ExecAllocatorOption{chromedp.NoSandbox}
}
