//go:build linux

package node

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/larder-dev/larder/internal/tree"
)

// ReadDirectory returns what is in a layer's directory, as entries whose names begin with that of the layer.
func ReadDirectory(layer, directory string) (Store, error) {
	store := Store{}
	_, err := store.readEntries(layer, directory)
	return store, err
}

// ReadTree returns the same of a tree in memory, whose files' bytes content gives.
func ReadTree(layer string, root *tree.Node, content func(*tree.Node) []byte) Store {
	store := Store{}
	store.addNode(layer, ".", root, content, map[*tree.Node]string{})
	return store
}

func (s Store) addNode(layer, path string, node *tree.Node, content func(*tree.Node) []byte, firstNames map[*tree.Node]string) {
	if _, linked := firstNames[node]; !linked {
		firstNames[node] = path
	}
	facts := s.add("entry", layer+" "+path)
	facts["same inode as"] = firstNames[node]
	facts["mode"] = "0" + strconv.FormatUint(uint64(node.Mode), 8)
	facts["uid"] = fmt.Sprint(node.UID)
	facts["gid"] = fmt.Sprint(node.GID)
	facts["rdev"] = fmt.Sprint(unix.Mkdev(node.Device()))
	facts["nlink"] = fmt.Sprint(node.Links)
	facts["mtime"] = node.Mtime.Time().Format(time.RFC3339Nano)
	for name, value := range node.Xattrs {
		facts["xattr "+name] = strconv.QuoteToASCII(value)
	}
	switch node.Type() {
	case tree.TypeDirectory:
		links := 2
		for _, name := range node.Names() {
			child := node.Children[name]
			if child.IsDirectory() {
				links++
			}
			s.addNode(layer, joined(path, name), child, content, firstNames)
		}
		facts["nlink"] = fmt.Sprint(links)
		return
	case tree.TypeRegular:
		sum := sha256.Sum256(content(node))
		facts["content"] = "sha256:" + hex.EncodeToString(sum[:])
	case tree.TypeSymlink:
		facts["content"] = node.Target()
		facts["size"] = fmt.Sprint(len(node.Target()))
		return
	}
	facts["size"] = fmt.Sprint(node.Size)
}

func joined(path, name string) string {
	if path == "." {
		return name
	}
	return path + "/" + name
}
