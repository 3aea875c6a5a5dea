package fakeaws

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// maxTagged is how many resources one call tags:
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html
const maxTagged = 1000

func (s *Server) createTags(region string, in *ec2.CreateTagsInput) (any, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	if len(in.Tags) == 0 {
		return nil, ec2Error("MissingParameter", "The request must contain the parameter Tag")
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	targets, err := s.tagged(region, in.Resources)
	if err != nil {
		return nil, err
	}
	for _, target := range targets {
		all := maps.Clone(target.tags)
		maps.Copy(all, tags)
		if len(all) > maxTags {
			return nil, ec2Error("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
		}
	}
	for _, target := range targets {
		maps.Copy(target.tags, tags)
	}
	return done("CreateTags"), nil
}

func (s *Server) deleteTags(region string, in *ec2.DeleteTagsInput) (any, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	targets, err := s.tagged(region, in.Resources)
	if err != nil {
		return nil, err
	}
	for _, target := range targets {
		if len(in.Tags) == 0 {
			clear(target.tags)
		}
		for _, tag := range in.Tags {
			// A key alone deletes whatever its value is, a key and a value only that value.
			if tag.Value == nil || target.tags[aws.ToString(tag.Key)] == *tag.Value {
				delete(target.tags, aws.ToString(tag.Key))
			}
		}
	}
	return done("DeleteTags"), nil
}

// tagged returns the resources to tag, which are snapshots here. It is called with the lock held.
func (s *Server) tagged(region string, ids []string) ([]*snapshot, error) {
	if len(ids) == 0 {
		return nil, ec2Error("MissingParameter", "The request must contain the parameter ResourceId")
	}
	if len(ids) > maxTagged {
		return nil, ec2Error("InvalidParameterValue", "%d resources are more than %d.", len(ids), maxTagged)
	}
	var targets []*snapshot
	for _, id := range ids {
		if !strings.HasPrefix(id, "snap-") {
			return nil, unmodelled("tags of %s", id)
		}
		if !snapshotID.MatchString(id) {
			return nil, ec2Error("InvalidID", "The ID '%s' is not valid", id)
		}
		target, err := s.ours(region, id)
		if err != nil {
			return nil, err
		}
		targets = append(targets, target)
	}
	return targets, nil
}

// tagsOf checks a request's tags.
func tagsOf(given []types.Tag) (map[string]string, error) {
	tags := map[string]string{}
	for _, tag := range given {
		key, value := aws.ToString(tag.Key), aws.ToString(tag.Value)
		_, twice := tags[key]
		switch {
		case key == "" || len(key) > maxTagKey:
			return nil, ec2Error("InvalidParameterValue", "Value ( %s ) for parameter key is invalid. Tag key must have 1 to %d characters", key, maxTagKey)
		case len(value) > maxTagValue:
			return nil, ec2Error("InvalidParameterValue", "Value ( %s ) for parameter value is invalid. Tag value exceeds the maximum length of %d characters", value, maxTagValue)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, ec2Error("InvalidParameterValue", "Value ( %s ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for internal use", key)
		case twice:
			return nil, ec2Error("InvalidParameterValue", "Duplicate tag key '%s' specified.", key)
		}
		tags[key] = value
	}
	if len(tags) > maxTags {
		return nil, ec2Error("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
	}
	return tags, nil
}

// specifiedTags are the tags of a resource that is about to be made.
func specifiedTags(specifications []types.TagSpecification, kind types.ResourceType) (map[string]string, error) {
	var given []types.Tag
	for _, specification := range specifications {
		if specification.ResourceType != kind {
			return nil, ec2Error("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", specification.ResourceType)
		}
		given = append(given, specification.Tags...)
	}
	return tagsOf(given)
}

func tagAnswers(tags map[string]string) []tagAnswer {
	var answers []tagAnswer
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		answers = append(answers, tagAnswer{Key: key, Value: tags[key]})
	}
	return answers
}
