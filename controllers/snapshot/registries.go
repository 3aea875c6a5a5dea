package snapshot

import "fmt"

// PullSecretError says that a Secret of spec.imagePullSecrets cannot be used. It never holds what is in it.
type PullSecretError struct {
	// Name is the Secret's, in the operator's namespace.
	Name, Namespace string
	Err             error
}

// Error names the Secret and what to do.
func (e *PullSecretError) Error() string {
	return fmt.Sprintf("spec.imagePullSecrets: Secret %s in namespace %s cannot be used: %v: create or mend it, or leave it out",
		e.Name, e.Namespace, e.Err)
}

// Unwrap gives the detail.
func (e *PullSecretError) Unwrap() error { return e.Err }
