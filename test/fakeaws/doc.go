// Package fakeaws is a test double of AWS that the unmodified SDK talks to over the wire: STS, the snapshot calls
// of EC2, and all of the EBS direct API with real block storage behind it. It is no product feature.
//
// Requests are decoded by what the SDK itself knows of them: EBS by its schemas, EC2 and STS by the names that
// the SDK's own serializer is seen to write. An action, a parameter or a header field outside of that fails the
// call and is kept in Server.Unmodelled; NewForTest turns it into a failure of the test.
//
// What it does, and how we know. "documented" is AWS's API reference and user guide, "measured" is seen by
// others at AWS, "assumed" is ours, and then the choice that is harder on the client:
//
//	behaviour                                                  known from
//	---------------------------------------------------------  ------------------------------------------------
//	blocks have 524,288 bytes, their length and SHA-256 match   documented: API_PutSnapshotBlock
//	a wrong checksum, length or algorithm is refused            documented; the reason code is assumed
//	an index outside of the volume is refused                   assumed (INVALID_BLOCK)
//	writing an index again overwrites it                        documented: API_PutSnapshotBlock
//	a rewritten index counts once in ChangedBlocksCount         assumed
//	a sealed snapshot takes no blocks                           documented: API_CompleteSnapshot
//	the same client token gives the first answer again          documented: ebs-direct-api-idempotency
//	the same token with other parameters: ConflictException     documented: ebs-direct-api-idempotency
//	a token outlives its failed or deleted snapshot             measured for volumes: aws-ebs-csi-driver; assumed here
//	tokens have up to 64 ASCII characters                       documented: ebs-direct-api-idempotency
//	1..65,536 GiB; Timeout 10..60 minutes, 60 by default        documented: API_StartSnapshot
//	50 tags, keys up to 127 and values up to 255 characters     documented: API_StartSnapshot, API_Tag
//	no tag key begins with "aws:"                               documented: Using_Tags
//	a snapshot may "not exist" for some calls after its start   measured: coldsnap issue 43
//	pending until stored, some time after CompleteSnapshot      documented: writesnapshots
//	a pending snapshot cannot be read                           measured: coldsnap; the error code is assumed
//	wrong count or LINEAR checksum: the snapshot ends in error  assumed
//	CompleteSnapshot on a sealed snapshot is refused            assumed
//	an idle upload ends in error after its timeout              documented: writesnapshots
//	ParentSnapshotId excludes Encrypted and KmsKeyArn           documented: API_StartSnapshot; for the key assumed
//	a child reads as its parent where nothing was written       documented: writesnapshots
//	a parent larger than the child is refused                   assumed
//	a parent must be completed                                  assumed
//	a parent must be of our own account                         assumed; the code UNAUTHORIZED_ACCOUNT is documented
//	a child's checksum and count are of the blocks put to it    documented: API_CompleteSnapshot
//	a block of zeros is a block: it is listed and read          assumed
//	default encryption encrypts, and refuses a plain parent     documented: ebsapis-using-encryption
//	lists: MaxResults 100..10,000, page tokens live 60 minutes  documented: API_ListSnapshotBlocks
//	an empty page may have a next token                         documented: readsnapshots
//	block tokens belong to a snapshot and index, 7 days         documented: API_ListSnapshotBlocks, ebsapi-elements
//	ListChangedBlocks has the blocks with other content         documented: API_ListChangedBlocks
//	a block written again with equal content has not changed    assumed
//	another account's snapshot can be read, if it is shared     documented: ebsapi-permissions
//	and neither written nor deleted                             assumed
//	ListChangedBlocks wants snapshots of one lineage            documented: API_ListChangedBlocks
//	DescribeSnapshots: MaxResults 5..1,000, not with ids        documented: Query-Requests; the error codes are assumed
//	filters know * and ? and \ as wildcards and escape          documented: Using_Filtering
//	an unknown id: InvalidSnapshot.NotFound; on delete too      documented: errors-overview
//	a snapshot that an AMI uses: InvalidSnapshot.InUse          documented: errors-overview (by Inject, no AMIs here)
//	GetCallerIdentity needs no permission                       documented: API_GetCallerIdentity
//	Signature Version 4 is verified, its time is not            documented; skipping the time suits fake clocks
package fakeaws
