package fakeaws

import "testing"

func TestCloseDropsBlocks(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.blocks.hold(digest{1}, make([]byte, blockSize)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if kept := len(s.blocks.memory); kept != 0 {
		t.Errorf("a closed server has %d blocks in memory", kept)
	}
}
