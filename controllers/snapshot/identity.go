package snapshot

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ClusterUID returns what tells this cluster from all others: the UID of its kube-system namespace, which lives
// as long as the cluster.
func ClusterUID(ctx context.Context, reader client.Reader) (types.UID, error) {
	namespace := &corev1.Namespace{}
	if err := reader.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, namespace); err != nil {
		return "", fmt.Errorf("reading namespace %s, whose UID identifies the cluster: %w", metav1.NamespaceSystem, err)
	}
	return namespace.UID, nil
}
