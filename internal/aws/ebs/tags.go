package ebs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Tags that say who made a snapshot and what is in it. Together they are how a snapshot is found again after
// a crash, so they are given in the very call that makes it.
const (
	// TagClusterUID is the UID of the cluster's kube-system namespace: only its own Larder may delete it.
	TagClusterUID = "larder.dev/cluster-uid"
	// TagObjectUID is the UID of the ImageCacheSnapshot.
	TagObjectUID = "larder.dev/object-uid"
	// TagRevision is the revision's number, in decimal.
	TagRevision = "larder.dev/revision"
	// TagContentHash is the hash over everything that decides the contents.
	TagContentHash = "larder.dev/content-hash"
	// TagAttempt is the number of the attempt at building the revision, in decimal.
	TagAttempt = "larder.dev/attempt"
	// TagObjectName is the name of the ImageCacheSnapshot, for people: the UID is what counts.
	TagObjectName = "larder.dev/object-name"
	// TagFormat, TagPlatforms and TagStoredBytes are what ContentsOf reads: whoever binds the snapshot in another cluster
	// knows no more of it.
	TagFormat      = "larder.dev/format"
	TagPlatforms   = "larder.dev/platforms"
	TagStoredBytes = "larder.dev/stored-bytes"
	// TagSourceID is on a copy the id of the snapshot that it was made of, in whatever Region that is.
	TagSourceID = "larder.dev/source-snapshot-id"
)

// Tags that a snapshot gets later in its life, by Tag. They outlive the object that would remember the same.
const (
	// TagSupersededAt is when another revision took its place, in RFC 3339.
	TagSupersededAt = "larder.dev/superseded-at"
	// TagCopiedTo names the Regions that it may have been copied to; package distribution writes it, and more like it
	// when one value does not hold all.
	TagCopiedTo = "larder.dev/copied-to"
	// TagExposed lists how others than this cluster may have come to use it: published, shared, copied.
	TagExposed = "larder.dev/exposed"
	// TagRetained says that its object was deleted and left it to people.
	TagRetained = "larder.dev/retained"
)

// Contents is what a snapshot's tags say of the volume. AWS shows them to the snapshot's owner only.
type Contents struct {
	// Format is the layout of the volume; empty when it is not known.
	Format string
	// Platforms are those whose images it holds, as "linux/amd64", sorted; nil when they are not known.
	Platforms []string
	// StoredBytes are in use on the volume; 0 when that is not known.
	StoredBytes int64
}

// longestTagValue is in characters: https://docs.aws.amazon.com/ebs/latest/APIReference/API_Tag.html
const longestTagValue = 255

// Tags returns what is known of the contents as tags, but for more platforms than fit. AWS takes letters, digits, spaces and _.:/=+-@ in all its services:
// https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
func (c Contents) Tags() map[string]string {
	tags := map[string]string{}
	if c.Format != "" {
		tags[TagFormat] = c.Format
	}
	platforms := strings.Join(slices.Compact(slices.Sorted(slices.Values(c.Platforms))), " ")
	if platforms != "" && len(platforms) <= longestTagValue {
		tags[TagPlatforms] = platforms
	}
	if c.StoredBytes > 0 {
		tags[TagStoredBytes] = strconv.FormatInt(c.StoredBytes, 10)
	}
	return tags
}

// ContentsOf reads what Tags wrote. A value that Tags does not write counts as not known.
func ContentsOf(tags map[string]string) Contents {
	found := Contents{Format: tags[TagFormat]}
	if platforms := strings.Fields(tags[TagPlatforms]); len(platforms) > 0 {
		found.Platforms = platforms
	}
	if stored, err := strconv.ParseInt(tags[TagStoredBytes], 10, 64); err == nil {
		found.StoredBytes = max(stored, 0)
	}
	return found
}

// Tag adds tags to a snapshot of our account, or gives the ones it has other values. AWS allows 50 in all, with
// keys of up to 127 and values of up to 255 characters.
func (c *Client) Tag(ctx context.Context, id string, tags map[string]string) error {
	if len(tags) == 0 {
		return nil
	}
	_, err := c.ec2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: ec2Tags(tags)})
	if err != nil {
		return fmt.Errorf("tagging snapshot %s: %w", id, err)
	}
	return nil
}

func ec2Tags(tags map[string]string) []types.Tag {
	var all []types.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		all = append(all, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return all
}
