package image

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Order is the direction in which tags are compared: the last of the order is chosen.
type Order string

// The orders, as Flux spells them.
const (
	// Ascending chooses the greatest: Z of the letters, 9 of the digits.
	Ascending Order = "asc"
	// Descending chooses the least.
	Descending Order = "desc"
)

// maxPatternBytes bounds a pattern and an extract. A Go expression is matched in linear time, but what an extract
// makes of a tag grows with it.
const maxPatternBytes = 256

// signatureSuffix is that of cosign's signatures, which Flux's ImageRepository leaves out too (its exclusionList by
// default): one that is no number would end every numerical policy.
const signatureSuffix = ".sig"

// TagPolicy chooses one of a repository's tags with the meaning of Flux's ImagePolicy
// (https://fluxcd.io/flux/components/image/imagepolicies/). Exactly one of SemVer, Alphabetical and Numerical is set.
type TagPolicy struct {
	// SemVer is a range of semantic versions (github.com/Masterminds/semver), of which the highest is chosen. Tags
	// are versions of three parts, with or without a leading v; others are passed over, and so are prereleases
	// unless the range names one.
	SemVer string
	// Alphabetical compares tags as bytes.
	Alphabetical Order
	// Numerical compares tags as numbers, which all of them have to be.
	Numerical Order
	// Pattern is a Go regular expression that tags have to match somewhere; empty means all tags.
	Pattern string
	// Extract is what is compared instead of a tag, made of Pattern's groups: "$ts" or "$1". Empty means the tag.
	Extract string
}

// Select chooses a tag. Which one does not depend on the order of tags: of several that are equal, it is always the
// same one. Errors are *Error with the reason NoTagMatches or InvalidTagPolicy, and do not name the repository.
func (p TagPolicy) Select(tags []string) (string, error) {
	policy, err := p.compile()
	if err != nil {
		return "", err
	}
	var best candidate
	filtered, found := 0, false
	for _, tag := range tags {
		value, passed := policy.filter(tag)
		if !passed {
			continue
		}
		filtered++
		next, fits, err := policy.read(value)
		if err != nil {
			return "", &Error{Reason: NoTagMatches, Err: err}
		}
		if next.tag = tag; fits && (!found || policy.better(next, best)) {
			best, found = next, true
		}
	}
	if !found {
		return "", &Error{Reason: NoTagMatches, Err: fmt.Errorf("%d tags, of which %d passed the filter", len(tags), filtered)}
	}
	return best.tag, nil
}

// candidate is a tag and what is compared of it.
type candidate struct {
	tag, value string
	version    *semver.Version
	number     float64
}

// tagPolicy is a TagPolicy ready to be used.
type tagPolicy struct {
	versions   *semver.Constraints
	numerical  bool
	descending bool
	pattern    *regexp.Regexp
	extract    string
}

func (p TagPolicy) compile() (*tagPolicy, error) {
	compiled, err := p.compileChoice()
	if err == nil {
		err = p.compileFilter(compiled)
	}
	if err != nil {
		return nil, &Error{Reason: InvalidTagPolicy, Err: err}
	}
	return compiled, nil
}

func (p TagPolicy) compileChoice() (*tagPolicy, error) {
	chosen := 0
	for _, field := range []string{p.SemVer, string(p.Alphabetical), string(p.Numerical)} {
		if field != "" {
			chosen++
		}
	}
	if chosen != 1 {
		return nil, errors.New("it has to have exactly one of semver, alphabetical and numerical")
	}
	if p.SemVer != "" {
		versions, err := semver.NewConstraint(p.SemVer)
		if err != nil {
			return nil, fmt.Errorf("%.100q is not a range of semantic versions: write one such as >=1.2.0 <2.0.0, or 1.2.x", p.SemVer)
		}
		return &tagPolicy{versions: versions}, nil
	}
	order := cmp.Or(p.Alphabetical, p.Numerical)
	if order != Ascending && order != Descending {
		return nil, fmt.Errorf("%.100q is not an order: write %s or %s", order, Ascending, Descending)
	}
	return &tagPolicy{numerical: p.Numerical != "", descending: order == Descending}, nil
}

func (p TagPolicy) compileFilter(into *tagPolicy) error {
	if len(p.Pattern) > maxPatternBytes || len(p.Extract) > maxPatternBytes {
		return fmt.Errorf("the filter's pattern and extract may have %d bytes each", maxPatternBytes)
	}
	if p.Pattern == "" && p.Extract != "" {
		return errors.New("the filter has an extract, and no pattern to extract from")
	}
	if p.Pattern == "" {
		return nil
	}
	pattern, err := regexp.Compile(p.Pattern)
	if err != nil {
		return fmt.Errorf("the filter's pattern is no Go regular expression: %w", err)
	}
	into.pattern, into.extract = pattern, p.Extract
	return nil
}

// filter returns what is compared of a tag, and whether the tag is looked at.
func (p *tagPolicy) filter(tag string) (value string, passed bool) {
	if strings.HasSuffix(tag, signatureSuffix) {
		return "", false
	}
	if p.pattern == nil {
		return tag, true
	}
	groups := p.pattern.FindStringSubmatchIndex(tag)
	if groups == nil {
		return "", false
	}
	if p.extract == "" {
		return tag, true
	}
	return string(p.pattern.ExpandString(nil, p.extract, tag, groups)), true
}

// read tells whether a value can be chosen. One that is no number is an error, as in Flux.
func (p *tagPolicy) read(value string) (read candidate, fits bool, err error) {
	read.value = value
	switch {
	case p.versions != nil:
		version, notOne := semver.StrictNewVersion(strings.TrimPrefix(value, "v"))
		read.version = version
		return read, notOne == nil && p.versions.Check(version), nil
	case p.numerical:
		if read.number, err = strconv.ParseFloat(value, 64); err != nil || math.IsNaN(read.number) {
			return read, false, fmt.Errorf("%.128q is not a number: leave such tags out by filterTags", value)
		}
	}
	return read, true, nil
}

// better tells whether a candidate is chosen before another.
func (p *tagPolicy) better(a, b candidate) bool {
	if a.value == b.value {
		return a.tag > b.tag // different tags from which the same was extracted
	}
	if p.versions != nil {
		order := a.version.Compare(b.version)
		return order > 0 || order == 0 && a.value < b.value // 1.0.0 before v1.0.0
	}
	order := strings.Compare(a.value, b.value)
	if p.numerical {
		// Beyond the 15 digits that a float64 holds, as times in nanoseconds are, the digits themselves decide.
		order = cmp.Or(cmp.Compare(a.number, b.number), order)
	}
	if p.descending {
		order = -order
	}
	return order > 0
}
