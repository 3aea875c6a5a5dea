// Package fakeaws is a test double of AWS that the unmodified SDK talks to over the wire: STS, the snapshot calls
// of EC2, and all of the EBS direct API with real block storage behind it. It is no product feature. All Regions
// share one endpoint: a call is for the Region that it is signed for.
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
//	one that is not shared is not listed, by its id neither     documented: API_DescribeSnapshots; for other calls assumed
//	another account's tags are not shown                        documented: Using_Tags
//	an archived one is completed and in the tier archive        documented: API_Snapshot
//	and neither read, copied, restored fast nor a parent        documented: snapshot-archive; the codes are assumed
//	ListChangedBlocks wants snapshots of one lineage            documented: API_ListChangedBlocks
//	DescribeSnapshots: MaxResults 5..1,000, not with ids        documented: Query-Requests; the error codes are assumed
//	filters know * and ? and \ as wildcards and escape          documented: Using_Filtering
//	a filter has up to 200 values: FilterLimitExceeded          documented: Using_Filtering, errors-overview
//	an unknown id: InvalidSnapshot.NotFound; on delete too      documented: errors-overview
//	a snapshot that an AMI uses: InvalidSnapshot.InUse          documented: errors-overview (by Inject, no AMI here is made of one)
//	every account has 17 Regions, others are opt-in             documented: aws-regions
//	a Region that is not enabled knows no credentials           measured: steampipe-plugin-aws issue 75, fog-aws issue 585
//	DescribeRegions by name, all, or only those enabled         documented: API_DescribeRegions; the error code is assumed
//	a snapshot exists for the calls to its Region only          documented: API_CopySnapshot
//	a key has an id, an ARN and aliases, and one Region         documented: concepts (KMS)
//	StartSnapshot takes the ARN of a key that is enabled        documented: API_StartSnapshot; which reason code is assumed
//	CreateTags overwrites, and counts what stays against 50     documented: API_CreateTags; measured: moto issue 8151
//	CreateTags with "aws:" is an InvalidParameterValue          measured: cluster-api-provider-aws issue 5461
//	CreateTags changes all of its resources or none             assumed
//	DeleteTags by key, by key and value, or all                 documented: API_DeleteTags
//	CopySnapshot has no token: every call makes a copy          documented: API_CopySnapshot
//	a copy has the tags of the call, not its source's           documented: ebs-copy-snapshot
//	a copy has a lineage of its own                             assumed
//	a pending source is refused                                 documented: ebs-copy-snapshot; the code is assumed
//	a source that is not there ends the copy in error, later    measured: terraform-provider-aws issue 3086
//	a source that is deleted meanwhile does too                 assumed
//	a key that cannot be used does too                          documented: API_CopySnapshot
//	a URL that is not signed for an encrypted source does too   documented: API_CopySnapshot; its signature is not verified
//	encrypted source, setting or call: the copy is encrypted    documented: ebs-copy-snapshot
//	without a key in the call it is by the default key          documented: ebs-copy-snapshot
//	20 copies at once to a Region: ResourceLimitExceeded        documented: ebs-resource-quotas; measured: copy-encrypted-ami issue 3
//	ModifySnapshotAttribute adds or removes, up to 500          documented: API_ModifySnapshotAttribute; the codes are assumed
//	an account id has 12 digits                                 documented: ebs-modifying-snapshot-permissions; the code is assumed
//	no sharing with the default key: OperationNotPermitted      measured: packer issue 7499
//	fast restores take their time from state to state           documented: view-fsr-enabled-snapshots; how long is assumed
//	a disabled one stays in the list                            assumed
//	each snapshot and zone is enabled or refused by itself      documented: API_EnableFastSnapshotRestores; the codes are assumed
//	up to 10 snapshots in one call                              measured: tidb issue 48505
//	up to 5 snapshots with fast restores in a Region            documented: ebs-resource-quotas; the code is assumed
//	enabling again is no error, while disabling it is one       assumed
//	disabling what is not enabled is an error                   assumed
//	a zone of no such Region refuses the whole call             assumed
//	a snapshot with fast restores: InvalidSnapshot.InUse        measured: aws-nuke issue 453; manage-fsr-enable says otherwise
//	GetCallerIdentity needs no permission                       documented: API_GetCallerIdentity
//	Signature Version 4 is verified, its time is not            documented; skipping the time suits fake clocks
//
// Beside snapshots there is what names, publishes, protects and pulls them: launch templates, Auto Scaling groups and
// Batch's compute environments, SSM parameters, KMS keys, tokens of ECR. The services that speak awsJson 1.1, and Batch,
// must send what the SDK would write of what was understood. Of a call that has more members than are modelled, the table
// of actions names those that are.
//
//	behaviour                                                   known from
//	----------------------------------------------------------  ------------------------------------------------
//	SSM: an absent parameter: ParameterNotFound                 documented: API_GetParameter
//	its tags: InvalidResourceId                                 documented: API_ListTagsForResource
//	PutParameter without Overwrite: ParameterAlreadyExists      documented: API_PutParameter
//	a new parameter has a type; overwriting needs none          assumed, moto agrees
//	tags and Overwrite exclude each other: ValidationException  documented: API_PutParameter; the code is assumed, moto agrees
//	overwriting keeps the tags                                  assumed, moto agrees
//	names: letters, digits, ".-_", "/" first in a hierarchy     documented: API_PutParameter
//	up to 15 levels: HierarchyLevelLimitExceededException       documented: API_PutParameter
//	up to 1,011 characters with the ARN before the name         documented: API_PutParameter
//	no "aws" or "ssm" in front; /aws/: AccessDeniedException    documented: API_PutParameter; the code is assumed, moto agrees
//	a standard value has 1 to 4,096 bytes and no "{{"           documented: API_PutParameter; that bytes count is assumed
//	the version counts the values                               documented: API_Parameter
//	50 tags, keys up to 128 and values up to 256 characters     documented: API_AddTagsToResource, API_Tag
//	KMS: a key by its id, ARN, alias or alias's ARN             documented: API_DescribeKey
//	an absent one, or another Region's: NotFoundException       documented: API_DescribeKey; for an ARN assumed
//	a disabled key is described                                 documented: key-state
//	ListGrants by id or ARN: pages of 1 to 100, 50 by default   documented: API_ListGrants; the error codes too
//	a grant's order and id                                      assumed
//	ECR: a token is AWS:password in base64, for 12 hours        documented: API_GetAuthorizationToken
//	every token has a password of its own                       assumed; Options.RegistryPassword fixes it
//	a token is for all accounts' registries in its Region       documented: API_GetAuthorizationToken
//	ECR public gives tokens in us-east-1 only                   documented: public-registry-auth; the error code is assumed
//	launch templates: names of 3 to 128 characters, each once   documented: API_CreateLaunchTemplate, errors-overview
//	the first version is the default until another is made it   documented: API_ModifyLaunchTemplate
//	versions are numbered from 1 and never change               documented: API_CreateLaunchTemplateVersion
//	a number is not given again after its version was deleted   assumed
//	a version of a source has its data but for what is given    documented: API_CreateLaunchTemplateVersion
//	devices that are given replace all of the source's          documented: API_CreateLaunchTemplateVersion, as every parameter does
//	and the source's own are inherited without their snapshots  documented: API_CreateLaunchTemplateVersion
//	data of which nothing is said: MissingParameter             measured: terraform-provider-aws always sends user data for it
//	an empty text of user data is enough                        measured: terraform-provider-aws makes templates of nothing else
//	a description has up to 255 characters                      documented: API_CreateLaunchTemplateVersion; the code is assumed
//	a version that cannot be launched is made, with a warning   documented: API_CreateLaunchTemplateVersion; which codes is assumed
//	10,000 versions: MaxTemplateVersionLimitExceeded            documented: launch-template-restrictions; the code is assumed, of
//	                                                            templates it is measured: karpenter-provider-aws issue 8686
//	up to 200 versions are deleted in one call                  documented: API_DeleteLaunchTemplateVersions
//	each is deleted or not by itself; not the default one       documented: API_DeleteLaunchTemplateVersions; the codes are assumed
//	a version names the principal that made it                  documented: API_LaunchTemplateVersion
//	a token gives a version's answer even after it was deleted  assumed
//	the same client token gives the first answer again          documented: ec2-api-idempotency
//	with other parameters: IdempotentParameterMismatch          documented: ec2-api-idempotency
//	a template by id or name, not both                          documented: API_DescribeLaunchTemplateVersions; the code is assumed
//	without one: $Latest and $Default of all, no numbers        documented: API_DescribeLaunchTemplateVersions
//	a version that is both is listed once                       assumed
//	the latest version is listed first                          assumed
//	one absent version or template fails the whole call         documented: errors-overview
//	pages of 1 to 200, of 200 by default                        documented: API_DescribeLaunchTemplates; the default is assumed
//	no pages of ids or names                                    assumed
//	DescribeImages lists deprecated AMIs when asked to          documented: API_DescribeImages; by id always is assumed
//	one unknown or malformed AMI id fails the whole call        documented: errors-overview
//	an AMI that a filter names and is not there is left out     documented: Using_Filtering
//	a snapshot that a template names need not exist             assumed
//	a template that a group names can be deleted                assumed
//	Auto Scaling: a group has a template or a policy            documented: API_CreateAutoScalingGroup
//	template and version must exist: ValidationError            assumed
//	a group answers with its template's id and name             assumed, moto agrees
//	and with the version as it was given, or none               assumed; none means $Default: API_LaunchTemplateSpecification
//	an override may have a launch template of its own           documented: API_LaunchTemplateOverrides
//	a new template replaces the policy, and vice versa          assumed
//	an absent group: ValidationError; by name not listed        assumed, moto agrees
//	a group with instances: ResourceInUse, unless forced        documented: API_DeleteAutoScalingGroup
//	instances name the version they were launched with          documented: API_Instance
//	pages of 1 to 100, of 50 by default                         documented: API_DescribeAutoScalingGroups
//	Batch: one code for refusals, ClientException               documented: API_UpdateComputeEnvironment; each text is assumed
//	an absent environment: not listed, not updated              documented: API_DescribeComputeEnvironments; moto agrees
//	pages of 1 to 100, of 100 by default, and up to 100 names   documented: API_DescribeComputeEnvironments; the default is assumed
//	another launch template replaces all instances, UPDATING    documented: infrastructure-updates
//	what the answer describes meanwhile is the new one          assumed
//	an equal template, a size or a state replaces none          documented: scaling-updates; that it is at once is assumed
//	what an update leaves out of a launch template is gone      documented for overrides: API_LaunchTemplateSpecification; else assumed
//	$Latest and $Default are looked up at that, never else      documented: API_LaunchTemplateSpecification
//	it needs the service-linked role, and not BEST_FIT          documented: infrastructure-updates
//	no strategy is BEST_FIT                                     documented: API_ComputeResource
//	Fargate takes no launch template                            measured: aws-cdk issue 27054
//	no update and no deletion while an update runs              measured for deletions: terraform-provider-aws; for updates assumed
//	what cannot be launched makes it INVALID, CLIENT_ERROR      measured: aws-cdk issue 6427; for templates, snapshots assumed
//	and only if there are to be instances                       assumed
//	an update makes an invalid one valid again                  documented: invalid_compute_environment
//	up to 10 overrides, each with a template and types          documented: API_LaunchTemplateSpecificationOverride
//	only a disabled environment is deleted                      documented: API_DeleteComputeEnvironment
//	what an update of a policy leaves out of it stays           assumed
//	a launch takes $Latest and $Default as they are then        documented: API_LaunchTemplateSpecification
//	overrides take turns in launching                           assumed
//	a failed launch is an activity whose message says why       measured: autoscaler issue 1263; for an absent snapshot assumed
//	activities: newest first, by Status and StartTimeLowerBound documented: API_DescribeScalingActivities
//	one refresh at a time: InstanceRefreshInProgress            documented: API_StartInstanceRefresh
//	its preferences' bounds: ValidationError                    documented: API_RefreshPreferences; the code is assumed
//	AutoRollback wants a desired configuration, and numbers     measured: terraform-provider-aws issue 29830; for numbers the code is assumed
//	Pending, InProgress, Baking, Successful, or Failed          documented: API_InstanceRefresh; how long is assumed
//	it replaces one after the other, with SkipMatching not all  documented: API_RefreshPreferences; the order is assumed
//	it pauses at checkpoints, for an hour by default            documented: API_RefreshPreferences
//	three failed launches in a row end it                       assumed
//	it launches by its desired configuration meanwhile          assumed
//	which becomes the group's when it succeeded, not before     documented: API_StartInstanceRefresh; measured: terraform-provider-aws issue 34189
//	the group's cannot be changed meanwhile: ValidationError    assumed
//	with AutoRollback it goes back when it fails                documented: instance-refresh-rollback
//	cancelling ends it where it is                              documented: API_CancelInstanceRefresh
//	without numbers no rollback: IrreversibleInstanceRefresh    documented: API_RollbackInstanceRefresh
//	an error has its code in __type (awsJson 1.1)               documented: smithy.io, AWS JSON 1.1 protocol
//	EKS: a group updates by its own template only               documented: API_UpdateNodegroupVersion; the codes are assumed
//	by id or name, not both: InvalidParameterException          measured: aws-controllers-k8s/community issue 2645
//	without pins the cluster's version, the newest release       documented: API_UpdateNodegroupVersion
//	neither is taken with a custom AMI                          documented: API_UpdateNodegroupVersion; the code is assumed
//	an AMI in the template is for custom groups only            documented: launch-templates (EKS); the code is assumed
//	one update at a time: ResourceInUseException, 409           documented: API_UpdateNodegroupVersion; message assumed
//	a DEGRADED group can be updated, and heals by it            assumed
//	its caller may not launch: InvalidRequestException          measured: scylla-cluster-tests issue 12172
//	the group names the version before until an update is done  assumed
//	one that fails leaves the group as it was, and ACTIVE       measured: crossplane-contrib/provider-aws issue 1475
//	a snapshot or version that is gone fails it later           assumed, and the codes of API_Issue for it
//	a client token is for ever, other parameters are refused    assumed
//	updates are listed by their ids, up to 100 on a page        documented: API_ListUpdates; their order is assumed
//	clusters and groups too, by their names, 1 to 100 on one    documented: API_ListClusters, API_ListNodegroups; their order is assumed
//
// ECS services, as far as the volumes of their tasks go:
//
//	behaviour                                                   known from
//	----------------------------------------------------------  ------------------------------------------------
//	an absent cluster: ClusterNotFoundException                 documented: API_DescribeServices; moto agrees
//	an absent service is described as a failure, MISSING        documented: api_failures_messages; moto agrees
//	to update one: ServiceNotFoundException                     documented: API_UpdateService; moto agrees
//	one that is being deleted: ServiceNotActiveException        documented: API_UpdateService
//	a deleted service is DRAINING, then INACTIVE                documented: API_DeleteService; how long is assumed
//	one volume of a task definition is configured at launch     documented: API_Volume; the code is assumed
//	a mount point names a volume of its task definition         documented: API_MountPoint; moto does not look
//	a configuration's name is that volume's                     documented: API_ServiceVolumeConfiguration; the code is assumed
//	that volume may be left unconfigured                        assumed
//	no configurations for DAEMON and task sets                  documented: API_UpdateService; the codes are assumed
//	a role, and a size or a snapshot                            documented: API_ServiceManagedEBSVolumeConfiguration
//	sizes, IOPS and throughput by the type of volume            documented: the same; the codes are assumed
//	a size below the snapshot's is taken for the snapshot's     documented: the same
//	null keeps the configurations, a list replaces them         documented: API_UpdateService; that an empty one removes is assumed
//	what changes nothing starts no deployment                   documented: API_UpdateService
//	tasks fail without the snapshot, or with its filesystem     documented: API_ServiceManagedEBSVolumeConfiguration; their words are assumed
//	a new deployment ends the one before                        documented: service-deployment; the state STOPPED is assumed
//	the circuit breaker opens at half of the tasks, 3 to 200    documented: deployment-circuit-breaker
//	it goes back to the last revision that was deployed         documented: service-revision; then as the same service deployment
//	without it tasks are started for ever                       documented: deployment-circuit-breaker
//	a service deployment is listed for 90 days                  documented: service-deployment; that they count from its start is assumed
//	its sources are what has tasks, or completed without any    documented: API_ServiceDeployment; the latter is assumed
//	ListServiceDeployments: pages of 1 to 100, of 20 by default documented: API_ListServiceDeployments; the order is assumed
//	up to 20 deployments or revisions are described at once     documented: API_DescribeServiceRevisions
//	ListClusters: pages of 1 to 100, of 100 by default          documented: API_ListClusters; the order is assumed
//	ListServices: pages of 1 to 100, of 10 by default           documented: API_ListServices; the order is assumed
//	a service that is being deleted is not listed               documented: API_DeleteService
//	a service has up to 50 tags, of certain characters          documented: API_Tag; which are refused is assumed
package fakeaws
