package layer

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/larder-dev/larder/internal/tree"
)

// The kernel's limits in bytes: NAME_MAX, and PATH_MAX without its NUL (linux/limits.h).
const (
	maxName = 255
	maxPath = 4095
)

// maxLinks is how many symbolic links containerd follows for one path (continuity fs/path.go, walkLink).
const maxLinks = 255

var errClimbs = errors.New(`the path climbs above the layer's root with "..": rebuild the image without it`)

// cleanName returns a name relative to the layer's root, empty for the root itself.
func cleanName(name string) (string, error) {
	cleaned := path.Clean(strings.TrimLeft(name, "/"))
	switch {
	case cleaned == ".":
		return "", nil
	case cleaned == ".." || strings.HasPrefix(cleaned, "../"):
		return "", errClimbs
	}
	return cleaned, nil
}

func checkPath(name string) error {
	if len(name) > maxPath {
		return fmt.Errorf("a path of %d bytes is longer than the %d bytes that Linux allows", len(name), maxPath)
	}
	return nil
}

func checkComponent(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("a path component of %d bytes is longer than the %d bytes that Linux allows", len(name), maxName)
	}
	if strings.ContainsRune(name, 0) {
		return errors.New("a path component holds a NUL byte")
	}
	return nil
}

// place is where a path leads once its symbolic links are resolved.
type place struct {
	components []string
	// node is nil if nothing is there.
	node *tree.Node
	// blocked says that nothing can be there: a component on the way is not a directory.
	blocked bool
}

func (p place) String() string { return strings.Join(p.components, "/") }

// errLinks is the failure of a path that leads in circles, or might as well.
var errLinks = fmt.Errorf("more than %d symbolic links on the way", maxLinks)

// childAt returns what a tree has at a path, whose directory is given: nil if nothing is there.
type childAt func(directory *tree.Node, components []string) (*tree.Node, error)

// childInMemory is childAt for a tree whose directories know their children.
func childInMemory(directory *tree.Node, components []string) (*tree.Node, error) {
	return childOf(directory, components[len(components)-1]), nil
}

// resolve follows a path from the root through the tree's own symbolic links, the last one included.
// ".." stops at the root, and components that do not exist are kept as they are.
func resolve(root *tree.Node, child childAt, name string) (place, error) {
	var (
		components []string
		nodes      = []*tree.Node{root}
		rest       = strings.Split(name, "/")
		links      int
	)
	for len(rest) > 0 {
		component := rest[0]
		rest = rest[1:]
		switch component {
		case "", ".":
			continue
		case "..":
			if len(components) > 0 {
				components, nodes = components[:len(components)-1], nodes[:len(nodes)-1]
			}
			continue
		}
		components = append(components, component)
		node, err := child(nodes[len(nodes)-1], components)
		if err != nil {
			return place{}, err
		}
		if node == nil || node.Type() != tree.TypeSymlink {
			nodes = append(nodes, node)
			continue
		}
		if links++; links > maxLinks {
			return place{}, fmt.Errorf("following %q: %w", name, errLinks)
		}
		components = components[:len(components)-1]
		if strings.HasPrefix(node.Target(), "/") {
			components, nodes = nil, nodes[:1]
		}
		rest = append(strings.Split(node.Target(), "/"), rest...)
	}
	return newPlace(components, nodes), nil
}

func newPlace(components []string, nodes []*tree.Node) place {
	found := place{components: components, node: nodes[len(nodes)-1]}
	for _, node := range nodes[:len(nodes)-1] {
		if node != nil && !node.IsDirectory() {
			found.blocked = true
		}
	}
	return found
}

func childOf(node *tree.Node, name string) *tree.Node {
	if node == nil {
		return nil
	}
	return node.Children[name]
}
