package front

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// graphSignIns is the sign-in log as monitoring reads it, newest first. Of the
// parameters of a query only $top is understood; $filter is refused, because whoever
// filters and gets everything draws wrong conclusions.
func (x *exchange) graphSignIns() error {
	q, err := x.query()
	if err != nil {
		return err
	}
	top := 0
	if q["$top"] != "" {
		if top, err = strconv.Atoi(q["$top"]); err != nil || top < 1 || top > 1000 {
			return prterr.New(prterr.Invalid, "$top is not a number from 1 to 1000")
		}
	}
	if q["$filter"] != "" {
		return prterr.New(prterr.Invalid, "$filter is not understood here: filter what comes")
	}
	a, err := x.resource.ListDirectorySignIns(x.ctx, &idpv1.ListDirectorySignInsRequest{Bearer: x.bearerToken(), Limit: int32(top)})
	if err != nil {
		return err
	}
	values := make([]json.RawMessage, 0, len(a.GetSignIns()))
	for _, s := range a.GetSignIns() {
		values = append(values, json.RawMessage(s))
	}
	x.json(http.StatusOK, object{x.context("auditLogs/signIns"), {name: "value", value: values}})
	return nil
}
