package tree

import "time"

// Time is a moment to the nanosecond, as ext4 can keep it: from 1901 to 2446. Its seconds since 1970 are the upper 34
// bits, its nanoseconds the lower 30. The zero Time is the beginning of 1970.
type Time uint64

// What 34 bits of seconds stand for (Linux Documentation/filesystems/ext4/inodes.rst, "Inode Timestamps").
const (
	nanosecondBits = 30
	earliestSecond = -1 << 31
	latestSecond   = 1<<34 - 1<<31 - 1
)

// NewTime returns a moment; one that ext4 cannot keep becomes the nearest whole second that it can, as in the kernel.
func NewTime(t time.Time) Time {
	seconds, nanoseconds := t.Unix(), t.Nanosecond()
	if seconds < earliestSecond {
		seconds, nanoseconds = earliestSecond, 0
	} else if seconds > latestSecond {
		seconds, nanoseconds = latestSecond, 0
	}
	return Time(uint64(seconds)<<nanosecondBits | uint64(nanoseconds))
}

// Unix returns the seconds since 1970 and the nanoseconds.
func (t Time) Unix() (seconds int64, nanoseconds uint32) {
	seconds = int64(t >> nanosecondBits)
	if seconds > latestSecond {
		seconds -= 1 << 34
	}
	return seconds, uint32(t & (1<<nanosecondBits - 1))
}

// Time returns the moment in UTC.
func (t Time) Time() time.Time {
	seconds, nanoseconds := t.Unix()
	return time.Unix(seconds, int64(nanoseconds)).UTC()
}
