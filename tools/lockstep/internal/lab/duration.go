package lab

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// days are the days at the beginning of a duration: 400 of them are the most that a
// clock is moved by at once.
var days = regexp.MustCompile(`^([0-9]{1,4})d(.*)$`)

// ParseDuration is time.ParseDuration that also knows days of 24 hours, which come
// first: "14d", "1d12h".
func ParseDuration(text string) (time.Duration, error) {
	var d time.Duration
	rest := text
	if m := days.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return 0, fmt.Errorf("days of %q: %w", text, err)
		}
		d, rest = time.Duration(n)*24*time.Hour, m[2]
		if rest == "" {
			return d, nil
		}
	}
	more, err := time.ParseDuration(rest)
	if err != nil || more < 0 && d > 0 {
		return 0, fmt.Errorf("%.80q is no duration such as 4h, 14d or 1d12h30m", text)
	}
	return d + more, nil
}

// ParseSkew reads how wrong a clock is: a duration of ParseDuration for one that is fast,
// and for one that is slow with a minus sign or, where that would be taken for a flag,
// with slow: before it.
func ParseSkew(text string) (time.Duration, error) {
	rest, slow := strings.CutPrefix(text, "slow:")
	if !slow {
		rest, slow = strings.CutPrefix(text, "-")
	}
	by, err := ParseDuration(rest)
	if slow {
		by = -by
	}
	return by, err
}
