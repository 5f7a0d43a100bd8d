package server

import (
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/statefiles"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/cloudap"
)

// cacheState is how the cache on disk is, in the form of the contract.
func cacheState(c cloudap.Cache) *lsav1.CacheState {
	out := &lsav1.CacheState{Verification: map[statefiles.Verification]lsav1.CacheVerification{
		statefiles.Pending:    lsav1.CacheVerification_CACHE_VERIFICATION_PENDING,
		statefiles.Verified:   lsav1.CacheVerification_CACHE_VERIFICATION_CURRENT,
		statefiles.RolledBack: lsav1.CacheVerification_CACHE_VERIFICATION_ROLLED_BACK,
	}[c.Verification]}
	for _, q := range c.Quarantined {
		out.Quarantined = append(out.Quarantined, &lsav1.QuarantinedFile{Path: strings.ToValidUTF8(q.Path, "?"), Reason: q.Reason, Time: timestamppb.New(q.Time)})
	}
	return out
}
