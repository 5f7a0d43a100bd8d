package server

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	domainv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/domain/v1"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/sts"
)

// Domain implements prt.domain.v1.DomainService: the organisation's domain controller,
// which lets its users in to its computers.
type Domain struct {
	domainv1.UnimplementedDomainServiceServer
	sts *sts.STS
}

// Domain is the controller of the same organisation.
func (s *Server) Domain() *Domain { return &Domain{sts: s.sts} }

// RequestTicket checks name and password.
func (d *Domain) RequestTicket(ctx context.Context, req *domainv1.RequestTicketRequest) (*domainv1.RequestTicketResponse, error) {
	t, err := d.sts.Ticket(ctx, req.GetUserPrincipalName(), secret.NewText(req.GetPassword()))
	if err != nil {
		return nil, err
	}
	return &domainv1.RequestTicketResponse{
		Sid: string(t.User.SID), DisplayName: t.User.DisplayName, ValidUntil: timestamppb.New(t.Until),
	}, nil
}
