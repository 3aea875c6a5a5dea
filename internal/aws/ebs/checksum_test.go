package ebs

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

// The expected value is that of
//
//	(printf a | sha256sum; printf b | sha256sum; printf c | sha256sum) | cut -c1-64 | xxd -r -p | sha256sum
func TestLinearChecksum(t *testing.T) {
	sums := map[int64][sha256.Size]byte{
		1 << 20: sha256.Sum256([]byte("c")),
		0:       sha256.Sum256([]byte("a")),
		9:       sha256.Sum256([]byte("b")),
	}
	got := linearChecksum(sums)
	if want := "3a050f1d08fb8581d3d72ae727651e981043de0d6ca8e744328758f716602beb"; hex.EncodeToString(got[:]) != want {
		t.Errorf("checksum %x, want %s", got, want)
	}
}

func TestClientTokenFitsAndDependsOnMapContentOnly(t *testing.T) {
	one := StartInput{VolumeSize: 8, Tags: map[string]string{"a": "1", "b": "2", "c": "3"}, Attempt: 1}
	token, err := one.clientToken()
	if err != nil {
		t.Fatal(err)
	}
	if len(token) > 64 {
		t.Errorf("token %s has %d characters, AWS takes 64", token, len(token))
	}
	for range 20 {
		same := StartInput{VolumeSize: 8, Tags: map[string]string{"c": "3", "b": "2", "a": "1"}, Attempt: 1}
		if again, err := same.clientToken(); err != nil || again != token {
			t.Fatalf("equal input has the tokens %s and %s (%v)", token, again, err)
		}
	}
}
