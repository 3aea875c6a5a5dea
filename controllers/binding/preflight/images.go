package preflight

import (
	"context"
	"fmt"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ami"
)

// Images tells what AMIs are.
type Images interface {
	// Describe returns those of the AMIs that there are. It is called with every pass over a binding, and should remember.
	Describe(ctx context.Context, ids []string) ([]ami.Image, error)
}

// ReadImages returns what is known of the AMIs that a target's nodes boot from, or a warning that it is not: a binding does
// not wait for what is only one more check. The target is in words: "EC2NodeClass gpu".
func ReadImages(ctx context.Context, from Images, target string, ids []string) ([]ami.Image, []binding.Warning) {
	if len(ids) == 0 {
		return nil, nil
	}
	images, err := from.Describe(ctx, ids)
	if err == nil {
		return images, nil
	}
	why := "EC2 did not answer, and is asked again with the next pass"
	if larderaws.IsAccessDenied(err) {
		why = "the operator may not ask EC2: allow its role ec2:DescribeImages, as config/iam/larder.json does"
	}
	return nil, []binding.Warning{{
		Reason:  v1alpha1.ReasonNotChecked,
		Message: fmt.Sprintf("whether the root device of %s is large enough for its AMIs is not known, since %s", target, why),
	}}
}
