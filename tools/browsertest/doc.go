// Package browsertest drives the pages of the sign-in in a real browser.
//
// What lives here: the tests, and in internal what they need. What never may: code
// of the product; the tests see what a person and a browser see. make browser-test
// runs it.
package browsertest
