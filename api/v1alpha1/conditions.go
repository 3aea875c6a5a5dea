package v1alpha1

// Condition types of both kinds. Ready sums the others up; Reconciling and Stalled are present only while
// true, as kstatus reads them.
const (
	ConditionReady       = "Ready"
	ConditionReconciling = "Reconciling"
	ConditionStalled     = "Stalled"
)

// Condition types of ImageCacheSnapshot.
const (
	// ConditionImagesResolved tells whether every reference was resolved to a digest.
	ConditionImagesResolved = "ImagesResolved"
	// ConditionBuilt tells whether the volume for the current spec was written and handed to EBS.
	ConditionBuilt = "Built"
	// ConditionSnapshotReady tells whether EBS reports the snapshot as completed.
	ConditionSnapshotReady = "SnapshotReady"
	// ConditionCopiesReady tells whether every Region of spec.copies has a completed copy of the current revision.
	ConditionCopiesReady = "CopiesReady"
	// ConditionShared tells whether exactly the accounts of spec.sharedWith may use the current snapshot.
	ConditionShared = "Shared"
	// ConditionFastSnapshotRestoreReady tells whether it is enabled in every zone of spec.fastSnapshotRestore.
	ConditionFastSnapshotRestoreReady = "FastSnapshotRestoreReady"
	// ConditionPublished tells whether the places of spec.publish name the current snapshot.
	ConditionPublished = "Published"
)

// Condition types of NodeClassBinding.
const (
	// ConditionSnapshotAvailable tells whether the bound snapshot exists and is completed.
	ConditionSnapshotAvailable = "SnapshotAvailable"
	// ConditionPreflightPassed tells whether the target can take the snapshot.
	ConditionPreflightPassed = "PreflightPassed"
	// ConditionApplied tells whether the target names the snapshot.
	ConditionApplied = "Applied"
	// ConditionRolledOut tells whether every node was launched with the snapshot that is applied.
	ConditionRolledOut = "RolledOut"
)

// Reasons of progress and success.
const (
	ReasonReady           = "Ready"
	ReasonProgressing     = "Progressing"
	ReasonResolved        = "Resolved"
	ReasonPlatformMissing = "PlatformMissing"
	ReasonBuilding        = "Building"
	ReasonBuilt           = "Built"
	ReasonBuiltInFull     = "BuiltInFull"
	ReasonPending         = "SnapshotPending"
	ReasonCompleted       = "SnapshotCompleted"
	ReasonPassed          = "Passed"
	ReasonApplied         = "Applied"
	ReasonDeleting        = "Deleting"
	ReasonRetained        = "Retained"
)

// Reasons of an ImageCacheSnapshot that cannot go on, or not yet.
const (
	ReasonInvalidReference    = "InvalidReference"
	ReasonImageNotFound       = "ImageNotFound"
	ReasonUnauthorized        = "RegistryUnauthorized"
	ReasonRegistryUnreachable = "RegistryUnreachable"
	ReasonRegistryError       = "RegistryError"
	ReasonImageUnsupported    = "ImageUnsupported"
	ReasonDigestMismatch      = "DigestMismatch"
	ReasonInvalidLayer        = "InvalidLayer"
	ReasonVolumeTooSmall      = "VolumeTooSmall"
	ReasonOutOfInodes         = "OutOfInodes"
	ReasonFormatUnfit         = "FormatUnfit"
	ReasonCredentialsMissing  = "AWSCredentialsMissing"
	ReasonAccessDenied        = "AWSAccessDenied"
	ReasonAWSError            = "AWSError"
	ReasonBuildFailed         = "BuildFailed"
	ReasonSnapshotFailed      = "SnapshotFailed"
	ReasonInUse               = "InUse"

	ReasonForbidden          = "RegistryForbidden"
	ReasonTooManyRequests    = "RegistryTooManyRequests"
	ReasonInvalidTagPolicy   = "InvalidTagPolicy"
	ReasonNoTagMatches       = "NoTagMatches"
	ReasonDuplicateImage     = "DuplicateImage"
	ReasonInvalidPullSecret  = "InvalidPullSecret"
	ReasonAttemptsExhausted  = "AttemptsExhausted"
	ReasonRevisionNotFound   = "RevisionNotFound"
	ReasonKMSKeyUnusable     = "KMSKeyUnusable"
	ReasonSnapshotUnreadable = "SnapshotUnreadable"
	ReasonSuspended          = "Suspended"
	ReasonPinned             = "Pinned"
)

// Reasons of what is made of a snapshot beside it.
const (
	ReasonCopied              = "Copied"
	ReasonCopying             = "Copying"
	ReasonCopyFailed          = "CopyFailed"
	ReasonRegionUnusable      = "RegionUnusable"
	ReasonShared              = "Shared"
	ReasonDefaultKeyNotShared = "DefaultKMSKeyCannotBeShared"
	ReasonEnabled             = "Enabled"
	ReasonEnabling            = "Enabling"
	ReasonPublished           = "Published"
	ReasonNotOurs             = "NotOurs"
)

// Reasons of events about what is collected.
const (
	ReasonCollectable = "SnapshotCollectable"
	ReasonCollected   = "SnapshotCollected"
)

// Reasons of a NodeClassBinding's progress.
const (
	ReasonPassedWithWarnings = "PassedWithWarnings"
	ReasonNodesCurrent       = "NodesCurrent"
	ReasonNodesOutdated      = "NodesOutdated"
	ReasonNothingApplied     = "NothingApplied"
)

// Reasons of a NodeClassBinding whose snapshot nodes cannot boot from.
const (
	ReasonSnapshotMissing       = "SnapshotMissing"
	ReasonSnapshotNotReady      = "SnapshotNotReady"
	ReasonSnapshotNotFound      = "SnapshotNotFound"
	ReasonSnapshotArchived      = "SnapshotArchived"
	ReasonSnapshotInOtherRegion = "SnapshotInOtherRegion"
	ReasonOwnerNotAllowed       = "SnapshotOwnerNotAllowed"
	ReasonParameterNotFound     = "ParameterNotFound"
	ReasonParameterInvalid      = "ParameterInvalid"
)

// Reasons of a NodeClassBinding whose target cannot take the snapshot.
const (
	ReasonTargetMissing           = "TargetMissing"
	ReasonTargetKindMissing       = "TargetKindMissing"
	ReasonTargetUnreadable        = "TargetUnreadable"
	ReasonUnsupportedTarget       = "UnsupportedTarget"
	ReasonDerivedClassExists      = "DerivedClassExists"
	ReasonDeviceDuplicated        = "DeviceDuplicated"
	ReasonDeviceInvalid           = "DeviceInvalid"
	ReasonDeviceUnlikeFamily      = "DeviceUnlikeFamily"
	ReasonDeviceNotMounted        = "DeviceNotMounted"
	ReasonVolumeSizeTooSmall      = "VolumeSizeTooSmall"
	ReasonRootDeviceTooSmall      = "RootDeviceTooSmall"
	ReasonFormatMismatch          = "FormatMismatch"
	ReasonArchitectureMismatch    = "ArchitectureMismatch"
	ReasonInstanceStoreHides      = "InstanceStoreHidesDevice"
	ReasonSnapshotterUnsupported  = "SnapshotterUnsupported"
	ReasonFieldUnsupported        = "FieldUnsupported"
	ReasonDeviceClaimed           = "DeviceClaimedByOtherBinding"
	ReasonContentsFillVolume      = "ContentsFillVolume"
	ReasonKMSGrantMissing         = "KMSGrantMissing"
	ReasonRateIgnoresFastRestores = "InitializationRateIgnoresFastSnapshotRestore"
	ReasonRateExceedsQuota        = "InitializationRateExceedsQuota"
	ReasonNotChecked              = "NotChecked"
)

// Reasons of a NodeClassBinding whose target is one of AWS's, or of CSI, and cannot take the snapshot.
const (
	ReasonNoLaunchTemplate      = "NoLaunchTemplate"
	ReasonTemplateNotFound      = "LaunchTemplateNotFound"
	ReasonVersionNotFound       = "LaunchTemplateVersionNotFound"
	ReasonVersionLimit          = "LaunchTemplateVersionLimit"
	ReasonVersionRefused        = "LaunchTemplateVersionRefused"
	ReasonOtherTemplate         = "OtherLaunchTemplate"
	ReasonVersionNotLaunched    = "VersionNotLaunched"
	ReasonTargetDegraded        = "TargetDegraded"
	ReasonAllocationStrategy    = "AllocationStrategyUnsupported"
	ReasonVolumeNotConfigurable = "VolumeNotConfigurableAtLaunch"
	ReasonFilesystemMismatch    = "FilesystemMismatch"
	ReasonVolumeSnapshotExists  = "VolumeSnapshotExists"
)

// Reasons of a NodeClassBinding whose platform is at work on the target, or was and failed.
const (
	ReasonUpdateInProgress = "UpdateInProgress"
	ReasonUpdateFailed     = "UpdateFailed"
)

// Reasons of a NodeClassBinding that may not write yet, or not any more.
const (
	ReasonNodesWouldReplace = "NodesWouldBeReplaced"
	ReasonWaitingForDrift   = "WaitingForDrift"
	ReasonWaitingForWindow  = "WaitingForWindow"
	ReasonMinInterval       = "MinIntervalNotOver"
	ReasonPaused            = "Paused"
	ReasonWindowInvalid     = "WindowInvalid"
	ReasonWriteConflict     = "WriteConflict"
	ReasonWriteDenied       = "WriteDenied"
	ReasonWriteFailed       = "WriteFailed"
	ReasonRivalWriter       = "RivalWriter"
	ReasonDerivedClassInUse = "DerivedClassInUse"
)

// Reasons of a NodeClassBinding whose snapshot failed on nodes.
const (
	ReasonTargetNotReady = "TargetNotReady"
	ReasonLaunchFailed   = "LaunchFailed"
	ReasonNodesNotReady  = "NodesNotReady"
	ReasonRolledBack     = "RolledBack"
	ReasonNoWayBack      = "NoWayBack"
)
