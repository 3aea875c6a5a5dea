package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/distribution/reference"
)

const (
	// tagsPerPage is what is asked for, and the most that ECR gives (maxResults of its ListImages):
	// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ListImages.html
	tagsPerPage = 1000
	// maxTags bounds what a repository may make us hold: at 128 bytes, a tag's longest, 13 MB. It is ten times the
	// images that ECR keeps in a repository by default:
	// https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
	maxTags = 100_000
	// maxTagPages lets pages of 100 tags, as registries send that do not heed the number, still reach maxTags.
	maxTagPages = 1000
	// maxTagPageBytes lets a registry send all tags at once: maxTags of them at 128 bytes, with quotes and commas.
	maxTagPageBytes = 16 << 20
)

// Tags lists a repository's tags in the registry's order; a tag or digest behind the name is not looked at. The
// registry is asked before its mirrors, since a mirror that fills as images are pulled knows those tags alone; the
// mirrors are asked if the registry cannot be reached. Errors are as Resolve's.
func (c *Client) Tags(ctx context.Context, repository string) ([]string, error) {
	parsed, err := ParseReference(repository)
	if err != nil {
		return nil, err
	}
	source, err := c.source(parsed.Repository)
	if err != nil {
		return nil, err
	}
	tags, err := source.origin.listTags(ctx, parsed.Repository)
	if ReasonOf(err) != Unreachable {
		return tags, err
	}
	for _, mirror := range source.mirrors {
		tags, mirrorErr := mirror.listTags(ctx, parsed.Repository)
		if mirrorErr == nil || ctx.Err() != nil {
			return tags, mirrorErr
		}
		c.passOver(ctx, mirror, mirrorErr)
	}
	return nil, err
}

func (s *session) listTags(ctx context.Context, repository string) ([]string, error) {
	var tags []string
	address := fmt.Sprintf("%s?n=%d", s.address("tags/list"), tagsPerPage)
	for range maxTagPages {
		read, err := s.read(ctx, repository, address, maxTagPageBytes)
		if err != nil {
			return nil, err
		}
		if len(read.content) > maxTagPageBytes {
			return nil, s.fail(repository, RegistryError, fmt.Errorf("a page of its tags has more than %d bytes", maxTagPageBytes))
		}
		page, err := parseTags(read.content, maxTags-len(tags))
		if errors.Is(err, errTooMany) {
			return nil, s.fail(repository, Unsupported, fmt.Errorf("its repository has more than %d tags: name one instead of a tag policy", maxTags))
		}
		if err != nil {
			return nil, s.fail(repository, RegistryError, err)
		}
		tags = append(tags, page...)
		if address, err = nextPage(read); err != nil {
			return nil, s.fail(repository, RegistryError, err)
		}
		if address == "" {
			return tags, nil
		}
	}
	return nil, s.fail(repository, RegistryError, fmt.Errorf("its list of tags does not end after %d pages", maxTagPages))
}

// parseTags leaves out what is no tag, which nobody could pull.
func parseTags(content []byte, most int) ([]string, error) {
	var page struct {
		Tags json.RawMessage `json:"tags"`
	}
	if json.Unmarshal(content, &page) != nil {
		return nil, errors.New("its list of tags is not JSON")
	}
	listed, err := decodeList[string](page.Tags, most)
	if errors.Is(err, errTooMany) {
		return nil, err
	}
	if err != nil {
		return nil, errors.New("its list of tags is not a list of texts")
	}
	tags := listed[:0]
	for _, tag := range listed {
		if match := reference.TagRegexp.FindString(tag); match != "" && match == tag {
			tags = append(tags, tag)
		}
	}
	return tags, nil
}

// nextPage returns the next page's address, empty after the last page. The list stays with the registry that began
// it, whose credentials go along.
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags
func nextPage(page answer) (string, error) {
	link := page.header.Get("Link")
	if link == "" {
		return "", nil
	}
	target, _, closed := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	next, err := url.Parse(target)
	if err != nil || !closed {
		return "", errors.New("its list of tags goes on at an address that is none")
	}
	next = page.address.ResolveReference(next)
	if next.Scheme != page.address.Scheme || next.Host != page.address.Host {
		return "", errors.New("its list of tags goes on at another host")
	}
	return next.String(), nil
}
