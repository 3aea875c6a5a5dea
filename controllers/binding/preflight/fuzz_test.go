package preflight_test

import (
	"strings"
	"testing"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding/preflight"
)

// canary is a secret of user data.
const canary = "c4n4ry"

// FuzzUserData looks for user data that makes a check panic, or a message quote it.
func FuzzUserData(f *testing.F) {
	for _, userData := range []string{
		"", "CANARY", "[settings]\nCANARY", "[settings.container-runtime]\nsnapshotter = \"CANARY\"", "[settings.bootstrap-commands]\nCANARY = 1",
		commands("CANARY", `["apiclient", "ephemeral-storage", "bind", "--dirs", "/var/lib/containerd/CANARY"]`),
		documentedUserData(f), archive(script(mountScript+"export TOKEN=CANARY\n"), config("{featureGates: {FastImagePull: true}}")),
		archive(config("CANARY"), script("mkfs /dev/xvdb; "+mountScript)), archive("Content-Type: CANARY\n\nCANARY"),
		"MIME-Version: 1.0\nContent-Type: multipart/CANARY; boundary=CANARY\n\n--CANARY\n\nCANARY\n",
		config("{instance: {localStorage: {strategy: RAID0, mountPath: CANARY}, storage: {volumes: [{mountTargets: [/var/lib/containerd/CANARY]}]}}}"),
		archive(config(`{containerd: {config: "snapshotter = 'CANARY'"}}`)), "a: &a [CANARY, *a]",
	} {
		f.Add(userData)
	}
	f.Fuzz(func(t *testing.T, userData string) {
		for _, secret := range []string{
			strings.ReplaceAll(userData, "CANARY", canary), userData + canary, canary + userData,
			strings.ReplaceAll(userData, "\n", canary+"\n"), strings.ReplaceAll(userData, `"`, canary+`"`),
		} {
			for _, family := range []string{"Bottlerocket", "AL2023", "AL2", "Custom"} {
				in := bottlerocket()
				withFamily(family)(&in)
				withFormat(v1alpha1.FormatContainerd)(&in)
				in.UserData = secret
				problem, warnings := preflight.Check(in)
				if problem != nil && strings.Contains(problem.Error(), canary) {
					t.Errorf("user data is quoted: %v", problem)
				}
				for _, warning := range warnings {
					if strings.Contains(warning.Message, canary) {
						t.Errorf("user data is quoted: %s", warning.Message)
					}
				}
			}
		}
	})
}
