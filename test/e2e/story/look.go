package story

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/e2e"
	"github.com/larder-dev/larder/test/karpenter"
)

const (
	// patience is for what the operator does at once, on a busy machine.
	patience = 90 * time.Second
	// trialPatience is for what comes after the minute of rollback.after.
	trialPatience = 60*time.Second + patience
)

// until lets Karpenter look at the cluster again and again until something holds.
func (s *Story) until(ctx context.Context, what string, patience time.Duration, holds func() (bool, error)) error {
	return s.Stack.Until(ctx, what, patience, func() (bool, error) {
		if err := s.karpenter.Settle(ctx); err != nil {
			return false, err
		}
		return holds()
	})
}

// untilBinding waits for what a binding says.
func (s *Story) untilBinding(ctx context.Context, name, what string, patience time.Duration, says func(*v1alpha1.NodeClassBinding) bool) error {
	return s.until(ctx, fmt.Sprintf("NodeClassBinding %s: %s", name, what), patience, func() (bool, error) {
		found, err := s.Stack.Binding(ctx, name)
		return err == nil && says(found), err
	})
}

func (s *Story) class(ctx context.Context, name string) (*unstructured.Unstructured, error) {
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(karpenter.EC2NodeClass)
	if err := s.Stack.Admin.Get(ctx, client.ObjectKey{Name: name}, found); err != nil {
		return nil, fmt.Errorf("reading EC2NodeClass %s: %w", name, err)
	}
	return found, nil
}

// bootsFrom returns the snapshot that the data device of a class names, or nothing.
func (s *Story) bootsFrom(ctx context.Context, name string) (string, error) {
	found, err := s.class(ctx, name)
	if err != nil {
		return "", err
	}
	devices, _, err := unstructured.NestedSlice(found.Object, "spec", "blockDeviceMappings")
	if err != nil {
		return "", fmt.Errorf("reading the devices of EC2NodeClass %s: %w", name, err)
	}
	for _, device := range devices {
		if fields, ok := device.(map[string]any); ok && fields["deviceName"] == e2e.DataDevice {
			id, _, err := unstructured.NestedString(fields, "ebs", "snapshotID")
			return id, err
		}
	}
	return "", nil
}

// expectBoots fails unless the data device of a class names a snapshot, or none.
func (s *Story) expectBoots(ctx context.Context, name, id string) error {
	now, err := s.bootsFrom(ctx, name)
	if err == nil && now != id {
		err = fmt.Errorf("EC2NodeClass %s boots from %q, want %q", name, now, id)
	}
	return err
}

// expectSpec fails unless a class has a spec, as specOf returns it.
func (s *Story) expectSpec(ctx context.Context, name, want string) error {
	now, err := s.specOf(ctx, name)
	if err == nil && now != want {
		err = fmt.Errorf("the spec of EC2NodeClass %s is\n%s\nwant\n%s", name, now, want)
	}
	return err
}

// claims returns the names of the NodeClaims, and why each is Drifted.
func (s *Story) claims(ctx context.Context) (map[string]string, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(karpenter.NodeClaim.GroupVersion().WithKind("NodeClaimList"))
	if err := s.Stack.Admin.List(ctx, list); err != nil {
		return nil, fmt.Errorf("listing NodeClaims: %w", err)
	}
	drift := map[string]string{}
	for i := range list.Items {
		drift[list.Items[i].GetName()] = ""
		conditions, _, _ := unstructured.NestedSlice(list.Items[i].Object, "status", "conditions")
		for _, one := range conditions {
			if fields, ok := one.(map[string]any); ok && fields["type"] == "Drifted" {
				drift[list.Items[i].GetName()], _ = fields["reason"].(string)
			}
		}
	}
	return drift, nil
}

// drifted counts claims.
func drifted(claims map[string]string) int {
	count := 0
	for _, reason := range claims {
		if reason != "" {
			count++
		}
	}
	return count
}

func (s *Story) showDevices(ctx context.Context, class string) error {
	return s.Show(ctx, "get", "ec2nodeclass", class, "--output", `go-template={{range .spec.blockDeviceMappings}}{{.deviceName}}  {{.ebs}}{{"\n"}}{{end}}`)
}

func (s *Story) showNodes(ctx context.Context) error {
	return s.Show(ctx, "get", "nodeclaims", "--output", "custom-columns="+strings.Join([]string{
		"NAME:.metadata.name",
		"IMAGE:.status.imageID",
		`READY:.status.conditions[?(@.type=="Ready")].status`,
		`DRIFTED:.status.conditions[?(@.type=="Drifted")].reason`,
	}, ","))
}

func (s *Story) showBinding(ctx context.Context, name string, more ...string) error {
	template := `{{range .status.conditions}}{{.type}}={{.status}} {{.reason}}{{if or (eq .type "Ready") (eq .reason "PassedWithWarnings")}}: {{.message}}{{end}}{{"\n"}}{{end}}`
	if err := s.Show(ctx, "get", "ncb", name, "--output", "go-template="+template); err != nil {
		return err
	}
	for _, field := range more {
		if err := s.Show(ctx, "get", "ncb", name, "--output", "jsonpath={.status."+field+"}"); err != nil {
			return err
		}
	}
	return nil
}
