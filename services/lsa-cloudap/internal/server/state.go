package server

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/cloudap"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// ssoState shows what the device holds, without a secret.
type ssoState struct {
	lsav1.UnimplementedSSOStateServiceServer
	cloudAP *cloudap.CloudAP
}

func (s ssoState) GetSSOState(ctx context.Context, req *lsav1.GetSSOStateRequest) (*lsav1.GetSSOStateResponse, error) {
	out := &lsav1.GetSSOStateResponse{Cache: cacheState(s.cloudAP.Cache())}
	for _, a := range s.cloudAP.Attempts() {
		out.Attempts = append(out.Attempts, a.Proto())
	}
	for _, p := range s.cloudAP.States() {
		out.Partitions = append(out.Partitions, partitionState(p))
	}
	for _, u := range s.cloudAP.Users(ctx, req.GetPrerequisites()) {
		out.Users = append(out.Users, userState(u))
	}
	limit, until := s.cloudAP.OfflineLimit()
	out.OfflineLifetime, out.BreakGlassUntil = int64(limit/time.Second), stamp(until)
	return out, nil
}

func partitionState(p cloudap.State) *lsav1.PartitionState {
	return &lsav1.PartitionState{
		UserPrincipalName: string(p.UPN), UserId: string(p.User), CredentialKind: string(p.Kind), TenantId: string(p.Tenant), Authority: p.Authority,
		PrtUpdateTime: timestamppb.New(p.ObtainedAt), PrtExpiryTime: timestamppb.New(p.ExpiresAt),
		PrtDigest: p.Digest(), RenewalRunning: p.RenewalRunning, LastError: p.LastError,
		Mfa: mfa(p.MFA), MfaTime: stamp(p.MFATime), Validity: validity(p), Sessions: uint32(min(p.Sessions, 1<<16)), LastOnlineAt: stamp(p.LastOnlineAt),
		LastAcquire: p.Acquire.Proto(), LastRefresh: p.Refresh.Proto(),
	}
}

// validity puts what ends a PRT for good before what may pass.
func validity(p cloudap.State) authorityv1.PRTValidity {
	switch {
	case p.Validity == partition.Revoked:
		return authorityv1.PRTValidity_PRT_VALIDITY_REVOKED
	case p.Validity == partition.Ended || p.Over:
		return authorityv1.PRTValidity_PRT_VALIDITY_EXPIRED
	case p.KeysLost:
		return authorityv1.PRTValidity_PRT_VALIDITY_KEYS_LOST
	case p.Validity == partition.DeviceInvalid:
		return authorityv1.PRTValidity_PRT_VALIDITY_DEVICE_INVALID
	default:
		return authorityv1.PRTValidity_PRT_VALIDITY_GOOD
	}
}

func mfa(m partition.MFA) authorityv1.MFAState {
	switch m {
	case partition.MFAYes:
		return authorityv1.MFAState_MFA_STATE_YES
	case partition.MFANo:
		return authorityv1.MFAState_MFA_STATE_NO
	default:
		return authorityv1.MFAState_MFA_STATE_UNSPECIFIED
	}
}

func userState(u cloudap.UserState) *lsav1.UserState {
	return &lsav1.UserState{
		UserPrincipalName: string(u.UPN), Sid: string(u.SID), NgcSet: u.Hello.Set, NgcKeyId: u.Hello.KeyID, CanReset: u.Hello.CanReset,
		Prerequisites: prerequisites(u.Hello), WillProvision: len(u.Hello.Prerequisites) > 0 && u.Hello.WillProvision(),
		BlockedCode: uint32(max(0, u.BlockedCode)), BlockedAt: stamp(u.BlockedAt),
	}
}

// prerequisites are the lines of a check, with its result behind them; none when it was
// not made.
func prerequisites(h cloudap.HelloState) []*lsav1.Prerequisite {
	var out []*lsav1.Prerequisite
	for _, p := range h.Prerequisites {
		out = append(out, &lsav1.Prerequisite{Name: p.Name, Value: p.Value, Met: p.Met})
	}
	if len(out) == 0 {
		return nil
	}
	result := &lsav1.Prerequisite{Name: "PreReqResult", Value: "WillNotProvision", Met: h.WillProvision()}
	if result.GetMet() {
		result.Value = "WillProvision"
	}
	return append(out, result)
}

// stamp is a time as the contract has it; there is none for no time.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
