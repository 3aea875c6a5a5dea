package e2e

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// Narrator shows what a person at a terminal would see.
type Narrator struct {
	Stack *Stack
	Out   io.Writer
}

// Say prints a heading.
func (n Narrator) Say(format string, arguments ...any) {
	fmt.Fprintf(n.Out, "\n\033[1m"+format+"\033[0m\n", arguments...)
}

// Show runs kubectl, and prints the command as a person would type it and what it prints.
func (n Narrator) Show(ctx context.Context, arguments ...string) error {
	fmt.Fprintf(n.Out, "$ kubectl %s\n", typed(arguments))
	output, err := n.Stack.Kubectl(ctx, arguments...)
	if err != nil {
		return err
	}
	fmt.Fprintln(n.Out, strings.TrimSpace(output))
	return nil
}

// typed quotes what a shell would take apart.
func typed(arguments []string) string {
	words := make([]string, 0, len(arguments))
	for _, argument := range arguments {
		if strings.ContainsAny(argument, " {}[]?()\"*") {
			argument = "'" + argument + "'"
		}
		words = append(words, argument)
	}
	return strings.Join(words, " ")
}
