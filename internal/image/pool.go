package image

import "time"

// maxIdle is how long a session is kept that nobody asks for: longer than images are checked apart, so that a check
// costs no new handshake, and short enough for repositories that are gone not to pile up over weeks.
const maxIdle = 48 * time.Hour

// sessionKey tells sessions apart. A repository that is read both for itself and as a mirror has two, since only the
// first repeats what failed.
type sessionKey struct {
	host, path string
	mirror     bool
}

func (c *Client) session(key sessionKey) (*session, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	now := c.options.Clock.Now()
	known := c.sessions[key]
	if known == nil {
		made, err := newSession(c, key)
		if err != nil {
			return nil, err
		}
		c.dropIdle(now)
		c.sessions[key], known = made, made
	}
	known.used = now
	return known, nil
}

// dropIdle runs only when a session is added: without new ones nothing piles up.
func (c *Client) dropIdle(now time.Time) {
	for key, session := range c.sessions {
		if now.Sub(session.used) > maxIdle {
			delete(c.sessions, key)
		}
	}
}
