package ebs

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// RegionEnabled tells whether our account may use a Region: opt-in Regions must be enabled first, and until then they
// know nothing of our credentials. AWS refuses a name that is no Region's, as an invalid parameter.
func (c *Client) RegionEnabled(ctx context.Context, region string) (bool, error) {
	answer, err := c.ec2.DescribeRegions(ctx, &ec2.DescribeRegionsInput{RegionNames: []string{region}})
	if err != nil {
		return false, fmt.Errorf("asking whether Region %s is enabled: %w", region, err)
	}
	for _, found := range answer.Regions {
		if aws.ToString(found.RegionName) == region {
			return aws.ToString(found.OptInStatus) != "not-opted-in", nil
		}
	}
	return false, nil
}
