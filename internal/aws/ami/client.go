package ami

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/utils/clock"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

const (
	// remembered is how long an answer is used again. What it says of an AMI never changes; an AMI may only go.
	remembered = time.Hour
	// idsPerCall is the most values of a filter: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
	idsPerCall = 200
	// ownedByAmazon is the owner alias of AMIs that Amazon made:
	// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html
	ownedByAmazon = "amazon"
)

// Image is what EC2 says of an AMI.
type Image struct {
	// ID is the AMI's.
	ID string
	// RootDevice is the device that instances boot from, as in the AMI's block device mappings: "/dev/xvda".
	RootDevice string
	// RootGiB is the size of the root device's snapshot, below which no instance starts; 0 for an AMI whose root is not on
	// EBS.
	RootGiB int64
	// Name and Description are what its maker calls it.
	Name, Description string
	// Architecture is that of its instances by the words of container images: "amd64" or "arm64"; empty for another one.
	Architecture string
	// Amazon tells that Amazon made it, whoever asks.
	Amazon bool
}

// Client describes the AMIs of one Region. It is safe for concurrent use.
type Client struct {
	ec2   *ec2.Client
	clock clock.PassiveClock

	mu    sync.Mutex
	known map[string]known
}

type known struct {
	image Image
	until time.Time
}

// New returns a client for the configuration's Region, which remembers answers for an hour of the clock.
func New(cfg aws.Config, clock clock.PassiveClock) *Client {
	return &Client{ec2: ec2.NewFromConfig(larderaws.ForControl(cfg)), clock: clock, known: map[string]known{}}
}

// Describe returns those of the AMIs that there are in the Region, sorted by ID.
func (c *Client) Describe(ctx context.Context, ids []string) ([]Image, error) {
	found, unknown := c.remembered(ids)
	for part := range slices.Chunk(unknown, idsPerCall) {
		images, err := c.ask(ctx, part)
		if err != nil {
			return nil, fmt.Errorf("describing %d AMIs, %s among them: %w", len(part), part[0], err)
		}
		c.remember(images)
		found = append(found, images...)
	}
	slices.SortFunc(found, func(a, b Image) int { return strings.Compare(a.ID, b.ID) })
	return found, nil
}

// ask names the AMIs by a filter: of one that is named by its id and is not there, EC2 tells nothing but that.
func (c *Client) ask(ctx context.Context, ids []string) ([]Image, error) {
	var found []Image
	for pages := ec2.NewDescribeImagesPaginator(c.ec2, &ec2.DescribeImagesInput{
		Filters: []types.Filter{{Name: aws.String("image-id"), Values: ids}},
		// Nodes launch from a deprecated AMI as from any other.
		IncludeDeprecated: aws.Bool(true),
	}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, image := range page.Images {
			found = append(found, read(image))
		}
	}
	return found, nil
}

func read(image types.Image) Image {
	described := Image{
		ID:         aws.ToString(image.ImageId),
		RootDevice: aws.ToString(image.RootDeviceName),
		Name:       aws.ToString(image.Name), Description: aws.ToString(image.Description),
		Architecture: architectureOf(image.Architecture),
		Amazon:       aws.ToString(image.ImageOwnerAlias) == ownedByAmazon,
	}
	for _, device := range image.BlockDeviceMappings {
		if device.Ebs != nil && aws.ToString(device.DeviceName) == described.RootDevice {
			described.RootGiB = int64(aws.ToInt32(device.Ebs.VolumeSize))
		}
	}
	return described
}

func architectureOf(architecture types.ArchitectureValues) string {
	switch architecture {
	case types.ArchitectureValuesX8664:
		return "amd64"
	case types.ArchitectureValuesArm64:
		return "arm64"
	default:
		return ""
	}
}

// remembered returns what is known of the AMIs, and the ids of the others, each once.
func (c *Client) remembered(ids []string) (found []Image, unknown []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		if entry, isKnown := c.known[id]; isKnown && c.clock.Now().Before(entry.until) {
			found = append(found, entry.image)
		} else {
			unknown = append(unknown, id)
		}
	}
	return found, unknown
}

// remember also forgets what is too old, since AMIs come and go for as long as the operator runs.
func (c *Client) remember(images []Image) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	for id, entry := range c.known {
		if !now.Before(entry.until) {
			delete(c.known, id)
		}
	}
	for _, image := range images {
		c.known[image.ID] = known{image: image, until: now.Add(remembered)}
	}
}
