package fakeaws

import (
	"net/http"
	"slices"
	"strings"
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
