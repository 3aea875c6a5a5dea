package distribution

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// A ConfigMap with both of these is the object's own.
const (
	labelManagedBy      = "app.kubernetes.io/managed-by"
	managedBy           = "larder"
	annotationObjectUID = "larder.dev/object-uid"
)

// ensureConfigMap has a ConfigMap describe the current snapshot.
func (p *pass) ensureConfigMap(ctx context.Context, name string) *Problem {
	existing, err := p.configMap(ctx, name)
	switch {
	case apierrors.IsNotFound(err):
		err = p.Client.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: p.Namespace, Name: name,
				Labels:      map[string]string{labelManagedBy: managedBy},
				Annotations: map[string]string{annotationObjectUID: string(p.object.UID)},
			},
			Data: p.published(),
		})
	case err != nil:
	case !ownsConfigMap(p.object, existing):
		return needsPerson(larderv1alpha1.ReasonNotOurs,
			"ConfigMap %s/%s is not this object's and is left as it is: give another name in spec.publish.configMap, or delete the ConfigMap", p.Namespace, name)
	default:
		err = p.updateConfigMap(ctx, existing)
	}
	if err != nil {
		return clusterProblem(fmt.Errorf("publishing to ConfigMap %s/%s: %w", p.Namespace, name, err))
	}
	return nil
}

// updateConfigMap leaves keys alone that others have added.
func (p *pass) updateConfigMap(ctx context.Context, existing *corev1.ConfigMap) error {
	updated := existing.DeepCopy()
	if updated.Data == nil {
		updated.Data = map[string]string{}
	}
	maps.Copy(updated.Data, p.published())
	if maps.Equal(updated.Data, existing.Data) {
		return nil
	}
	return p.Client.Patch(ctx, updated, lockedPatch(existing))
}

// published is what others need to make a volume.
func (p *pass) published() map[string]string {
	return map[string]string{
		"snapshotID":  p.current.ID,
		"revision":    strconv.FormatInt(p.revision(), 10),
		"region":      p.Region,
		"contentHash": p.current.Tags[ebs.TagContentHash],
		"volumeSize":  fmt.Sprintf("%dGi", p.current.VolumeSize),
		"format":      string(p.object.Status.Format),
	}
}

// withdrawConfigMap deletes a ConfigMap if it is the object's, and still the one that was looked at.
func (d *Distributor) withdrawConfigMap(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, name string) error {
	existing, err := d.configMap(ctx, name)
	if err == nil && ownsConfigMap(object, existing) {
		err = d.Client.Delete(ctx, existing, client.Preconditions{UID: &existing.UID, ResourceVersion: &existing.ResourceVersion})
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting ConfigMap %s/%s: %w", d.Namespace, name, err)
	}
	return nil
}

func (d *Distributor) configMap(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	existing := &corev1.ConfigMap{}
	err := d.Reader.Get(ctx, client.ObjectKey{Namespace: d.Namespace, Name: name}, existing)
	return existing, err
}

func ownsConfigMap(object *larderv1alpha1.ImageCacheSnapshot, found *corev1.ConfigMap) bool {
	return found.Labels[labelManagedBy] == managedBy && found.Annotations[annotationObjectUID] == string(object.UID)
}
