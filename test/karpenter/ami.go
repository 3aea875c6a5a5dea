package karpenter

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	labelArch = "kubernetes.io/arch"

	amd64 = "amd64"
	arm64 = "arm64"
)

// SetAMIs says which AMIs an alias of amiSelectorTerms means from now on, by architecture as Kubernetes names it: a new
// release of them drifts the nodes. Before it is called, every alias has made-up ones for amd64 and arm64.
func (p *Player) SetAMIs(alias string, byArchitecture map[string]string) {
	if p.amis == nil {
		p.amis = map[string]map[string]string{}
	}
	p.amis[alias] = maps.Clone(byArchitecture)
}

// amisOf is the status.amis of a class.
func (p *Player) amisOf(class *unstructured.Unstructured) []any {
	var amis []any
	for _, term := range entries(class.Object, "spec", "amiSelectorTerms") {
		byArchitecture := p.amisByArchitecture(term)
		for _, architecture := range slices.Sorted(maps.Keys(byArchitecture)) {
			amis = append(amis, map[string]any{
				"id":   byArchitecture[architecture],
				"name": familyOf(class) + "-" + architecture,
				"requirements": []any{
					map[string]any{"key": labelArch, "operator": "In", "values": []any{architecture}},
				},
			})
		}
	}
	return amis
}

func (p *Player) amisByArchitecture(term map[string]any) map[string]string {
	if id := text(term, "id"); id != "" {
		return map[string]string{amd64: id}
	}
	if given, ok := p.amis[text(term, "alias")]; ok {
		return given
	}
	made := map[string]string{}
	for _, architecture := range []string{amd64, arm64} {
		made[architecture] = "ami-" + madeUp(string(encode(term))+architecture)
	}
	return made
}

// madeUp is what follows the prefix in an id of AWS.
func madeUp(from string) string {
	sum := sha256.Sum256([]byte(from))
	return hex.EncodeToString(sum[:])[:17]
}

// amisFor are the ids of a class's AMIs that run on an architecture.
func amisFor(class *unstructured.Unstructured, architecture string) []string {
	var ids []string
	for _, ami := range entries(class.Object, "status", "amis") {
		for _, requirement := range entries(ami, "requirements") {
			if values, _ := requirement["values"].([]any); requirement["key"] == labelArch && slices.Contains(values, any(architecture)) {
				ids = append(ids, text(ami, "id"))
			}
		}
	}
	return ids
}
