package image_test

import (
	"testing"

	"github.com/larder-dev/larder/internal/image"
)

func readRegistries(t *testing.T, content string) *image.Registries {
	t.Helper()
	registries, err := image.ReadRegistries([]byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return registries
}
