package sqlstore

import "encoding/json"

// encode makes the record of v, in the place of the one before, or of none. What that
// one has and this program does not know stays in it: a newer program that runs beside
// this one wrote it, and it must not be gone because an older one changed something
// else. Records are written with all their members, so what is missing is unknown.
func encode(v any, before string) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil || before == "" {
		return string(raw), err
	}
	var old, now map[string]json.RawMessage
	if err := json.Unmarshal([]byte(before), &old); err != nil {
		return "", err
	}
	if err := json.Unmarshal(raw, &now); err != nil {
		return "", err
	}
	unknown := false
	for name, member := range old {
		if _, known := now[name]; !known {
			now[name], unknown = member, true
		}
	}
	if !unknown {
		return string(raw), nil
	}
	raw, err = json.Marshal(now)
	return string(raw), err
}
