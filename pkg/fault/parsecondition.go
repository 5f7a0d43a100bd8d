package fault

import (
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

func (p parser) condition(n node) (c Condition, err error) {
	if len(n.of) == 0 || n.of[0].list || n.of[0].quoted {
		return c, p.wrong(n, "this is no condition: write (WORD VALUE), such as (nth 2) or (caller dsreg)")
	}
	c.Word = n.of[0].text
	rest := n.of[1:]
	switch c.Word {
	case WordAnd, WordOr, WordNot:
		for _, in := range rest {
			if !in.list {
				return c, p.wrong(in, "%s takes conditions in parentheses, not %.40q", c.Word, in.text)
			}
			of, err := p.condition(in)
			if err != nil {
				return c, err
			}
			c.Of = append(c.Of, of)
		}
		if len(c.Of) == 0 || c.Word == WordNot && len(c.Of) > 1 {
			return c, p.wrong(n, "%s takes %s", c.Word, map[bool]string{true: "one condition", false: "one condition or more"}[c.Word == WordNot])
		}
		return c, nil
	case WordMethod, WordStep, WordFlow, WordCaller, WordUser, WordDevice, WordPath, WordNth, WordFrom, WordFirst, WordChance:
	default:
		return c, p.wrong(n.of[0], "there is no condition %.40q: use method, step, flow, caller, user, device, path, nth, from, first, chance, and, or, not", c.Word)
	}
	if len(rest) != 1 || rest[0].list || rest[0].text == "" || len(rest[0].text) > maxName {
		return c, p.wrong(n, "%s takes one word of at most %d bytes: %s", c.Word, maxName, conditionExample(c.Word))
	}
	if !p.value(&c, rest[0].text) {
		return c, p.wrong(rest[0], "%.60q does not fit %s: %s", rest[0].text, c.Word, conditionExample(c.Word))
	}
	return c, nil
}

func conditionExample(word string) string {
	switch word {
	case WordMethod:
		return `write (method "KeyService/SignAssertion") or (method "KeyService/*")`
	case WordStep:
		return "write a row of the documents, as (step RENEWAL_E)"
	case WordFlow:
		return "write (flow first_sign_in), renewal, app_token or browser_sso"
	case WordCaller:
		return "write the name of a component, as (caller dsreg)"
	case WordUser:
		return `write (user "alice@contoso.test")`
	case WordDevice:
		return `write (device "GUID")`
	case WordPath:
		return `write (path "/common/oauth2/token"), with * for one part`
	case WordChance:
		return "write more than 0% and at most 100%, as (chance 5%)"
	default:
		return "write a number from 1, as (" + word + " 2)"
	}
}

// value reads the word behind a condition's own.
func (p parser) value(c *Condition, s string) bool {
	switch c.Word {
	case WordMethod, WordPath:
		c.Text = s
		_, err := path.Match(s, "")
		return err == nil && (c.Word == WordMethod && strings.Count(s, "/") == 1 && s[0] != '/' || c.Word == WordPath && s[0] == '/')
	case WordUser:
		c.Text = s
		return true
	case WordDevice:
		c.Text = s
		return isGUID(s)
	case WordCaller:
		c.Text = s
		return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && len(s) <= 63
	case WordStep:
		c.Step = stepv1.Step(stepv1.Step_value[stepPrefix+s])
		return c.Step != stepv1.Step_STEP_UNSPECIFIED
	case WordFlow:
		c.Flow = step.Flow(s)
		return slices.Contains(step.Flows(), c.Flow)
	case WordChance:
		share, percent := strings.CutSuffix(s, "%")
		f, err := strconv.ParseFloat(share, 64)
		c.N = int(math.Round(min(f, 101) * million / 100)) // NaN is refused by the comparison below
		return percent && err == nil && f > 0 && f <= 100 && c.N > 0
	default:
		n, err := strconv.ParseUint(s, 10, 31)
		c.N = int(n)
		return err == nil && n > 0
	}
}

// isGUID says whether s has the form 8-4-4-4-12 in hexadecimal.
func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		if hyphen != (s[i] == '-') || !hyphen && strings.IndexByte("0123456789abcdefABCDEF", s[i]) < 0 {
			return false
		}
	}
	return true
}
