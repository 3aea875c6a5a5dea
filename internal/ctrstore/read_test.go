package ctrstore

import (
	"bytes"
	stdcmp "cmp"
	"encoding/binary"
	"errors"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
)

func TestReadImagesReadsWhatWasWritten(t *testing.T) {
	contents := mustPlan(t, indexed("docker.io/library/a", "1", build("amd64", "x")), single("quay.io/b", "", build("", "y")))
	path, _ := writeDatabases(t, contents)
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadImages(path)
	if err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(contents.Images, got); difference != "" {
		t.Errorf("-want +got:\n%s", difference)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Error("reading changed the file")
	}
}

func TestReadImagesOfAnotherDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadImages(path); err == nil {
		t.Error("a database that is not containerd's was read")
	}
	if _, err := ReadImages(filepath.Join(t.TempDir(), "missing.db")); err == nil {
		t.Error("a missing file was read, or made")
	}
}

// TestReadImagesOfADamagedDatabase cuts and scrambles a database: an error is right, and so is luck, but not
// the end of the process.
func TestReadImagesOfADamagedDatabase(t *testing.T) {
	contents := mustPlan(t, indexed("docker.io/library/a", "1", build("amd64", "x")), single("quay.io/b", "", build("", "y")))
	path, _ := writeDatabases(t, contents)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewSource(1))
	failed := 0
	for size := 0; size < len(sound); size += pageSize {
		failed += readDamaged(t, sound[:size])
	}
	for range 100 {
		damaged := bytes.Clone(sound)
		// The first two pages have checksums; what is after them has none.
		for range 20 {
			damaged[2*pageSize+random.Intn(len(damaged)-2*pageSize)] = byte(random.Intn(256))
		}
		failed += readDamaged(t, damaged)
	}
	if failed == 0 {
		t.Error("no damage was ever noticed")
	}
}

// TestReadImagesOfACircle is about the one kind of damage that bbolt would follow for ever.
func TestReadImagesOfACircle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "circle.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: pageSize})
	if err != nil {
		t.Fatal(err)
	}
	var root uint64
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte(schemaVersion))
		for i := range 1000 { // more than a page has room for
			err = stdcmp.Or(err, b.Put([]byte(strconv.Itoa(i)), make([]byte, 100)))
		}
		return err
	})
	if err == nil {
		err = db.View(func(tx *bbolt.Tx) error {
			root = uint64(tx.Bucket([]byte(schemaVersion)).Root())
			return nil
		})
	}
	if err := stdcmp.Or(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The bucket's branch page leads back to itself.
	binary.LittleEndian.PutUint64(data[root*pageSize+pageHeader+8:], root)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadImages(path); !errors.Is(err, errCycle) {
		t.Errorf("got %v, want %v", err, errCycle)
	}
}

func readDamaged(t *testing.T, content []byte) int {
	t.Helper()
	path := filepath.Join(t.TempDir(), "damaged.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadImages(path); err != nil {
		return 1
	}
	return 0
}
