package registry

import (
	"slices"
	"testing"
	"time"
)

func TestDelaysDependOnSeedAndRequestOnly(t *testing.T) {
	draw := func(seed uint64, asked ...string) []time.Duration {
		server := &Server{options: Options{MaxDelay: time.Second, Seed: seed}, seen: map[string]int{}}
		var delays []time.Duration
		for _, request := range asked {
			delays = append(delays, server.delay(request))
		}
		return delays
	}
	one := draw(1, "GET /a", "GET /b", "GET /a")
	other := draw(1, "GET /b", "GET /a", "GET /a")
	if one[0] != other[1] || one[1] != other[0] || one[2] != other[2] {
		t.Errorf("the order of arrival changed the delays: %v and %v", one, other)
	}
	if one[0] == one[2] {
		t.Errorf("the same request waits %v each time", one[0])
	}
	if slices.Equal(one, draw(2, "GET /a", "GET /b", "GET /a")) {
		t.Errorf("another seed gave the same delays %v", one)
	}
}
