package fakeaws

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
)

// Limits of a standard parameter: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
const (
	// maxParameterName is in characters and counts the ARN before the name.
	maxParameterName   = 1011
	maxParameterLevels = 15
	// maxParameterValue is in bytes.
	maxParameterValue = 4096
	// maxParameterDescription is in characters.
	maxParameterDescription = 1024
	maxParameterTags        = 50
)

// Parameter is a String parameter of SSM's Parameter Store.
type Parameter struct {
	// Region defaults to the server's.
	Region      string
	Name        string
	Value       string
	Description string
	Tags        map[string]string
	// Version counts the values it has had, from 1.
	Version int64
	// Changed is when it got its value.
	Changed time.Time
}

// inRegion names a resource whose name is unique within a Region only.
type inRegion struct{ region, name string }

// AddParameter makes a parameter as it is, reserved names like those below /aws/service too, or replaces it.
func (s *Server) AddParameter(parameter Parameter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if parameter.Region == "" {
		parameter.Region = s.options.Region
	}
	if parameter.Version == 0 {
		parameter.Version = 1
	}
	if parameter.Changed.IsZero() {
		parameter.Changed = s.options.Clock.Now()
	}
	parameter.Tags = maps.Clone(parameter.Tags)
	s.parameters[inRegion{parameter.Region, parameter.Name}] = &parameter
}

// Parameter returns a parameter of the server's own Region.
func (s *Server) Parameter(name string) (Parameter, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.parameters[inRegion{s.options.Region, name}]
	if !ok {
		return Parameter{}, false
	}
	result := *found
	result.Tags = maps.Clone(found.Tags)
	return result, true
}

func (s *Server) parameterARN(region, name string) string {
	return fmt.Sprintf("arn:aws:ssm:%s:%s:parameter/%s", region, s.options.AccountID, strings.TrimPrefix(name, "/"))
}

func (s *Server) getParameter(region string, in *ssm.GetParameterInput) (smithy.Serializable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := aws.ToString(in.Name)
	if strings.Contains(name, ":") {
		return nil, unmodelled("GetParameter: %s names a version, a label or an ARN", name)
	}
	found, ok := s.parameters[inRegion{region, name}]
	if !ok {
		return nil, refused("ParameterNotFound", "")
	}
	return &ssm.GetParameterOutput{Parameter: &types.Parameter{
		ARN:              aws.String(s.parameterARN(region, name)),
		DataType:         aws.String("text"),
		LastModifiedDate: aws.Time(found.Changed),
		Name:             in.Name,
		Type:             types.ParameterTypeString,
		Value:            aws.String(found.Value),
		Version:          found.Version,
	}}, nil
}

func (s *Server) putParameter(region string, in *ssm.PutParameterInput) (smithy.Serializable, error) {
	if err := s.checkParameter(region, in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := inRegion{region, aws.ToString(in.Name)}
	found, exists := s.parameters[key]
	switch {
	case !exists && in.Type == "":
		return nil, refused("ValidationException", "A parameter type is required when you create a parameter.")
	case exists && !aws.ToBool(in.Overwrite):
		return nil, refused("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	case !exists:
		found = &Parameter{Region: region, Name: key.name, Tags: map[string]string{}}
		s.parameters[key] = found
	}
	for _, tag := range in.Tags {
		found.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	if in.Description != nil {
		found.Description = *in.Description
	}
	found.Value = aws.ToString(in.Value)
	found.Version++
	found.Changed = s.options.Clock.Now()
	return &ssm.PutParameterOutput{Tier: types.ParameterTierStandard, Version: found.Version}, nil
}

var (
	parameterName     = regexp.MustCompile(`^[a-zA-Z0-9_.\-/]+$`)
	reservedParameter = regexp.MustCompile(`(?i)^/?(aws|ssm)`)
)

// checkParameter refuses what no parameter of ours may be, in words like those that AWS uses.
func (s *Server) checkParameter(region string, in *ssm.PutParameterInput) error {
	name, value := aws.ToString(in.Name), aws.ToString(in.Value)
	if err := s.checkParameterName(region, name); err != nil {
		return err
	}
	switch {
	case in.Type != "" && in.Type != types.ParameterTypeString:
		return unmodelled("PutParameter: type %s", in.Type)
	case len(in.Tags) > 0 && aws.ToBool(in.Overwrite):
		return refused("ValidationException", "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
	case value == "":
		return refused("ValidationException", "The value is empty.")
	case len(value) > maxParameterValue:
		return refused("ValidationException", "Standard tier parameters support a maximum parameter value of %d characters.", maxParameterValue)
	case strings.Contains(value, "{{"):
		return refused("ValidationException", "Parameter value can't nest another parameter. Do not use \"{{}}\" in the value.")
	case len(aws.ToString(in.Description)) > maxParameterDescription:
		return refused("ValidationException", "The description is longer than %d characters.", maxParameterDescription)
	}
	return checkParameterTags(in.Tags)
}

func (s *Server) checkParameterName(region, name string) error {
	hierarchy := strings.HasPrefix(name, "/")
	levels := strings.Split(strings.TrimPrefix(name, "/"), "/")
	switch {
	case !parameterName.MatchString(name):
		return refused("ValidationException", "Parameter name: %q must be a mix of letters, numbers and the symbols .-_, with slashes between levels.", name)
	case hierarchy && strings.HasPrefix(strings.ToLower(name), "/aws/"):
		return refused("AccessDeniedException", "No access to reserved parameter name: %s.", name)
	case reservedParameter.MatchString(name):
		return refused("ValidationException", "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).")
	case !hierarchy && len(levels) > 1:
		return refused("ValidationException", "Parameter name must be a fully qualified name.")
	case slices.Contains(levels, ""):
		return refused("ValidationException", "Parameter name: %q has an empty level.", name)
	case len(levels) > maxParameterLevels:
		return refused("HierarchyLevelLimitExceededException", "The hierarchy has %d levels, more than %d.", len(levels), maxParameterLevels)
	case len(s.parameterARN(region, name)) > maxParameterName:
		return refused("ValidationException", "The name is too long: with its ARN it has more than %d characters.", maxParameterName)
	}
	return nil
}

// checkParameterTags: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Tag.html
func checkParameterTags(tags []types.Tag) error {
	seen := map[string]bool{}
	for _, tag := range tags {
		key, value := aws.ToString(tag.Key), aws.ToString(tag.Value)
		switch {
		case key == "" || len(key) > 128 || len(value) > 256:
			return refused("ValidationException", "The tag %q is empty or too long.", key)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return refused("ValidationException", "The tag key %q begins with a reserved prefix.", key)
		case seen[key]:
			return refused("ValidationException", "The tag key %q comes twice.", key)
		}
		seen[key] = true
	}
	if len(tags) > maxParameterTags {
		return tooManyTags()
	}
	return nil
}

func tooManyTags() error {
	return refused("TooManyTagsError", "A parameter has at most %d tags.", maxParameterTags)
}

func (s *Server) deleteParameter(region string, in *ssm.DeleteParameterInput) (smithy.Serializable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := inRegion{region, aws.ToString(in.Name)}
	if _, ok := s.parameters[key]; !ok {
		return nil, refused("ParameterNotFound", "")
	}
	delete(s.parameters, key)
	return &ssm.DeleteParameterOutput{}, nil
}

func (s *Server) addTagsToResource(region string, in *ssm.AddTagsToResourceInput) (smithy.Serializable, error) {
	if err := checkParameterTags(in.Tags); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.taggedParameter(region, in.ResourceType, in.ResourceId)
	if err != nil {
		return nil, err
	}
	tags := maps.Clone(found.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	for _, tag := range in.Tags {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	if len(tags) > maxParameterTags {
		return nil, tooManyTags()
	}
	found.Tags = tags
	return &ssm.AddTagsToResourceOutput{}, nil
}

func (s *Server) listTagsForResource(region string, in *ssm.ListTagsForResourceInput) (smithy.Serializable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.taggedParameter(region, in.ResourceType, in.ResourceId)
	if err != nil {
		return nil, err
	}
	out := &ssm.ListTagsForResourceOutput{TagList: []types.Tag{}}
	for _, key := range slices.Sorted(maps.Keys(found.Tags)) {
		out.TagList = append(out.TagList, types.Tag{Key: aws.String(key), Value: aws.String(found.Tags[key])})
	}
	return out, nil
}

// taggedParameter finds the parameter whose tags a call is about. It is called with the lock held.
func (s *Server) taggedParameter(region string, kind types.ResourceTypeForTagging, name *string) (*Parameter, error) {
	if kind != types.ResourceTypeForTaggingParameter {
		return nil, unmodelled("the tags of a resource of type %s", kind)
	}
	found, ok := s.parameters[inRegion{region, aws.ToString(name)}]
	if !ok {
		return nil, refused("InvalidResourceId", "The resource ID isn't valid. Verify that you entered the correct ID and try again.")
	}
	return found, nil
}
