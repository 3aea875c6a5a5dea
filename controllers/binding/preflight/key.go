package preflight

import (
	"slices"
	"strings"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// Launcher starts nodes by a service-linked role, which has no permission for a customer's key but by a grant or by the
// key's policy.
type Launcher struct {
	// Name is who it is, in words: "managed node group prod/gpu".
	Name string
	// Role is the role's name.
	Role Role
}

// Role is a service-linked role.
type Role struct {
	name, path string
	// launches is what it does, and whatStarts what does not start without the key, in words.
	launches, whatStarts string
	// operations are those that AWS's page on the role grants.
	operations string
}

// SpotRole starts and stops Spot instances:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html
func SpotRole() Role {
	return Role{
		name: "AWSServiceRoleForEC2Spot", path: "spot.amazonaws.com",
		launches: "launches Spot instances, whose role", whatStarts: "Spot instance",
		operations: "Decrypt Encrypt GenerateDataKey GenerateDataKeyWithoutPlaintext CreateGrant DescribeKey ReEncryptFrom ReEncryptTo",
	}
}

// AutoScalingServiceRole is the name of the role that Auto Scaling takes where a group names no other.
const AutoScalingServiceRole = "AWSServiceRoleForAutoScaling"

// AutoScalingRole launches the instances of Auto Scaling groups, those of managed node groups and of Batch among them. A
// group may name one with a suffix instead of AutoScalingServiceRole:
// https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html
func AutoScalingRole(name string) Role {
	return Role{
		name: name, path: "autoscaling.amazonaws.com",
		launches: "launches instances by Auto Scaling, whose role", whatStarts: "instance",
		operations: "Encrypt Decrypt ReEncryptFrom ReEncryptTo GenerateDataKey GenerateDataKeyWithoutPlaintext DescribeKey CreateGrant",
	}
}

// checkGrants asks whether those who start nodes can use the key. What the key's policy says is not read, so that it can only
// be a warning.
func (i *inspection) checkGrants() {
	key := i.Snapshot.Key
	if key == nil {
		return
	}
	for _, launcher := range i.Launchers {
		role := launcher.Role
		resource := "role/aws-service-role/" + role.path + "/" + role.name
		if slices.ContainsFunc(key.Grantees, func(grantee string) bool { return strings.HasSuffix(grantee, ":"+resource) }) {
			continue
		}
		reason, found := v1alpha1.ReasonKMSGrantMissing, "has no grant"
		if key.Grantees == nil {
			reason, found = v1alpha1.ReasonNotChecked, "may have no grant, which could not be read,"
		}
		partition, region := partsOf(key.ARN)
		i.warn(reason, "%s %s %s %s for KMS key %s of "+
			"snapshot %s: unless the key's policy names the role, no %s starts. In the account of the nodes, run: "+
			"aws kms create-grant --region %s --key-id %s --grantee-principal arn:%s:iam::ACCOUNT:%s --operations %s",
			launcher.Name, role.launches, role.name, found, key.ARN, i.Snapshot.ID, role.whatStarts, region, key.ARN, partition,
			resource, role.operations)
	}
}

// partsOf returns an ARN's partition and Region, or what stands for them in one that is cut short.
func partsOf(arn string) (partition, region string) {
	parts := strings.SplitN(arn, ":", 5)
	if len(parts) < 5 {
		return "aws", "REGION"
	}
	return parts[1], parts[3]
}
