package fakeaws

import (
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// maxFilterValues bounds one filter: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
const maxFilterValues = 200

func checkFilters(filters []types.Filter) error {
	for _, filter := range filters {
		if len(filter.Values) > maxFilterValues {
			return ec2Error("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", maxFilterValues)
		}
	}
	return nil
}

// matches tells whether one of the filter's values matches one of these.
func matches(filter types.Filter, values ...string) bool {
	return slices.ContainsFunc(filter.Values, func(pattern string) bool {
		return slices.ContainsFunc(values, wildcard(pattern).MatchString)
	})
}

// wildcard reads a filter's value: * is any text, ? any character, a backslash takes the next one literally.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
func wildcard(pattern string) *regexp.Regexp {
	var expression strings.Builder
	expression.WriteString(`(?s)^`)
	escaped := false
	for _, character := range pattern {
		switch {
		case escaped:
			expression.WriteString(regexp.QuoteMeta(string(character)))
			escaped = false
		case character == '\\':
			escaped = true
		case character == '*':
			expression.WriteString(`.*`)
		case character == '?':
			expression.WriteString(`.`)
		default:
			expression.WriteString(regexp.QuoteMeta(string(character)))
		}
	}
	expression.WriteString(`$`)
	return regexp.MustCompile(expression.String())
}
