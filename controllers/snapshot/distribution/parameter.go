package distribution

import (
	"context"
	"fmt"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ssm"
)

// ensureParameter has an SSM parameter hold the current snapshot's id.
func (p *pass) ensureParameter(ctx context.Context, name string) *Problem {
	parameter, err := p.Parameters.Get(ctx, name)
	switch {
	case larderaws.IsNotFound(err):
		err = p.Parameters.Create(ctx, name, p.current.ID, "Snapshot of ImageCacheSnapshot "+p.object.Name+", written by Larder", p.identity(p.object))
	case err != nil:
	case !p.ownsParameter(p.object, parameter):
		return needsPerson(larderv1alpha1.ReasonNotOurs,
			"SSM parameter %s is not this object's and is left as it is: give another name in spec.publish.ssmParameter, or delete the parameter", name)
	case parameter.Value != p.current.ID:
		err = p.Parameters.Update(ctx, name, p.current.ID)
	}
	if err != nil {
		return awsProblem(fmt.Errorf("publishing the snapshot's id: %w", err))
	}
	return nil
}

// withdrawParameter deletes an SSM parameter if it is the object's.
func (d *Distributor) withdrawParameter(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, name string) error {
	parameter, err := d.Parameters.Get(ctx, name)
	if larderaws.IsNotFound(err) {
		return nil
	}
	if err == nil && d.ownsParameter(object, parameter) {
		err = d.Parameters.Delete(ctx, name)
	}
	return err
}

func (d *Distributor) ownsParameter(object *larderv1alpha1.ImageCacheSnapshot, parameter ssm.Parameter) bool {
	return hasTags(parameter.Tags, d.identity(object))
}
