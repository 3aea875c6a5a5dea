package main

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
)

// gibibytes is a flag that takes a quantity as Kubernetes writes it and holds whole GiB, rounded up.
type gibibytes int64

// Set implements pflag.Value.
func (g *gibibytes) Set(text string) error {
	quantity, err := resource.ParseQuantity(text)
	if err != nil || quantity.Sign() <= 0 {
		return fmt.Errorf("write a size such as 20Gi")
	}
	const gib = 1 << 30
	*g = gibibytes((quantity.Value() + gib - 1) / gib)
	return nil
}

// String implements pflag.Value.
func (g *gibibytes) String() string {
	if *g == 0 {
		return ""
	}
	return fmt.Sprintf("%dGi", int64(*g))
}

// Type implements pflag.Value.
func (g *gibibytes) Type() string { return "size" }
