package cases

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Claims reads the claims of a JWT; whether it is signed is looked at elsewhere.
func Claims(token string) (map[string]any, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("the token is no JWT of three parts")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, fmt.Errorf("the token's claims: %w", err)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		return nil, fmt.Errorf("the token's claims: %w", err)
	}
	return claims, nil
}

// Want checks claims of a JWT, given as name and value; an empty value means that
// the claim must be there. It tells what was looked at.
func Want(token string, pairs ...string) (string, error) {
	claims, err := Claims(token)
	if err != nil {
		return "", err
	}
	var seen []string
	for i := 0; i+1 < len(pairs); i += 2 {
		name, want := pairs[i], pairs[i+1]
		got, ok := claims[name]
		if !ok {
			return "", fmt.Errorf("the token lacks the claim %s", name)
		}
		if want != "" && fmt.Sprint(got) != want {
			return "", fmt.Errorf("the token's %s is %v, not %s", name, got, want)
		}
		seen = append(seen, fmt.Sprintf("%s %v", name, got))
	}
	return strings.Join(seen, ", "), nil
}
