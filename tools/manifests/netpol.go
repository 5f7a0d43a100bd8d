package main

import "github.com/spf13/cobra"

func netpolCommand(root *string) *cobra.Command { return &cobra.Command{Use: "netpol"} }
