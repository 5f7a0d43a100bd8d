package front

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// route is one row of the table of paths.
type route struct {
	// at are the hosts that have it.
	at place
	// methods such as "GET POST"; GET takes HEAD as well.
	methods string
	// template such as "/{t}/oauth2/token": literals match in any case, a name in
	// braces matches any one segment.
	template string
	serve    func(*exchange) error
	// fail writes an error in the words of this place.
	fail func(*exchange, error)
	// open says which pages of other origins may read the answer.
	open openness
	// own says that nobody but a page of ours, or a client in its place, posts here.
	own bool
	// protocol of the endpoint.
	protocol idpv1.Protocol

	segments []string
}

// table lists the routes; the first that fits is taken.
func (f *Front) table() []route {
	all := slices.Concat(f.tokenRoutes(), f.realmRoutes(), f.pageRoutes(), f.metadataRoutes(),
		f.registrationRoutes(), f.graphRoutes(), f.otherRoutes(), f.securityRoutes(), f.certAuthRoutes())
	for i := range all {
		all[i].segments = strings.FieldsFunc(all[i].template, func(r rune) bool { return r == '/' })
	}
	return all
}

// split cuts a path into its segments. Empty ones do not count: a client that
// puts a slash too many before a path means the path. Nothing is cleaned and
// nobody is redirected: a POST would not survive that.
func split(u *url.URL) ([]string, bool) {
	var out []string
	for s := range strings.SplitSeq(u.EscapedPath(), "/") {
		if s == "" {
			continue
		}
		plain, err := url.PathUnescape(s)
		if err != nil || !clean(plain) {
			return nil, false
		}
		out = append(out, plain)
	}
	return out, true
}

// match reports whether the path fits, and what stands at the names in braces.
func (rt *route) match(segments []string) (map[string]string, bool) {
	if len(segments) != len(rt.segments) {
		return nil, false
	}
	for i, want := range rt.segments {
		if want[0] != '{' && !strings.EqualFold(want, segments[i]) {
			return nil, false
		}
	}
	vars := map[string]string{}
	for i, want := range rt.segments {
		if want[0] == '{' {
			vars[want[1:len(want)-1]] = segments[i]
		}
	}
	return vars, true
}

// takes reports whether the route serves a method.
func (rt *route) takes(method string) bool {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	return slices.Contains(strings.Fields(rt.methods), method)
}

// find returns the route of a request. When only the method is wrong, the route
// is returned with false.
func (f *Front) find(at place, method string, segments []string) (*route, map[string]string, bool) {
	var near *route
	for i := range f.routes {
		rt := &f.routes[i]
		if rt.at&at == 0 {
			continue
		}
		vars, ok := rt.match(segments)
		if !ok {
			continue
		}
		if rt.takes(method) {
			return rt, vars, true
		}
		if near == nil {
			near = rt
		}
	}
	return near, nil, false
}

// ServeHTTP implements http.Handler.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := placeOf(bareHost(r.Host))
	segments, ok := split(r.URL)
	if !ok || !isAuthority(r.Host) {
		http.Error(w, "the address is not right: check host name and path", http.StatusBadRequest)
		return
	}
	rt, vars, found := f.find(at, r.Method, segments)
	name := knownMethod(r.Method)
	if rt != nil {
		name += " " + rt.template
	}
	ctx := rpc.Propagators().Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := f.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer))
	defer span.End()
	x := f.begin(ctx, w, r, rt, vars)
	switch {
	case rt == nil:
		x.notFound(at)
	case r.Method == http.MethodOptions && rt.open != nobody:
		x.preflight()
	case !found:
		x.methodNotAllowed()
	case rt.own && x.fromElsewhere():
		rt.fail(x, prterr.AADSTS(aadsts.InvalidRequest, "a page of another site sent this form: start again at the application"))
	default:
		x.open()
		if err := rt.serve(x); err != nil {
			x.observe(err)
			rt.fail(x, err)
		}
	}
	x.describe(span)
}

// knownMethod is a method as it may stand in a span: a stranger's word may not.
func knownMethod(method string) string {
	if slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"}, method) {
		return method
	}
	return "OTHER"
}

// observe logs what is our fault.
func (x *exchange) observe(err error) {
	switch prterr.KindOf(err) {
	case prterr.Internal, prterr.Unavailable:
		x.log.ErrorContext(x.ctx, "a request could not be answered", "route", x.route.template, "error", err, "trace_id", x.requestID)
	default:
	}
}

func (x *exchange) notFound(at place) {
	if at == atGraph {
		x.odata(http.StatusNotFound, "BadRequest", "Resource not found for the segment: this path is not served.")
		return
	}
	x.text(http.StatusNotFound, "This path is not served.")
}

func (x *exchange) methodNotAllowed() {
	x.w.Header().Set("Allow", x.route.allow())
	x.text(http.StatusMethodNotAllowed, "This method is not taken here: use "+x.route.allow()+".")
}

func (rt *route) allow() string {
	methods := strings.Fields(rt.methods)
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead)
	}
	if rt.open != nobody {
		methods = append(methods, http.MethodOptions)
	}
	return strings.Join(methods, ", ")
}

// begin prepares the exchange and the headers that every answer has.
func (f *Front) begin(ctx context.Context, w http.ResponseWriter, r *http.Request, rt *route, vars map[string]string) *exchange {
	x := &exchange{Front: f, w: w, r: r, ctx: ctx, route: rt, vars: vars, requestID: newID()}
	x.correlationID = x.requestID
	if id := r.Header.Get("Client-Request-Id"); isID(id) {
		x.correlationID = strings.ToLower(id)
		w.Header().Set("Client-Request-Id", id)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store, no-cache")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Ms-Request-Id", x.requestID)
	h.Set("X-Ms-Ests-Server", "lockstep")
	h.Set("P3p", `CP="DSP CUR OTPi IND OTRi ONL FIN"`)
	h.Set("Strict-Transport-Security", "max-age=31536000")
	return x
}
