package fakeaws

import (
	"encoding/xml"
	"maps"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// maxShares is how many accounts one call adds or removes:
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySnapshotAttribute.html
const maxShares = 500

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

func (s *Server) modifySnapshotAttribute(region string, in *ec2.ModifySnapshotAttributeInput) (any, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	add, remove, err := shares(in)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	target, err := s.ours(region, aws.ToString(in.SnapshotId))
	if err != nil {
		return nil, err
	}
	if key, ok := s.key(region, target.kmsKeyID); ok && key.Manager == ManagerAWS && len(add) > 0 {
		return nil, ec2Error("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")
	}
	for _, account := range add {
		target.sharedWith[account] = true
	}
	for _, account := range remove {
		delete(target.sharedWith, account)
	}
	return done("ModifySnapshotAttribute"), nil
}

// shares returns the accounts to add and to remove, in whichever of the two forms they are given.
func shares(in *ec2.ModifySnapshotAttributeInput) (add, remove []string, err error) {
	if in.Attribute != "" && in.Attribute != types.SnapshotAttributeNameCreateVolumePermission {
		return nil, nil, ec2Error("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Only createVolumePermission can be modified.", in.Attribute)
	}
	if len(in.GroupNames) > 0 {
		return nil, nil, unmodelled("ModifySnapshotAttribute: groups")
	}
	switch {
	case in.OperationType == types.OperationTypeAdd:
		add = in.UserIds
	case in.OperationType == types.OperationTypeRemove:
		remove = in.UserIds
	case in.OperationType != "" || len(in.UserIds) > 0:
		return nil, nil, ec2Error("InvalidParameterValue", "Value (%s) for parameter operationType is invalid.", in.OperationType)
	}
	if permission := in.CreateVolumePermission; permission != nil {
		for _, one := range slices.Concat(permission.Add, permission.Remove) {
			if one.Group != "" {
				return nil, nil, unmodelled("ModifySnapshotAttribute: groups")
			}
		}
		for _, one := range permission.Add {
			add = append(add, aws.ToString(one.UserId))
		}
		for _, one := range permission.Remove {
			remove = append(remove, aws.ToString(one.UserId))
		}
	}
	return add, remove, checkShares(add, remove)
}

func checkShares(add, remove []string) error {
	both := slices.Concat(add, remove)
	switch {
	case len(both) == 0:
		return ec2Error("InvalidParameterCombination", "No attributes specified.")
	case len(add) > 0 && len(remove) > 0:
		return ec2Error("InvalidParameterCombination", "Accounts are added or removed in one operation, not both.")
	case len(both) > maxShares:
		return ec2Error("InvalidParameterValue", "%d modifications are more than %d.", len(both), maxShares)
	}
	for _, account := range both {
		if !accountID.MatchString(account) {
			return ec2Error("InvalidParameterValue", "Value (%s) for parameter userId is invalid. Expected: a 12-digit account ID.", account)
		}
	}
	return nil
}

type describeSnapshotAttributeAnswer struct {
	XMLName     xml.Name           `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeSnapshotAttributeResponse"`
	RequestID   string             `xml:"requestId"`
	ID          string             `xml:"snapshotId"`
	Permissions []permissionAnswer `xml:"createVolumePermission>item"`
}

type permissionAnswer struct {
	UserID string `xml:"userId"`
}

func (s *Server) describeSnapshotAttribute(region string, in *ec2.DescribeSnapshotAttributeInput) (any, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	if in.Attribute != types.SnapshotAttributeNameCreateVolumePermission {
		return nil, unmodelled("DescribeSnapshotAttribute: attribute %s", in.Attribute)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	target, err := s.ours(region, aws.ToString(in.SnapshotId))
	if err != nil {
		return nil, err
	}
	result := describeSnapshotAttributeAnswer{RequestID: "fakeaws", ID: target.id}
	for _, account := range slices.Sorted(maps.Keys(target.sharedWith)) {
		result.Permissions = append(result.Permissions, permissionAnswer{UserID: account})
	}
	return result, nil
}
