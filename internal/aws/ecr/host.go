package ecr

import "regexp"

// Hosts of ECR's private registries, and the Region that each names: IPv4-only and dual-stack, with and without
// FIPS, in AWS's commercial, GovCloud and China partitions.
// https://docs.aws.amazon.com/general/latest/gr/ecr.html
var privateHosts = []*regexp.Regexp{
	regexp.MustCompile(`^[0-9]{12}\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$`),
	regexp.MustCompile(`^[0-9]{12}\.dkr-ecr(?:-fips)?\.([a-z0-9-]+)\.on\.(?:aws|amazonwebservices\.com\.cn)$`),
}

// Hosts of ECR public; the second is its dual-stack name.
// https://docs.aws.amazon.com/AmazonECR/latest/public/public-ecr-requests.html
var publicHosts = []string{"public.ecr.aws", "ecr-public.aws.com"}

// regionOf returns the Region of a private registry's host, or false for any other host.
func regionOf(host string) (string, bool) {
	for _, pattern := range privateHosts {
		if match := pattern.FindStringSubmatch(host); match != nil {
			return match[1], true
		}
	}
	return "", false
}
