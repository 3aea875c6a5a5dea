package main

import (
	"bytes"
	"testing"
	"time"
)

func TestTerminalShowsOneLineOfProgress(t *testing.T) {
	cases := map[string]struct {
		reason string
		last   int64
		want   string
	}{
		"to the end": {"the last line stays", 2048, "\r\x1b[Kread 1.0 KiB of 2.0 KiB\r\x1b[Kread 2.0 KiB of 2.0 KiB\n"},
		"broken off": {"the error gets a line of its own", 1500, "\r\x1b[Kread 1.0 KiB of 2.0 KiB\n"},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			var out, err bytes.Buffer
			report := &textReporter{streams: streams{out: &out, err: &err}, terminal: true, pace: pace{interval: time.Hour}}
			report.progress(1024, 2048)
			report.progress(1023, 2048) // a goroutine that was overtaken
			report.progress(test.last, 2048)
			report.failed()
			if err.String() != test.want || out.Len() != 0 {
				t.Errorf("%s: %q, and %q as result, want %q", test.reason, err.String(), out.String(), test.want)
			}
		})
	}
}

func TestHumanBytes(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1024: "1.0 KiB", 3 << 29: "1.5 GiB", 1 << 60: "1048576.0 TiB"} {
		if got := humanBytes(bytes); got != want {
			t.Errorf("%d is %q, want %q", bytes, got, want)
		}
	}
}
