package main

import (
	"io"
	"path/filepath"

	"github.com/spf13/cobra"
)

// streams are where results and messages go.
type streams struct {
	// out takes results only, so that scripts can read it.
	out io.Writer
	// err takes progress for people, warnings and errors.
	err io.Writer
}

// failure is an error of a command that was asked rightly. All other errors come from reading the arguments.
type failure struct{ error }

func (f *failure) Unwrap() error { return f.error }

// doing marks the errors of a command's work.
func doing(work func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, arguments []string) error {
		if err := work(command, arguments); err != nil {
			return &failure{err}
		}
		return nil
	}
}

func newRoot(to streams, program string) *cobra.Command {
	root := &cobra.Command{
		Use:           "larder",
		Short:         "Keep container images on the disks that EKS nodes boot with",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	if filepath.Base(program) == "kubectl-larder" {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl larder"}
	}
	root.SetOut(to.out)
	root.SetErr(to.err)
	root.AddCommand(newManager(to), newBuild(to), newInspect(to), newWarm(to))
	return root
}
