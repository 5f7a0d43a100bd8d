package front

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// field is a member of an entity; more marks those that are shown only when
// $select names them.
type field struct {
	name  string
	value any
	more  bool
}

// object is an entity in the order of its fields.
type object []field

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		text, err := encodeJSON(map[string]any{f.name: f.value})
		if err != nil {
			return nil, err
		}
		b.Write(text[1 : len(text)-1])
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// orNull is null for what the directory does not have.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func userFields(u *idpv1.DirectoryUser) object {
	return object{
		{name: "businessPhones", value: []string{}}, {name: "displayName", value: orNull(u.GetDisplayName())},
		{name: "givenName", value: orNull(u.GetGivenName())}, {name: "jobTitle", value: orNull(u.GetJobTitle())},
		{name: "mail", value: orNull(u.GetMail())}, {name: "mobilePhone"}, {name: "officeLocation"}, {name: "preferredLanguage"},
		{name: "surname", value: orNull(u.GetSurname())}, {name: "userPrincipalName", value: u.GetUserPrincipalName()},
		{name: "id", value: u.GetUserId()},
		{name: "accountEnabled", value: u.GetAccountEnabled(), more: true},
		{name: "onPremisesImmutableId", value: orNull(u.GetOnPremisesImmutableId()), more: true},
		{name: "userType", value: "Member", more: true},
	}
}

func deviceFields(d *idpv1.DirectoryDevice) object {
	registered := time.Unix(d.GetRegisteredAt(), 0).UTC().Format(time.RFC3339)
	return object{
		{name: "id", value: d.GetObjectId()}, {name: "accountEnabled", value: d.GetAccountEnabled()}, {name: "deviceId", value: d.GetDeviceId()},
		{name: "displayName", value: orNull(d.GetDisplayName())}, {name: "isCompliant", value: d.GetIsCompliant()},
		{name: "isManaged", value: d.GetIsManaged()}, {name: "operatingSystem", value: orNull(d.GetOperatingSystem())},
		{name: "operatingSystemVersion", value: orNull(d.GetOperatingSystemVersion())}, {name: "registrationDateTime", value: registered},
		{name: "trustType", value: d.GetTrustType()},
		// Ours, so nobody gets it who does not ask for it.
		{name: "keyProtection", value: orNull(d.GetKeyProtection()), more: true},
	}
}

func groupFields(g *idpv1.DirectoryGroup) object {
	return object{
		{name: "id", value: g.GetGroupId()}, {name: "displayName", value: g.GetDisplayName()}, {name: "description"},
		{name: "securityEnabled", value: true}, {name: "mailEnabled", value: false}, {name: "groupTypes", value: []string{}},
	}
}

// memberFields is a group among objects of several kinds.
func memberFields(g *idpv1.DirectoryGroup) object {
	return append(object{{name: "@odata.type", value: "#microsoft.graph.group"}}, groupFields(g)...)
}

func organizationFields(o *idpv1.GetOrganizationResponse) object {
	domains := []object{}
	for i, d := range o.GetDomains() {
		domains = append(domains, object{{name: "name", value: d}, {name: "isDefault", value: i == 0}, {name: "isInitial", value: i == 0}})
	}
	return object{
		{name: "id", value: o.GetTenantId()}, {name: "displayName", value: o.GetDisplayName()}, {name: "tenantType", value: "AAD"},
		{name: "verifiedDomains", value: domains},
	}
}

// selection applies $select: without it the standard members are shown.
func selection(o object, list string) object {
	if list == "" {
		return slices.DeleteFunc(slices.Clone(o), func(f field) bool { return f.more })
	}
	names := strings.Split(list, ",")
	return slices.DeleteFunc(slices.Clone(o), func(f field) bool {
		return !strings.HasPrefix(f.name, "@") && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(strings.TrimSpace(n), f.name) })
	})
}

func (x *exchange) context(set string) field {
	version, _, _ := strings.Cut(strings.TrimPrefix(x.route.template, "/"), "/")
	return field{name: "@odata.context", value: x.sibling(atGraph) + "/" + version + "/$metadata#" + set}
}

// entity answers with one object.
func (x *exchange) entity(set string, o object) error {
	q, err := x.query()
	if err != nil {
		return err
	}
	x.json(http.StatusOK, append(object{x.context(set + "/$entity")}, selection(o, q["$select"])...))
	return nil
}

// collection answers with a list. $filter takes one comparison by eq; a filter
// that is not understood is refused and never passed over.
func collection[T any](x *exchange, set string, all []T, fields func(T) object) error {
	q, err := x.query()
	if err != nil {
		return err
	}
	name, want, err := filter(q["$filter"])
	if err != nil {
		return err
	}
	values := []object{}
	for _, v := range all {
		o := fields(v)
		if name == "" || o.is(name, want) {
			values = append(values, selection(o, q["$select"]))
		}
	}
	x.json(http.StatusOK, object{x.context(set), {name: "value", value: values}})
	return nil
}

// filter reads "name eq 'value'" or "name eq true".
func filter(s string) (name, want string, err error) {
	if s == "" {
		return "", "", nil
	}
	bad := prterr.New(prterr.Invalid, "$filter is not of the form NAME eq 'VALUE', the one that is understood here")
	parts := strings.SplitN(strings.TrimSpace(s), " ", 3)
	if len(parts) != 3 || !strings.EqualFold(parts[1], "eq") {
		return "", "", bad
	}
	want = strings.TrimSpace(parts[2])
	if n := len(want); n >= 2 && want[0] == '\'' && want[n-1] == '\'' {
		return parts[0], strings.ReplaceAll(want[1:n-1], "''", "'"), nil
	}
	if want == "true" || want == "false" {
		return parts[0], want, nil
	}
	return "", "", bad
}

func (o object) is(name, want string) bool {
	for _, f := range o {
		if strings.EqualFold(f.name, name) {
			return f.value != nil && strings.EqualFold(fmt.Sprint(f.value), want)
		}
	}
	return false
}

// odata answers with an error of Graph.
func (x *exchange) odata(status int, code, message string) {
	type inner struct {
		Date      string `json:"date"`
		RequestID string `json:"request-id"`
		ClientID  string `json:"client-request-id"`
	}
	type body struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Inner   inner  `json:"innerError"`
	}
	x.w.Header().Set("Request-Id", x.requestID)
	x.json(status, map[string]body{"error": {code, message, inner{x.now().Format("2006-01-02T15:04:05"), x.requestID, x.correlationID}}})
}

// failGraph answers as Graph does. A token that is not good enough any more is
// answered with what a better one has to have.
func failGraph(x *exchange, err error) {
	r := x.explain(err)
	switch kind := prterr.KindOf(err); {
	case r.status >= http.StatusInternalServerError:
		x.odata(r.status, "serviceNotAvailable", r.message)
	case r.claims != "" || kind == prterr.Unauthenticated || kind == prterr.Interaction:
		challenge := `Bearer realm="", authorization_uri="` + x.sibling(atLogin) + `/common/oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000", error="`
		if r.claims != "" {
			challenge += `insufficient_claims", claims="` + base64.StdEncoding.EncodeToString([]byte(r.claims)) + `"`
		} else {
			challenge += `invalid_token"`
		}
		x.w.Header().Set("WWW-Authenticate", challenge)
		x.odata(http.StatusUnauthorized, "InvalidAuthenticationToken", r.message)
	case kind == prterr.Denied:
		x.odata(http.StatusForbidden, "Authorization_RequestDenied", r.message)
	case kind == prterr.NotFound:
		x.odata(http.StatusNotFound, "Request_ResourceNotFound", r.message)
	case kind == prterr.Exhausted:
		x.odata(http.StatusTooManyRequests, "TooManyRequests", r.message)
	default:
		x.odata(http.StatusBadRequest, "Request_BadRequest", r.message)
	}
}

var _ json.Marshaler = object(nil)
