package distribution

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
)

// AnnotationPublishedTo is on an ImageCacheSnapshot and names, in JSON, all places to which its snapshot's id may have
// been written, so that what the spec no longer names can still be withdrawn.
const AnnotationPublishedTo = "larder.dev/published-to"

// places are where a snapshot's id is written.
type places struct {
	Parameters []string `json:"ssmParameters,omitempty"`
	ConfigMaps []string `json:"configMaps,omitempty"`
}

// wantedPlaces are those of a spec.
func wantedPlaces(publish *larderv1alpha1.Publish) places {
	var wanted places
	if publish != nil && publish.SSMParameter != "" {
		wanted.Parameters = []string{publish.SSMParameter}
	}
	if publish != nil && publish.ConfigMap != nil {
		wanted.ConfigMaps = []string{publish.ConfigMap.Name}
	}
	return wanted
}

// namedPlaces are those of the annotation. One that a person has spoilt names none.
func namedPlaces(object *larderv1alpha1.ImageCacheSnapshot) places {
	var named places
	if json.Unmarshal([]byte(object.Annotations[AnnotationPublishedTo]), &named) != nil {
		return places{}
	}
	return named
}

func (p places) empty() bool { return len(p.Parameters)+len(p.ConfigMaps) == 0 }

func (p places) equal(other places) bool {
	return slices.Equal(p.Parameters, other.Parameters) && slices.Equal(p.ConfigMaps, other.ConfigMaps)
}

// with has the places of both.
func (p places) with(other places) places {
	return places{
		Parameters: slices.Concat(p.Parameters, without(other.Parameters, p.Parameters)),
		ConfigMaps: slices.Concat(p.ConfigMaps, without(other.ConfigMaps, p.ConfigMaps)),
	}
}

// without has the places that the other does not have.
func (p places) without(other places) places {
	return places{
		Parameters: without(p.Parameters, other.Parameters),
		ConfigMaps: without(p.ConfigMaps, other.ConfigMaps),
	}
}

// both has the places that both have.
func (p places) both(other places) places { return p.without(p.without(other)) }

// namePlaces writes the annotation, unless named is nil.
func (d *Distributor) namePlaces(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, named *places) error {
	if named == nil {
		return nil
	}
	before := object.DeepCopy()
	delete(object.Annotations, AnnotationPublishedTo)
	if !named.empty() {
		value, err := json.Marshal(named)
		if err != nil {
			return fmt.Errorf("writing annotation %s: %w", AnnotationPublishedTo, err)
		}
		if object.Annotations == nil {
			object.Annotations = map[string]string{}
		}
		object.Annotations[AnnotationPublishedTo] = string(value)
	}
	if err := d.Client.Patch(ctx, object, lockedPatch(before)); err != nil {
		return fmt.Errorf("writing annotation %s: %w", AnnotationPublishedTo, err)
	}
	return nil
}
