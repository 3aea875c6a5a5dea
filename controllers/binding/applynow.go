package binding

import (
	"fmt"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
)

// longestRequest is how much of the annotation the status keeps, in bytes: the length that the API allows there.
const longestRequest = 256

// requestOf is what larder.dev/apply-now says, as the status would record it.
func requestOf(binding *v1alpha1.NodeClassBinding) string {
	return message.Clip(binding.Annotations[v1alpha1.AnnotationApplyNow], longestRequest)
}

// isAsked tells whether larder.dev/apply-now has a value that was not acted on yet. A paused binding leaves it for later.
func isAsked(binding *v1alpha1.NodeClassBinding) bool {
	request := requestOf(binding)
	return request != "" && request != binding.Status.LastHandledApplyNow && !binding.Spec.Rollout.Paused
}

// howToAsk is the command by which a person has a change written now.
func howToAsk(binding *v1alpha1.NodeClassBinding) string {
	return fmt.Sprintf("kubectl annotate --overwrite nodeclassbinding %s %s=\"$(date)\"", binding.Name, v1alpha1.AnnotationApplyNow)
}
