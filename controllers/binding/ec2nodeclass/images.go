package ec2nodeclass

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// imagesOf returns the ids of the AMIs that Karpenter found for the class.
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
