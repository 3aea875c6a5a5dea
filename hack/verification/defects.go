package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeDefects lists the defects that hack/plant-defects.sh plants, each a patch whose first lines say what it
// is and which test catches it.
func writeDefects(out *bytes.Buffer, root string, tests []test) error {
	patches, err := filepath.Glob(filepath.Join(root, "hack", "defects", "*.patch"))
	if err != nil {
		return err
	}
	out.WriteString("\n## Planted defects\n\n`make test-defects` plants each in a copy of the source and fails unless the test catches it.\n\n")
	out.WriteString("| defect | caught by | in |\n|---|---|---|\n")
	for _, path := range patches {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		what, folder, name := header(string(content), "what:"), header(string(content), "in:"), header(string(content), "caught by:")
		if len(matching(tests, folder+`\.`+name)) != 1 {
			return fmt.Errorf("%s is caught by %s in %s, which is no test", path, name, folder)
		}
		fmt.Fprintf(out, "| %s | `%s` | `%s` |\n", what, name, folder)
	}
	return nil
}

// header returns the rest of the line that begins with key.
func header(text, key string) string {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, key); found {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
