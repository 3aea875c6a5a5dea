package image

import (
	"context"
	"time"

	"github.com/go-logr/logr"
)

const (
	// unreachableRest keeps a hundred images from waiting one after the other for a mirror that is down.
	unreachableRest = time.Minute
	// mismatchRest is for a mirror that sent a layer's wrong bytes, which shows after its reader had them: the
	// next build has to get the layer elsewhere.
	mismatchRest = time.Hour
)

// source is where one repository is read: mirrors in the order of the configuration, then its own registry.
type source struct {
	client  *Client
	mirrors []*session
	origin  *session
}

func (c *Client) source(repository string) (*source, error) {
	host, path := splitRepository(repository)
	origin, err := c.session(sessionKey{host: host, path: path})
	if err != nil {
		return nil, err
	}
	found := &source{client: c, origin: origin}
	for _, mirror := range c.options.Registries.mirrors(origin.repository.RegistryStr()) {
		if c.rests(mirror.host) {
			continue
		}
		session, err := c.session(sessionKey{host: mirror.host, path: mirror.prefix + path, mirror: true})
		if err != nil {
			return nil, err
		}
		found.mirrors = append(found.mirrors, session)
	}
	return found, nil
}

// first asks the mirrors one after the other until one has the answer, and then the registry, whose answer or error
// is final.
func first[T any](ctx context.Context, from *source, ask func(*session) (T, error)) (T, error) {
	for _, mirror := range from.mirrors {
		answer, err := ask(mirror)
		if err == nil || ctx.Err() != nil {
			return answer, err
		}
		from.client.passOver(ctx, mirror, err)
	}
	return ask(from.origin)
}

// passOver notes that a mirror failed, which nobody sees otherwise while its registry works.
func (c *Client) passOver(ctx context.Context, mirror *session, err error) {
	logr.FromContextOrDiscard(ctx).V(1).Info("mirror passed over", "mirror", mirror.repository.Name(), "error", withoutSecrets(err.Error()))
	if ReasonOf(err) == Unreachable {
		c.rest(mirror.host, unreachableRest)
	}
}

func (c *Client) rest(host string, duration time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.resting[host] = c.options.Clock.Now().Add(duration)
}

func (c *Client) rests(host string) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.options.Clock.Now().Before(c.resting[host])
}
