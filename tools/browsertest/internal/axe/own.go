package axe

import (
	"encoding/json"
	"fmt"
)

// own are the checks that need no package.
const own = `(() => {
	const bad = [], ids = new Map();
	const lang = document.documentElement.lang;
	if (!lang) bad.push("the page has no language");
	const h1 = [...document.querySelectorAll("h1")];
	if (h1.length !== 1 || !h1[0].innerText.trim()) bad.push("the page has " + h1.length + " headings of the first level, or an empty one");
	if (!document.title.trim()) bad.push("the page has no title");
	if (document.querySelectorAll("main").length !== 1) bad.push("the page has not one main part");
	for (const e of document.querySelectorAll("[id]")) ids.set(e.id, (ids.get(e.id) || 0) + 1);
	for (const [id, n] of ids) if (n > 1) bad.push("the id " + id + " is there " + n + " times");
	const named = (e) => e.getAttribute("aria-label") || (e.getAttribute("aria-labelledby") && document.getElementById(e.getAttribute("aria-labelledby"))) ||
		[...(e.labels || [])].some((l) => l.innerText.trim());
	for (const e of document.querySelectorAll("input:not([type=hidden]):not([type=submit]):not([type=button]), select, textarea"))
		if (!named(e)) bad.push("a box without a label: " + e.outerHTML);
	for (const e of document.querySelectorAll("button, a[href]"))
		if (!e.textContent.trim() && !e.getAttribute("aria-label")) bad.push("a button or link without a name: " + e.outerHTML);
	for (const e of document.querySelectorAll("img:not([alt])")) bad.push("a picture without words: " + e.outerHTML);
	return bad;
})()`

// Own are the faults that are found without axe-core.
func Own(p Page) ([]string, error) {
	var faults []string
	if err := json.Unmarshal([]byte(p.Ask(own)), &faults); err != nil {
		return nil, fmt.Errorf("the page answered no list: %w", err)
	}
	return faults, nil
}
