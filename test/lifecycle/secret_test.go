package lifecycle

import (
	"context"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// createSecret makes a Secret in the operator's namespace, and takes it away at the end of the test.
func (w *world) createSecret(name string, kind corev1.SecretType, content string) {
	w.t.Helper()
	key := corev1.DockerConfigJsonKey // which a Secret of another type may have all the same
	if kind == corev1.SecretTypeDockercfg {
		key = corev1.DockerConfigKey
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Type:       kind, StringData: map[string]string{key: content},
	}
	if err := plane.Admin.Create(w.t.Context(), secret); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := client.IgnoreNotFound(plane.Admin.Delete(context.WithoutCancel(w.t.Context()), secret)); err != nil {
			w.t.Error(err)
		}
	})
}

// dockerConfig is the content of a Secret for the registry.
func (w *world) dockerConfig(username, password string) string {
	w.t.Helper()
	content, err := json.Marshal(map[string]any{"auths": map[string]any{
		w.registry.Host(): map[string]string{"username": username, "password": password},
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(content)
}
