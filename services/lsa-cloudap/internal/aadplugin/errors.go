package aadplugin

import "github.com/lockstep-sso/lockstep/pkg/authority"

// Errors of others are read as every authority of a PRT reads them.

func stranger(who string, err error) error { return authority.Stranger(who, err) }

func badAnswer(who, what string) error { return authority.BadAnswer(who, what) }

func spent(err error) error { return authority.Spent(err) }
