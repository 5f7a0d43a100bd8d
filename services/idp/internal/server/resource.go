package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/resource"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Resource serves ResourceService.
type Resource struct {
	idpv1.UnimplementedResourceServiceServer
	Resource *resource.Service
}

func call(b *idpv1.Bearer) resource.Call {
	return resource.Call{
		Token: secret.NewText(b.GetAccessToken()), Proof: secret.NewText(b.GetPopProof()),
		Method: b.GetHttpMethod(), Host: b.GetHttpHost(), Path: b.GetHttpPath(),
	}
}

// GetUserInfo is the userinfo endpoint of OpenID Connect.
func (s *Resource) GetUserInfo(ctx context.Context, req *idpv1.GetUserInfoRequest) (*idpv1.GetUserInfoResponse, error) {
	p, err := s.Resource.UserInfo(ctx, call(req.GetBearer()))
	if err != nil {
		return nil, err
	}
	return &idpv1.GetUserInfoResponse{
		Sub: p.Subject, Name: p.User.DisplayName, GivenName: p.User.GivenName, FamilyName: p.User.Surname, Email: p.User.Mail,
		UserId: string(p.User.ID), TenantId: string(p.User.Tenant),
	}, nil
}

// GetUser finds one user.
func (s *Resource) GetUser(ctx context.Context, req *idpv1.GetUserRequest) (*idpv1.GetUserResponse, error) {
	u, err := s.Resource.User(ctx, call(req.GetBearer()), req.GetKey())
	if err != nil {
		return nil, err
	}
	return &idpv1.GetUserResponse{User: directoryUser(u)}, nil
}

// ListUsers lists users.
func (s *Resource) ListUsers(ctx context.Context, req *idpv1.ListUsersRequest) (*idpv1.ListUsersResponse, error) {
	users, err := s.Resource.Users(ctx, call(req.GetBearer()))
	if err != nil {
		return nil, err
	}
	out := &idpv1.ListUsersResponse{}
	for _, u := range users {
		out.Users = append(out.Users, directoryUser(u))
	}
	return out, nil
}

func directoryUser(u store.User) *idpv1.DirectoryUser {
	return &idpv1.DirectoryUser{
		UserId: string(u.ID), UserPrincipalName: string(u.UPN), DisplayName: u.DisplayName, GivenName: u.GivenName, Surname: u.Surname,
		Mail: u.Mail, AccountEnabled: u.Enabled, OnPremisesImmutableId: u.ImmutableID, JobTitle: u.JobTitle,
	}
}

// GetDevice finds one device.
func (s *Resource) GetDevice(ctx context.Context, req *idpv1.GetDeviceRequest) (*idpv1.GetDeviceResponse, error) {
	d, err := s.Resource.Device(ctx, call(req.GetBearer()), req.GetKey())
	if err != nil {
		return nil, err
	}
	return &idpv1.GetDeviceResponse{Device: directoryDevice(d)}, nil
}

// ListDevices lists devices.
func (s *Resource) ListDevices(ctx context.Context, req *idpv1.ListDevicesRequest) (*idpv1.ListDevicesResponse, error) {
	devices, err := s.Resource.Devices(ctx, call(req.GetBearer()), req.GetRegisteredBy())
	if err != nil {
		return nil, err
	}
	out := &idpv1.ListDevicesResponse{}
	for _, d := range devices {
		out.Devices = append(out.Devices, directoryDevice(d))
	}
	return out, nil
}

func directoryDevice(d store.Device) *idpv1.DirectoryDevice {
	out := &idpv1.DirectoryDevice{
		ObjectId: d.ObjectID, DeviceId: string(d.ID), DisplayName: d.DisplayName, OperatingSystem: d.Type, OperatingSystemVersion: d.OSVersion,
		TrustType: string(d.Trust), AccountEnabled: d.Enabled, IsCompliant: d.Compliant, IsManaged: d.Managed, KeyProtection: string(d.KeyProtection),
	}
	if !d.RegisteredAt.IsZero() {
		out.RegisteredAt = d.RegisteredAt.Unix()
	}
	return out
}

// ListDirectorySignIns lists the sign-in log of the tenant.
func (s *Resource) ListDirectorySignIns(ctx context.Context, req *idpv1.ListDirectorySignInsRequest) (*idpv1.ListDirectorySignInsResponse, error) {
	list, err := s.Resource.SignIns(ctx, call(req.GetBearer()), int(req.GetLimit()))
	if err != nil {
		return nil, err
	}
	return &idpv1.ListDirectorySignInsResponse{SignIns: list}, nil
}

// ListGroups lists groups.
func (s *Resource) ListGroups(ctx context.Context, req *idpv1.ListGroupsRequest) (*idpv1.ListGroupsResponse, error) {
	groups, err := s.Resource.Groups(ctx, call(req.GetBearer()), req.GetMemberKey())
	if err != nil {
		return nil, err
	}
	out := &idpv1.ListGroupsResponse{}
	for _, g := range groups {
		out.Groups = append(out.Groups, &idpv1.DirectoryGroup{GroupId: g.ID, DisplayName: g.Name})
	}
	return out, nil
}

// GetOrganization describes the tenant.
func (s *Resource) GetOrganization(ctx context.Context, req *idpv1.GetOrganizationRequest) (*idpv1.GetOrganizationResponse, error) {
	t, err := s.Resource.Organization(ctx, call(req.GetBearer()))
	if err != nil {
		return nil, err
	}
	return &idpv1.GetOrganizationResponse{TenantId: string(t.ID), DisplayName: t.DisplayName, Domains: domainNames(t)}, nil
}
