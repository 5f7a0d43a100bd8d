package pages

import (
	"embed"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"golang.org/x/text/language"
)

//go:embed text/*.yaml
var textFiles embed.FS

// languages are the ones that the pages come in, the one for everybody else first.
func languages() []string { return []string{"en", "de", "sv", "ja"} }

// catalogue are the texts of one language by key.
type catalogue map[string]string

// catalogues are the texts of all languages.
type catalogues struct {
	matcher language.Matcher
	texts   []catalogue
}

func readCatalogues() (*catalogues, error) {
	c := &catalogues{}
	var tags []language.Tag
	for _, name := range languages() {
		b, err := textFiles.ReadFile("text/" + name + ".yaml")
		if err != nil {
			return nil, err
		}
		texts := catalogue{}
		if err := yaml.UnmarshalWithOptions(b, &texts, yaml.Strict()); err != nil {
			return nil, fmt.Errorf("text/%s.yaml: %w", name, err)
		}
		tag, err := language.Parse(name)
		if err != nil {
			return nil, err
		}
		tags, c.texts = append(tags, tag), append(c.texts, texts)
	}
	c.matcher = language.NewMatcher(tags)
	return c, nil
}

// maxAsked bounds in bytes what is read of a list of languages.
const maxAsked = 256

// choose finds the language for a person: of what the application asks for
// (ui_locales, OpenID Connect Core section 3.1.2.1), else of what the browser says
// (Accept-Language), else the first. asked reports whether the application decided.
func (c *catalogues) choose(locales, accept string) (index int, asked bool) {
	if i, ok := c.match(strings.Join(strings.Fields(locales), ",")); ok {
		return i, true
	}
	if i, ok := c.match(accept); ok {
		return i, false
	}
	return 0, false
}

func (c *catalogues) match(list string) (int, bool) {
	if list == "" || len(list) > maxAsked {
		return 0, false
	}
	tags, _, err := language.ParseAcceptLanguage(list)
	if err != nil || len(tags) == 0 {
		return 0, false
	}
	_, i, confidence := c.matcher.Match(tags...)
	return i, confidence > language.No
}

// text fills a text of a language in: {1} is the first argument.
func (c *catalogues) text(index int, key string, args ...string) string {
	text, ok := c.texts[index][key]
	if !ok {
		return key // a test says that there is none
	}
	for i, arg := range args {
		text = strings.ReplaceAll(text, "{"+strconv.Itoa(i+1)+"}", arg)
	}
	return text
}
