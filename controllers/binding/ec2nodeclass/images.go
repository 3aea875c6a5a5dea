package ec2nodeclass

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ami"
)

// Images tells what AMIs need.
type Images interface {
	// Describe returns those of the AMIs that there are. It is called with every pass over a binding, and should remember.
	Describe(ctx context.Context, ids []string) ([]ami.Image, error)
}

// readImages returns what is known of the AMIs that Karpenter found for the class, or a warning that it is not: a binding
// does not wait for what is only one more check.
func (t *Target) readImages(ctx context.Context, class *unstructured.Unstructured) ([]ami.Image, []binding.Warning) {
	ids := imagesOf(class)
	if len(ids) == 0 {
		return nil, nil
	}
	images, err := t.Images.Describe(ctx, ids)
	if err == nil {
		return images, nil
	}
	why := "EC2 did not answer, and is asked again with the next pass"
	if larderaws.IsAccessDenied(err) {
		why = "the operator may not ask EC2: allow its role ec2:DescribeImages, as config/iam/larder.json does"
	}
	return nil, []binding.Warning{{
		Reason: v1alpha1.ReasonNotChecked,
		Message: fmt.Sprintf("whether the root device of EC2NodeClass %s is large enough for its AMIs is not known, since %s",
			class.GetName(), why),
	}}
}

func imagesOf(class *unstructured.Unstructured) []string {
	status, _ := class.Object["status"].(map[string]any)
	entries, _ := status["amis"].([]any)
	var ids []string
	for _, entry := range entries {
		fields, _ := entry.(map[string]any)
		if id, _ := fields["id"].(string); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}
