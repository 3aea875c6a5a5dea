package ext4

import "math/bits"

// hashSeed is the superblock's, of which directories' hashes depend.
type hashSeed [16]byte

const (
	// hashHalfMD4 is the number of the hash in the superblock and in indexes (DX_HASH_HALF_MD4).
	hashHalfMD4 = 1
	// hashSignedChars is the superblock's flag for names hashed as signed characters (EXT2_FLAGS_SIGNED_HASH), which
	// mke2fs sets on x86. All kernels follow it, so that arm64 nodes find the same names.
	hashSignedChars = 1

	hashedBytes = 32
	hashEnd     = 0xFFFFFFFE // never a name's hash: a reader's position at the end of a directory
)

// hash returns a name's place in an indexed directory, an even number (ext4fs_dirhash in Linux's fs/ext4/hash.c).
func (seed hashSeed) hash(name string) uint32 {
	state := [4]uint32{0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476}
	if seed != (hashSeed{}) {
		for i := range state {
			state[i] = le.Uint32(seed[i*4:])
		}
	}
	for len(name) > 0 {
		words := nameWords(name)
		halfMD4(&state, &words)
		name = name[min(hashedBytes, len(name)):]
	}
	hash := state[1] &^ 1
	if hash == hashEnd {
		hash -= 2
	}
	return hash
}

// nameWords packs the first 32 bytes of a name, each as a signed number added to those before it, and fills up
// with the length of what is left of the name.
func nameWords(name string) (words [hashedBytes / 4]uint32) {
	fill := uint32(len(name)) * 0x01010101
	for i := range words {
		word := fill
		for j := i * 4; j < min(i*4+4, len(name)); j++ {
			word = word<<8 + uint32(int8(name[j]))
		}
		words[i] = word
	}
	return words
}

// halfMD4Rounds are MD4's three rounds with half of the steps: the order of words, the shifts and the constant.
var halfMD4Rounds = [3]struct {
	words  [8]int
	shifts [4]int
	add    uint32
}{
	{words: [8]int{0, 1, 2, 3, 4, 5, 6, 7}, shifts: [4]int{3, 7, 11, 19}, add: 0},
	{words: [8]int{1, 3, 5, 7, 0, 2, 4, 6}, shifts: [4]int{3, 5, 9, 13}, add: 0x5A827999},
	{words: [8]int{3, 7, 2, 6, 1, 5, 0, 4}, shifts: [4]int{3, 9, 11, 15}, add: 0x6ED9EBA1},
}

func halfMD4(state *[4]uint32, words *[8]uint32) {
	a, b, c, d := state[0], state[1], state[2], state[3]
	for round, r := range &halfMD4Rounds {
		for step, word := range r.words {
			var mixed uint32
			switch round {
			case 0:
				mixed = d ^ b&(c^d)
			case 1:
				mixed = b&c + (b^c)&d
			case 2:
				mixed = b ^ c ^ d
			}
			a, b, c, d = d, bits.RotateLeft32(a+mixed+words[word]+r.add, r.shifts[step%4]), b, c
		}
	}
	state[0] += a
	state[1] += b
	state[2] += c
	state[3] += d
}
