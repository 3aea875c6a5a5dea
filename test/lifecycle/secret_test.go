package lifecycle

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/registry"
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

const (
	password  = "thyme-and-rosemary-7d1f"
	former    = "stale-parsley-0c3e"
	ecrSecret = "ecr-token-saffron-91ab"
	ecrHost   = "111122223333.dkr.ecr." + home + ".amazonaws.com"
)

// TestNoSecretAnywhere goes through logins of every kind, good and bad, and then looks through all that was written.
func TestNoSecretAnywhere(t *testing.T) {
	private, err := registry.Start(registry.Options{Username: fakeaws.RegistryUser, Password: ecrSecret, Basic: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := private.Stop(); err != nil {
			t.Error(err)
		}
	})
	w := newWorld(t, options{
		aws:      fakeaws.Options{RegistryPassword: ecrSecret, PendingFor: time.Minute},
		registry: registry.Options{Username: "cook", Password: password},
		hosts:    map[string]string{ecrHost + ":80": private.Host()},
	})
	if _, err := private.Push(t.Context(), "inner:1", app("inner")); err != nil {
		t.Fatal(err)
	}
	w.createSecret("login", corev1.SecretTypeDockerConfigJson, w.dockerConfig("cook", password))
	w.createSecret("stale", corev1.SecretTypeDockerConfigJson, w.dockerConfig("cook", former))
	w.createSecret("opaque", corev1.SecretTypeOpaque, w.dockerConfig("cook", password))
	w.create("discreet", v1alpha1.ImageCacheSnapshotSpec{
		Images: imagesOf(w.push("app:1", app("1")), ecrHost+"/inner:1"), VolumeSize: smallest,
		ImagePullSecrets: secretNames("login"),
		Copies:           []v1alpha1.RegionalCopy{{Region: "us-east-1"}},
		Publish:          &v1alpha1.Publish{SSMParameter: "/larder/discreet", ConfigMap: &v1alpha1.ConfigMapReference{Name: "discreet"}},
	})
	w.untilRevision("discreet", 1)
	token := w.registry.Token()
	if len(w.aws.RegistryTokens()) == 0 || !slices.ContainsFunc(private.Requests(), func(r registry.Request) bool { return r.Status == 200 }) {
		t.Error("nobody logged in to ECR")
	}

	use := func(secret, reason string) {
		t.Helper()
		w.edit("discreet", func(object *v1alpha1.ImageCacheSnapshot) { object.Spec.ImagePullSecrets = secretNames(secret) })
		w.request("discreet")
		w.untilCondition("discreet", v1alpha1.ConditionImagesResolved, reason)
	}
	use("stale", v1alpha1.ReasonUnauthorized)
	use("opaque", v1alpha1.ReasonInvalidPullSecret)
	use("login", v1alpha1.ReasonResolved)
	w.registry.Inject(registry.Fault{Effect: refuseFor("600")})
	use("login", v1alpha1.ReasonTooManyRequests)
	w.registry.Heal()
	// The build of a renewal fails as well, with credentials that end in its middle.
	w.push("app:1", app("2"))
	w.registry.Inject(registry.Fault{Path: "/blobs/", Effect: func(response http.ResponseWriter, request *http.Request, store http.Handler) {
		w.registry.SetCredentials("cook", "changed")
		registry.Refuse(http.StatusUnauthorized)(response, request, store)
	}})
	w.request("discreet")
	w.run(30 * time.Minute)
	private.SetCredentials(fakeaws.RegistryUser, "changed")
	w.run(30 * time.Minute)
	if w.registry.Token() == token {
		t.Error("the credentials did not end in a build")
	}

	for where, text := range w.everythingWritten() {
		if len(text) < 100 {
			t.Errorf("%s has %d bytes: nothing was looked through", where, len(text))
		}
		for name, secret := range map[string]string{
			"password": password, "old password": former, "token": token, "ECR's token": ecrSecret, "AWS's key": fakeaws.SecretAccessKey,
			"password with its user":     base64.StdEncoding.EncodeToString([]byte("cook:" + password)),
			"old password with its user": base64.StdEncoding.EncodeToString([]byte("cook:" + former)),
			"password in base64":         strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(password)), "="),
			"ECR's authorization":        base64.StdEncoding.EncodeToString([]byte(fakeaws.RegistryUser + ":" + ecrSecret)),
			"a header":                   "Authorization:", "a scheme": "Bearer ", "another scheme": "Basic ",
		} {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%s has the %s: …%s…", where, name, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
}

func secretNames(name string) []v1alpha1.PullSecretReference {
	return []v1alpha1.PullSecretReference{{Name: name}}
}

// request asks for a look at the registries now.
func (w *world) request(name string) {
	w.t.Helper()
	w.edit(name, func(object *v1alpha1.ImageCacheSnapshot) {
		metav1.SetMetaDataAnnotation(&object.ObjectMeta, v1alpha1.AnnotationReconcileRequestedAt, w.clock.Now().Format(time.RFC3339Nano))
	})
}

// everythingWritten is all that the operator has told anyone, by where it stands.
func (w *world) everythingWritten() map[string]string {
	w.t.Helper()
	all := map[string]string{
		"the log":         w.log.String(),
		"the events":      w.events.String(),
		"requests to AWS": w.sent.String(),
	}
	parameter, _ := w.aws.Parameter("/larder/discreet")
	all["AWS"] = fmt.Sprintf("%+v %+v", w.aws.Snapshots(), parameter)
	for kind, list := range map[string]client.ObjectList{
		"ImageCacheSnapshots": &v1alpha1.ImageCacheSnapshotList{}, "ConfigMaps": &corev1.ConfigMapList{},
	} {
		if err := plane.Admin.List(w.t.Context(), list); err != nil {
			w.t.Fatal(err)
		}
		content, err := yaml.Marshal(list)
		if err != nil {
			w.t.Fatal(err)
		}
		all[kind] = string(content)
	}
	return all
}
