package launch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// VersionNamed is a version of a launch template that something other than an Auto Scaling group launches with.
type VersionNamed struct {
	// TemplateID is the launch template's; TemplateName is looked at only without it.
	TemplateID, TemplateName string
	// Version is a number, $Latest or $Default; empty is the default one.
	Version string
	// By names what launches with it, for people: "EKS node group prod/gpu".
	By string
}

// UsesOf returns those of the named versions that are made of snapshots, sorted by template and version. The latest and
// the default ones are not among them: SnapshotUses has those of every template. A version that is deleted while this
// reads is not in the answer; after any other error nobody may take a snapshot for unused.
func (c *Client) UsesOf(ctx context.Context, named []VersionNamed) ([]Use, error) {
	numbered := references{}
	for _, one := range named {
		numbered.addVersion(template{one.TemplateID, one.TemplateName}, one.Version, "named by "+one.By)
	}
	found := inUse{}
	if err := c.read(ctx, numbered, found); err != nil {
		return nil, err
	}
	return found.uses(), nil
}

// read adds those of the referenced versions that exist.
func (c *Client) read(ctx context.Context, named references, found inUse) error {
	for _, reference := range slices.SortedFunc(maps.Keys(named), template.compare) {
		versions, err := c.versions(ctx, reference, slices.Sorted(maps.Keys(named[reference])))
		if err != nil {
			return err
		}
		for _, version := range versions {
			found.add(version, named[reference][fmt.Sprint(aws.ToInt64(version.VersionNumber))]...)
		}
	}
	return nil
}

// addVersion leaves out the versions that are in use with or without what names them.
func (r references) addVersion(of template, version, why string) {
	if version == "" || strings.EqualFold(version, latest) || strings.EqualFold(version, standard) {
		return
	}
	if of.id != "" {
		of.name = ""
	}
	if r[of] == nil {
		r[of] = map[string][]string{}
	}
	if !slices.Contains(r[of][version], why) {
		r[of][version] = append(r[of][version], why)
	}
}
