package front

import (
	"net/http"
	"strings"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// graphRoutes are the few calls of Microsoft Graph that clients make. Both
// versions are the same here.
func (f *Front) graphRoutes() []route {
	var all []route
	for _, version := range []string{"/v1.0", "/beta"} {
		get := func(template string, s func(*exchange) error) {
			all = append(all, route{at: atGraph, methods: "GET", template: version + template, serve: s, fail: failGraph, open: everybody})
		}
		get("/me", (*exchange).graphUser)
		get("/users", (*exchange).graphUsers)
		get("/users/{key}", (*exchange).graphUser)
		for _, groups := range []string{"/memberOf", "/transitiveMemberOf", "/memberOf/microsoft.graph.group", "/transitiveMemberOf/microsoft.graph.group"} {
			get("/me"+groups, (*exchange).graphGroups)
			get("/users/{key}"+groups, (*exchange).graphGroups)
		}
		for _, devices := range []string{"/ownedDevices", "/registeredDevices"} {
			get("/me"+devices, (*exchange).graphDevices)
			get("/users/{key}"+devices, (*exchange).graphDevices)
		}
		for _, photo := range []string{"/photo", "/photo/$value", "/photos", "/photos/{size}", "/photos/{size}/$value"} {
			get("/me"+photo, (*exchange).graphPhoto)
			get("/users/{key}"+photo, (*exchange).graphPhoto)
		}
		get("/groups", (*exchange).graphGroups)
		get("/groups/{group}", (*exchange).graphGroup)
		get("/devices", (*exchange).graphDevices)
		get("/devices/{device}", (*exchange).graphDevice)
		get("/auditLogs/signIns", (*exchange).graphSignIns)
		get("/organization", (*exchange).graphOrganization)
		// devices(deviceId='...') is one segment; it stands last because it fits any.
		get("/{device}", (*exchange).graphDevice)
	}
	return all
}

// bearerToken reads who asks. A token that is bound to a key comes inside the proof of
// that key: a signed request, with the token as its member at.
func (x *exchange) bearerToken() *idpv1.Bearer {
	scheme, token, _ := strings.Cut(x.r.Header.Get("Authorization"), " ")
	token = strings.ToValidUTF8(strings.TrimSpace(token), "?")
	// What a proof says of the request is compared with what arrived here.
	b := &idpv1.Bearer{Caller: x.caller(), HttpMethod: x.r.Method, HttpHost: x.r.Host, HttpPath: x.r.URL.EscapedPath()}
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		b.AccessToken = token
	case strings.EqualFold(scheme, "PoP"):
		b.AccessToken, b.PopProof = glanceAt(token).boundToken, token
	}
	return b
}

func (x *exchange) graphUser() error {
	a, err := x.resource.GetUser(x.ctx, &idpv1.GetUserRequest{Bearer: x.bearerToken(), Key: x.vars["key"]})
	if err != nil {
		return err
	}
	return x.entity("users", userFields(a.GetUser()))
}

func (x *exchange) graphUsers() error {
	a, err := x.resource.ListUsers(x.ctx, &idpv1.ListUsersRequest{Bearer: x.bearerToken()})
	if err != nil {
		return err
	}
	return collection(x, "users", a.GetUsers(), userFields)
}

func (x *exchange) graphGroups() error {
	key := x.vars["key"]
	if key == "" && strings.Contains(x.route.template, "/me/") {
		key = "me"
	}
	a, err := x.resource.ListGroups(x.ctx, &idpv1.ListGroupsRequest{Bearer: x.bearerToken(), MemberKey: key})
	if err != nil {
		return err
	}
	if key != "" {
		return collection(x, "directoryObjects", a.GetGroups(), memberFields)
	}
	return collection(x, "groups", a.GetGroups(), groupFields)
}

func (x *exchange) graphGroup() error {
	a, err := x.resource.ListGroups(x.ctx, &idpv1.ListGroupsRequest{Bearer: x.bearerToken()})
	if err != nil {
		return err
	}
	for _, g := range a.GetGroups() {
		if strings.EqualFold(g.GetGroupId(), x.vars["group"]) {
			return x.entity("groups", groupFields(g))
		}
	}
	return x.noResource()
}

func (x *exchange) noResource() error {
	x.odata(http.StatusNotFound, "Request_ResourceNotFound", "The object does not exist: check its id.")
	return nil
}

func (x *exchange) graphDevices() error {
	by := x.vars["key"]
	if by == "" && strings.Contains(x.route.template, "/me/") {
		by = "me"
	}
	a, err := x.resource.ListDevices(x.ctx, &idpv1.ListDevicesRequest{Bearer: x.bearerToken(), RegisteredBy: by})
	if err != nil {
		return err
	}
	return collection(x, "devices", a.GetDevices(), deviceFields)
}

// graphDevice finds a device by its object id, or by its device id in the form
// devices(deviceId='...'), where some clients put braces around it.
func (x *exchange) graphDevice() error {
	key := x.vars["device"]
	if !strings.Contains(x.route.template, "/devices/") {
		const before, after = "devices(deviceid='", "')"
		lower := strings.ToLower(key)
		if !strings.HasPrefix(lower, before) || !strings.HasSuffix(lower, after) || len(lower) < len(before)+len(after) {
			x.notFound(atGraph)
			return nil
		}
		key = strings.Trim(key[len(before):len(key)-len(after)], "{}")
	}
	a, err := x.resource.GetDevice(x.ctx, &idpv1.GetDeviceRequest{Bearer: x.bearerToken(), Key: key})
	if err != nil {
		return err
	}
	return x.entity("devices", deviceFields(a.GetDevice()))
}

func (x *exchange) graphOrganization() error {
	a, err := x.resource.GetOrganization(x.ctx, &idpv1.GetOrganizationRequest{Bearer: x.bearerToken()})
	if err != nil {
		return err
	}
	return collection(x, "organization", []*idpv1.GetOrganizationResponse{a}, organizationFields)
}

// graphPhoto says that there is none, to whoever may ask.
func (x *exchange) graphPhoto() error {
	if _, err := x.resource.GetUser(x.ctx, &idpv1.GetUserRequest{Bearer: x.bearerToken(), Key: x.vars["key"]}); err != nil {
		return err
	}
	x.odata(http.StatusNotFound, "ImageNotFound", "The user has no photo.")
	return nil
}
