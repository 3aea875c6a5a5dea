//go:build node

package cold_test

import ("os"; "strings"; "path/filepath")

func (b *bench) record(image string) string {
	file := filepath.Join(b.directory, "trace.txt")
	if err := os.WriteFile(file, []byte(strings.Join(b.trace, "\n")+"\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	return file
}
