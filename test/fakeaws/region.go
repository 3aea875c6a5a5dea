package fakeaws

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// defaultRegions are enabled in every account and cannot be disabled.
// https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html
var defaultRegions = []string{
	"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1",
	"eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
}

// optInRegions are enabled in the accounts that ask for them; the source is the same.
var optInRegions = []string{
	"af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7",
	"ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1", "me-central-1", "me-south-1", "mx-central-1",
}

// regionOf returns the Region that a call is for. All Regions share one endpoint, so that is the one in the
// scope of its signature, and empty without a signature.
func regionOf(r *http.Request) string {
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	scope := strings.Split(credential, "/")
	if len(scope) < 3 {
		return ""
	}
	return scope[2]
}

// enabled tells whether our account may use a Region.
func (s *Server) enabled(region string) bool {
	return region == s.options.Region || slices.Contains(defaultRegions, region) || slices.Contains(s.options.Regions, region)
}

type describeRegionsAnswer struct {
	XMLName   xml.Name       `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeRegionsResponse"`
	RequestID string         `xml:"requestId"`
	Regions   []regionAnswer `xml:"regionInfo>item"`
}

type regionAnswer struct {
	Name        string `xml:"regionName"`
	Endpoint    string `xml:"regionEndpoint"`
	OptInStatus string `xml:"optInStatus"`
}

func (s *Server) describeRegions(_ string, in *ec2.DescribeRegionsInput) (any, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	known := slices.Sorted(slices.Values(slices.Concat(defaultRegions, optInRegions)))
	for _, name := range in.RegionNames {
		if !slices.Contains(known, name) {
			return nil, ec2Error("InvalidParameterValue", "Invalid region provided: [%s]", name)
		}
	}
	if err := checkFilters(in.Filters); err != nil {
		return nil, err
	}
	result := describeRegionsAnswer{RequestID: "fakeaws"}
	for _, name := range known {
		asked := slices.Contains(in.RegionNames, name) ||
			len(in.RegionNames) == 0 && (aws.ToBool(in.AllRegions) || s.enabled(name))
		described := regionAnswer{Name: name, Endpoint: "ec2." + name + ".amazonaws.com", OptInStatus: s.optInStatus(name)}
		passes, err := described.passes(in.Filters)
		if err != nil {
			return nil, err
		}
		if asked && passes {
			result.Regions = append(result.Regions, described)
		}
	}
	return result, nil
}

func (s *Server) optInStatus(region string) string {
	switch {
	case slices.Contains(defaultRegions, region):
		return "opt-in-not-required"
	case s.enabled(region):
		return "opted-in"
	default:
		return "not-opted-in"
	}
}

func (r regionAnswer) passes(filters []types.Filter) (bool, error) {
	for _, filter := range filters {
		value := ""
		switch name := aws.ToString(filter.Name); name {
		case "opt-in-status":
			value = r.OptInStatus
		case "region-name":
			value = r.Name
		default:
			return false, unmodelled("DescribeRegions: filter %s", name)
		}
		if !matches(filter, value) {
			return false, nil
		}
	}
	return true, nil
}
