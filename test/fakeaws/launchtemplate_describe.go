package fakeaws

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// maxTemplatesPerPage is for templates and for their versions; so many come when none is asked for.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplates.html
const maxTemplatesPerPage = 200

func (s *Server) describeLaunchTemplates(region string, in *ec2.DescribeLaunchTemplatesInput) (any, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	named := len(in.LaunchTemplateIds) + len(in.LaunchTemplateNames)
	if named > 0 && in.MaxResults != nil {
		return nil, ec2Error("InvalidParameterCombination", "The parameter LaunchTemplateIds or LaunchTemplateNames cannot be used with the parameter MaxResults")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range in.LaunchTemplateIds {
		if _, err := s.template(region, &in.LaunchTemplateIds[i], nil); err != nil {
			return nil, err
		}
	}
	for i := range in.LaunchTemplateNames {
		if _, err := s.template(region, nil, &in.LaunchTemplateNames[i]); err != nil {
			return nil, err
		}
	}
	var chosen []launchTemplateAnswer
	for _, one := range s.templates {
		asked := named == 0 || slices.Contains(in.LaunchTemplateIds, one.id) || slices.Contains(in.LaunchTemplateNames, one.name)
		if one.region == region && asked {
			chosen = append(chosen, s.describeTemplate(one))
		}
	}
	part, next, err := templatePage(chosen, "templates", in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return describeLaunchTemplatesAnswer{RequestID: "fakeaws", Templates: part, NextToken: next}, nil
}

func (s *Server) describeLaunchTemplateVersions(region string, in *ec2.DescribeLaunchTemplateVersionsInput) (any, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var chosen []templateVersionAnswer
	var err error
	if in.LaunchTemplateId == nil && in.LaunchTemplateName == nil {
		chosen, err = s.versionsOfAll(region, in.Versions)
	} else {
		chosen, err = s.versionsOfOne(region, in)
	}
	if err != nil {
		return nil, err
	}
	part, next, err := templatePage(chosen, "versions", in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return describeLaunchTemplateVersionsAnswer{RequestID: "fakeaws", Versions: part, NextToken: next}, nil
}

// versionsOfAll are the latest and default versions of all templates, as far as asked for.
func (s *Server) versionsOfAll(region string, names []string) ([]templateVersionAnswer, error) {
	if len(names) == 0 {
		return nil, ec2Error("MissingParameter", "To describe all launch templates, specify the versions %s, %s, or both.", latestVersion, defaultVersion)
	}
	for _, name := range names {
		if name != latestVersion && name != defaultVersion {
			return nil, ec2Error("InvalidParameterCombination", "Without a launch template, versions can be %s and %s, not %s.", latestVersion, defaultVersion, name)
		}
	}
	var chosen []templateVersionAnswer
	for _, of := range s.templates {
		for _, one := range slices.Backward(of.versions) {
			latest := one == of.latest() && slices.Contains(names, latestVersion)
			standard := one.number == of.defaultVersion && slices.Contains(names, defaultVersion)
			if of.region == region && (latest || standard) {
				chosen = append(chosen, s.describeVersion(of, one))
			}
		}
	}
	return chosen, nil
}

// versionsOfOne are the versions of one template that are asked for, or all, the latest first.
func (s *Server) versionsOfOne(region string, in *ec2.DescribeLaunchTemplateVersionsInput) ([]templateVersionAnswer, error) {
	of, err := s.template(region, in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	asked := map[*templateVersion]bool{}
	for _, name := range in.Versions {
		one, err := of.version(name)
		if err != nil {
			return nil, err
		}
		asked[one] = true
	}
	var chosen []templateVersionAnswer
	for _, one := range slices.Backward(of.versions) {
		if len(in.Versions) == 0 || asked[one] {
			chosen = append(chosen, s.describeVersion(of, one))
		}
	}
	return chosen, nil
}

// templatePage returns one page of a list, and the token of the next page if there is one.
func templatePage[T any](all []T, use string, size *int32, next *string) ([]T, string, error) {
	if size == nil {
		size = aws.Int32(maxTemplatesPerPage)
	}
	if *size < 1 || *size > maxTemplatesPerPage {
		return nil, "", ec2Error("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value between 1 and %d.", *size, maxTemplatesPerPage)
	}
	part, after, ok := page(all, use, int(*size), next)
	if !ok {
		return nil, "", ec2Error("InvalidNextToken", "The token '%s' is invalid.", *next)
	}
	return part, after, nil
}

// page cuts a list; it returns false for a token that it did not make for this use.
func page[T any](all []T, use string, size int, next *string) (part []T, after string, ok bool) {
	start := 0
	if next != nil {
		given := parseToken(*next)
		if given.Use != use {
			return nil, "", false
		}
		// What the list was made of may have been deleted since.
		start = min(int(given.Index), len(all))
	}
	end := min(start+size, len(all))
	if end < len(all) {
		after = token{Use: use, Index: int32(end)}.String()
	}
	return all[start:end], after, true
}
