package template

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Nobody is a cluster without bindings.
type Nobody struct{ client.Reader }

// List finds none.
func (Nobody) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }
