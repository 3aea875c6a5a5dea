package preflight

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/api/v1alpha1"
)

const (
	capacityLabel = "karpenter.sh/capacity-type"
	capacitySpot  = "spot"

	// spotRole starts and stops Spot instances. It has no permission for a customer's key but by a grant or the key's policy:
	// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html
	spotRole = "role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
	// spotOperations are those that this page grants.
	spotOperations = "Decrypt Encrypt GenerateDataKey GenerateDataKeyWithoutPlaintext CreateGrant DescribeKey ReEncryptFrom ReEncryptTo"
)

// checkSpotGrant asks whether Spot instances can use the key. What the key's policy says is not read, so that it can only
// be a warning; on-demand instances need no more than Karpenter's own role has.
func (i *inspection) checkSpotGrant() {
	key := i.Snapshot.Key
	if key == nil || !slices.ContainsFunc(i.Pools, allowsSpot) {
		return
	}
	if slices.ContainsFunc(key.Grantees, func(grantee string) bool { return strings.HasSuffix(grantee, ":"+spotRole) }) {
		return
	}
	reason, found := v1alpha1.ReasonKMSGrantMissing, "has no grant"
	if key.Grantees == nil {
		reason, found = v1alpha1.ReasonNotChecked, "may have no grant, which could not be read,"
	}
	partition, region := partsOf(key.ARN)
	i.warn(reason, "a NodePool of EC2NodeClass %s launches Spot instances, whose role AWSServiceRoleForEC2Spot %s for KMS key %s of "+
		"snapshot %s: unless the key's policy names the role, no Spot instance starts. In the account of the nodes, run: "+
		"aws kms create-grant --region %s --key-id %s --grantee-principal arn:%s:iam::ACCOUNT:%s --operations %s",
		i.class, found, key.ARN, i.Snapshot.ID, region, key.ARN, partition, spotRole, spotOperations)
}

// allowsSpot tells whether a NodePool may launch Spot instances, as one that says nothing does.
func allowsSpot(pool *unstructured.Unstructured) bool {
	return len(allowedBy(pool, []string{capacitySpot}, capacityLabel)) > 0
}

// partsOf returns an ARN's partition and Region, or what stands for them in one that is cut short.
func partsOf(arn string) (partition, region string) {
	parts := strings.SplitN(arn, ":", 5)
	if len(parts) < 5 {
		return "aws", "REGION"
	}
	return parts[1], parts[3]
}
