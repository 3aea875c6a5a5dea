package main

// promise is something that Larder is meant to do, and the tests that show it.
type promise struct {
	title string
	// patterns are regular expressions for "folder.TestName"; each must match a test.
	patterns []string
	// besides is what no single test can show.
	besides []string
}

var promises = []promise{
	{
		title:    "A house that keeps its order: layout, import rule, generated files, documents",
		patterns: []string{`hack/verification\..*`, `test/controlplane\.TestExamplesInTheDocuments`},
		besides: []string{"`make lint` fails on an import that points the wrong way or on an AWS SDK import outside of `internal/aws`. " +
			"`make verify` fails on a stale generated file."},
	},
	{
		title:    "A control plane from anywhere, with Karpenter's own CRDs",
		patterns: []string{`test/controlplane\.TestControlPlane`},
		besides:  []string{"`hack/envtest-assets.sh` is what every target that needs a control plane begins with."},
	},
	{
		title:    "An API whose every rule has a sentence to act on",
		patterns: []string{`test/controlplane\.TestControlPlane`, `controllers/binding\.TestControlPlane`},
	},
	{
		title: "A builder that writes what a pull would leave, the same bytes every time",
		patterns: []string{
			`internal/image\..*`, `internal/layer\..*`, `internal/ext4\..*`, `internal/ctrstore\..*`, `internal/volume\..*`,
		},
	},
	{
		title: "From any image what a pull would leave, entry by entry",
		patterns: []string{
			`test/node\.TestNodeBuiltVolumeIsWhatAPullMakes`, `test/node\.TestNodeLargeVolumeIsWhatAPullMakes`,
			`test/node\.TestLayersAsContainerdAppliesThem`, `test/node\.TestCompare`, `internal/ext4\.TestIndexedDirectories`,
			`internal/ext4\.TestFileAboveFourGiB`, `internal/layer\.TestSparse`, `internal/layer\.TestExtremes`, `internal/layer\.TestReplacing`,
		},
		besides: []string{"`make test-node-large` is not part of CI: it takes seven minutes and several GB of memory."},
	},
	{
		title: "Hostile input ends in an error that names it, in bounded memory",
		patterns: []string{
			`internal/image\.TestResolveRefuses.*`, `internal/image\.TestOpenLayer`, `internal/image\.TestResume.*`, `internal/image\.Fuzz.*`,
			`internal/layer\.TestLongerThanTheVolume`, `internal/layer\.TestAbsurdHeaders`, `internal/layer\.TestEveryCut`,
			`internal/layer\.TestZstdWindows`, `internal/layer\.Fuzz.*`, `internal/ext4\.TestLayoutsThatCannotBe`, `internal/ext4\.Fuzz.*`,
			`internal/ctrstore\.TestReadImagesOfA.*`, `internal/ctrstore\.Fuzz.*`, `internal/volume\.FuzzLayout`,
			`internal/volume\.TestVolumeSaysWhatIsWrongAndLeavesNothing`, `internal/volume\.TestVolumeStopsWhenItIsFull`,
		},
		besides: []string{"`make fuzz` runs the fuzz targets for a time; the tests run their corpora."},
	},
	{
		title: "A rebuild that costs what changed, and says why when it cannot",
		patterns: []string{
			`test/simulation\..*`, `internal/volume\.TestParent.*`, `internal/volume\.TestPlan.*`, `internal/ext4\.TestGenerations`,
			`internal/ext4\.TestUnchangedChildWritesNothingNew`, `internal/ext4\.TestHoleIsReused`, `internal/layer\.TestEqualInheritanceIsTheSameTree`,
			`internal/layer\.TestRecordsAreAsGoodAsLayers`, `internal/aws/ebs\.Test(Child|.*Parent).*`,
			`cmd/larder\.TestBuildUponAParent`, `controllers/snapshot/builder\.TestBuildUponAParent`,
		},
	},
	{
		title: "Streaming: a broken download resumed, puts within the account's quota",
		patterns: []string{
			`internal/image\.TestResumeAsksForTheRest`, `internal/image\.TestRetryAfter.*`, `internal/aws/ebs\.TestEachPutNeedsAToken`,
			`internal/aws/ebs\.TestUploadsOfAClientShareItsTokens`, `internal/volume\.TestVolumeDoesNotDependOnTiming`,
		},
	},
	{
		title: "Formats for Bottlerocket, for AL2023 with its user data, and for plain files",
		patterns: []string{
			`internal/volume\.TestFormat.*`, `internal/volume\.TestContainerdVolume.*`, `internal/volume\.TestFiles.*`,
			`cmd/larder\.TestBuildAndInspectOfEachFormat`, `test/node\.TestNodeUserData.*`, `test/node\.TestNodeFiles.*`,
		},
		besides: []string{"cloud-init, udev and the names of NVMe devices need an EC2 instance: unproven."},
	},
	{
		title:    "A list of what a cold disk reads first, and a prefetcher that stops by itself",
		patterns: []string{`internal/warm\..*`, `internal/volume\.Test.*Hot.*`, `cmd/larder\.TestWarm.*`},
		besides:  []string{"`make bench-cold` measures the effect."},
	},
	{
		title: "What a start reads, by a trace, laid together",
		patterns: []string{
			`internal/ext4\.TestHot.*`, `internal/volume\.TestTrace.*`, `cmd/larder\.TestBuildByATrace`,
			`test/node\.TestNodeRecordsWhatAContainerOpens`,
		},
		besides: []string{"`make bench-cold` measures the effect."},
	},
	{
		title:    "A filesystem that grows online, under a real kernel",
		patterns: []string{`test/grow\..*`},
	},
	{
		title: "Every containerd in the field, and a kubelet that pulls nothing",
		patterns: []string{
			`test/node\.TestNodeRunsFromBuiltVolume`, `test/node\.TestNodeAlwaysPull`, `test/node\.TestNodeLaterPullFetchesOnlyTheNewLayer`,
			`test/node\.TestNodeOtherPlatform`, `test/node\.TestNodeKubelet`,
		},
		besides: []string{"The arm64 half of a volume is compared and reported unpacked; nothing of it was executed."},
	},
	{
		title:    "An upload to EBS that is idempotent, bounded, verified and leaves nothing half-made",
		patterns: []string{`internal/aws\..*`, `internal/aws/ebs\..*`},
	},
	{
		title:    "A strict double of AWS, and a registry with faults",
		patterns: []string{`test/fakeaws\..*`, `test/fakeaws/cmd/fakeaws\..*`, `test/registry\..*`},
	},
	{
		title: "Controllers that survive a crash at any moment, change no other device, name a rival, restore, and hold a snapshot in use",
		patterns: []string{
			`controllers/snapshot\..*`, `controllers/binding\..*`, `controllers/binding/ec2nodeclass\..*`,
			`test/e2e\.TestFromImagesToNodesAndBack`, `test/e2e\.TestOperatorIsKilledInTheMiddleOfABuild`, `test/e2e\.TestSomethingIsWrong`,
		},
	},
	{
		title: "Freshness: tags followed by one HEAD an interval, policies as Flux has them, a look on request, suspension",
		patterns: []string{
			`internal/image\.TestDigest.*`, `internal/image\.TestTag.*`, `internal/image\.TestInvalidTagPolicies`,
			`controllers/snapshot\.TestOnAPIServer`, `controllers/snapshot\.TestJitter.*`, `controllers/snapshot\.TestContentHash`,
			`test/lifecycle\.TestRefresh.*`, `test/e2e\.TestRefresh.*`,
		},
	},
	{
		title: "Credentials: pull secrets, ECR by the operator's own identity, mirrors and private authorities; refusals told apart",
		patterns: []string{
			`internal/image/pullsecret\..*`, `internal/aws/ecr\..*`, `internal/image\.Test(Credentials|RefusedCredentials|Keychain|Sessions|OneRepository|ManyRequests).*`,
			`internal/image\.Test(Mirror|Certificate|TLS|TheDocumented|Unusable|NoRegistries|Layer.*Mirror).*`, `internal/image\.TestRetryAfter.*`,
			`test/lifecycle\.TestRegistryAnswers`, `controllers/snapshot\.TestWhenRegistries.*`,
		},
	},
	{
		title: "Revisions: one bounded line each, a rollback by pinning, and an object that fits",
		patterns: []string{
			`controllers/snapshot\.TestOnAPIServer`, `controllers/snapshot\.TestAttempts.*`, `controllers/snapshot\.TestPlan`,
			`test/controlplane\.TestControlPlane`, `test/lifecycle\.TestLargestObject`, `test/lifecycle\.TestRefresh.*`,
		},
	},
	{
		title: "Collection: nothing deleted that anyone may still use, or that only looks like ours",
		patterns: []string{
			`controllers/snapshot/collection\..*`, `controllers/snapshot/references\..*`, `internal/aws/launch\..*`, `test/e2e\.TestDeletion.*`,
		},
	},
	{
		title: "Everywhere it is needed: keys, copies, shares, fast restores, publication",
		patterns: []string{
			`controllers/snapshot/distribution\..*`, `internal/aws/kms\..*`, `internal/aws/ssm\..*`,
			`internal/aws/ebs\.Test(Copy|Share|FastRestore|DisableFastRestore|Tag|Region|StartWithKey).*`,
		},
	},
	{
		title: "Failure: attempts with a limit, an operator restarted at any moment, bad input told clearly while the last good snapshot serves",
		patterns: []string{
			`controllers/snapshot\.Test(Simulation|Killed|Deleted).*`, `controllers/snapshot\.TestAttempts.*`,
			`test/lifecycle\.TestBadInput`, `test/lifecycle\.TestAWSGone.*`, `test/lifecycle\.TestAnotherName.*`, `test/lifecycle\.TestRestarted.*`,
		},
	},
	{
		title: "A steady state that costs nothing but looks",
		patterns: []string{
			`test/lifecycle\.TestSteadyDay`, `controllers/snapshot/collection\.TestSteadyState.*`, `controllers/snapshot/distribution\.TestTheSteadyState.*`,
		},
	},
	{
		title: "No secret in a log, an event, a condition or a tag",
		patterns: []string{
			`test/lifecycle\.TestNoSecret.*`, `internal/image\.Test(ErrorsHoldNoSecrets|TokenServers).*`, `internal/aws/ecr\.TestNoErrorQuotes.*`,
			`internal/image/pullsecret\.TestUnusableSecrets.*`,
		},
	},
	{
		title: "Two ways to bind: in place with every other device as it is, or a second class kept equal to one that others own",
		patterns: []string{
			`controllers/binding/ec2nodeclass\.Test(PlanDevices|PlanRecord|GoldenFiles)`, `controllers/binding/ec2nodeclass\.Test(Derive|PoolsThatName|ADerivedClass).*`,
			`controllers/binding\.Test(ADerivedClass|DerivedClasses|BindingsAreFound|TwoBindings).*`, `controllers/binding\.TestUpkeep`,
		},
	},
	{
		title: "Which snapshot: this cluster's, a parameter's or one by its id, from allowed accounts alone, asked for once an interval",
		patterns: []string{
			`controllers/binding\.Test(SnapshotOf|SnapshotBy|NoSnapshot|AParameter|EveryStateOfASnapshot|ASnapshotHeals).*`,
			`controllers/binding\.Test(AWSIsAsked|ADeletedSnapshot|ARenewedSnapshot|WhenToLookAgain|BindingsAreAsked|MemoryIsBounded).*`,
			`controllers/binding\.Test(WhatCannotBeRead|ErrorsOfTheCluster|ACancelledPass).*`,
			`internal/aws/ssm\.TestValueAlone`, `test/fakeaws\.TestAnotherAccountsSnapshot`, `test/fakeaws\.TestAddedSnapshotsAreAsIfMade`,
		},
	},
	{
		title: "Checks before any write, each with a reason of its own and what to do; what cannot be known only warns",
		patterns: []string{
			`controllers/binding/preflight\..*`, `controllers/binding/amifamily\..*`,
			`controllers/binding/ec2nodeclass\.Test(PlanSays|PlanProblems|PlanWithoutASnapshot|AFieldThatTheClusterMayLack|ObserveAsks).*`,
			`controllers/binding\.TestWarnings`, `internal/aws/ami\..*`, `internal/aws/kms\.Test(Describe|Grantees).*`,
			`test/fakeaws\.TestDescribe(Images|Key).*`, `test/gitops\.TestBindingsDocumentHasEveryReason`,
		},
		besides: []string{"That nodes of Bottlerocket and AL2023 behave as the checks take for granted is read from their documents and sources, not seen."},
	},
	{
		title: "No node replaced that the user did not agree to: strategies, windows, budgets, and a preview of what waits",
		patterns: []string{
			`controllers/binding\.Test(MayWrite|NodeClaims|Simulation|KarpenterReleases|Requests)`, `controllers/binding\.TestWindow.*`,
			`controllers/binding\.TestApplyNow.*`, `controllers/binding\.Test(Pending|Nodes|AThousandPools)`,
			`controllers/binding/ec2nodeclass/fleet\.Test(HoldsDrift|Staying|Pools|Current|ClaimChanged|PoolChanged|Malformed|OfNothing)`,
			`controllers/binding/ec2nodeclass\.TestObserveNodes`, `test/karpenter\..*`,
		},
		besides: []string{"Karpenter itself is not run: `test/karpenter` plays it, and says of each behaviour how it is known."},
	},
	{
		title: "A bad snapshot is noticed by what Karpenter says, and taken back once",
		patterns: []string{
			`controllers/binding/ec2nodeclass/fleet\.Test(Health|NodesMayTake).*`, `controllers/binding/ec2nodeclass\.Test(RollbackAfter|WithoutASnapshotAndOn)`,
			`controllers/binding\.Test(Judge|TrialEndsInTime|NoWayBack|WhereToGoBackTo|BadSnapshotIsNoWayBack|FailureThatIsNotActedUpon)`,
			`controllers/binding\.Test(Rollback|NewerSnapshot|WhatWasBroughtBack|FindingsAre|RejectedSnapshot|StalledBindings|FightOverWhatWasBroughtBack).*`,
		},
	},
	{
		title: "A writer that takes the device back is named and not fought; one that applies what is live is no rival",
		patterns: []string{
			`controllers/binding\.Test(Fight|Peace|NoRival)`, `controllers/binding\.Test(Rival|Revert|RecreatedTarget).*`,
			`controllers/binding/ec2nodeclass\.Test(ARecreatedClass|Remedy).*`, `test/controlplane\.TestExamplesInTheDocuments`,
		},
		besides: []string{"Argo CD and Flux themselves are not run; the two ways of writing that they come down to are."},
	},
	{
		title:    "Argo CD health for both kinds, in every state",
		patterns: []string{`test/gitops\.TestArgoCD.*`},
		besides:  []string{"Argo CD itself is not run; the Lua is, by the library that it uses and with no more than it allows."},
	},
	{
		title: "Deletion restores the device without a needless drift, and every wait has a way out",
		patterns: []string{
			`controllers/binding\.Test(Deletion|LoserRestores|DeletedBinding|YoungerBinding|FinalizerComes).*`,
			`controllers/binding/ec2nodeclass\.Test(DeriveEnds|LeaveWithAnotherBinding|UnreadableRecord|GoldenFiles|WithoutASnapshotAndOn).*`,
			`controllers/snapshot/references\.TestWhatADeletionWaitsFor`,
		},
	},
	{
		title: "Karpenter's v1 API from its first release to the newest, absent at first or for good, unknown fields kept",
		patterns: []string{
			`controllers/binding\.Test(KarpenterReleases|ControlPlane)`, `controllers/binding/ec2nodeclass\.Test(AClassThatIsNotThere|AFieldThatTheClusterMayLack|GoldenFiles)`,
			`controllers/binding/ec2nodeclass/fleet\.TestMalformed`, `controllers/snapshot/references\.TestC(lassesOfALaterVersion|lustersWithoutKarpenter)`,
			`test/karpenter\.TestRealSchemasTakeWhatIsWritten`,
		},
	},
	{
		title: "Samples of whole pools: on-demand, Spot, GPU, two architectures, AL2023, derived, from another cluster",
		patterns: []string{
			`controllers/binding/ec2nodeclass\.TestSamplesPassThePreflight`, `test/gitops\.TestSample.*`, `test/controlplane\.TestExamplesInTheDocuments`,
		},
	},
	{
		title:    "A printed story of a pool with nodes, from its binding to its deletion",
		patterns: []string{`test/e2e\.TestKarpenterPoolWithNodes`},
		besides:  []string{"`make demo-karpenter` shows the same to a person."},
	},
	{
		title: "Managed node groups: every device sent again, the AMI pinned, one update at a time, EKS's own words, back by a new version",
		patterns: []string{
			`test/targets\.TestNodeGroup.*`, `controllers/binding/managednodegroup\..*`, `internal/aws/eks\..*`, `controllers/binding/template\..*`,
			`internal/aws/launch\.Test(CreateVersion|OtherDevices|NoField|AWarning).*`, `controllers/binding\.TestNothingIsWrittenMeanwhile`,
		},
		besides: []string{"EKS, EC2, Auto Scaling, Batch and ECS themselves are not run; `test/fakeaws` says of each behaviour how it is known."},
	},
	{
		title: "Launch templates: versions published, groups and policies that follow, instance refreshes, a way back, pruning of no other's",
		patterns: []string{
			`test/targets\.TestLaunchTemplate.*`, `controllers/binding/launchtemplate\..*`,
			`internal/aws/launch\.Test(Groups|Refresh|UpdateGroup|FailedActivities|NamedNumbers|ScalingErrors|SpecificationNumber|SetDefault|DeleteVersions).*`,
		},
	},
	{
		title: "Batch compute environments: overrides included, what cannot be updated refused, INVALID taken back",
		patterns: []string{
			`test/targets\.TestBatch.*`, `controllers/binding/batchcomputeenvironment\..*`, `internal/aws/batch\..*`,
		},
	},
	{
		title: "ECS services: the volume by its name, deployments followed, the circuit breaker's outcome, the volume before restored",
		patterns: []string{
			`test/targets\.TestECSService.*`, `controllers/binding/ecsservice\..*`, `internal/aws/ecs\..*`, `controllers/binding/volume\..*`,
		},
	},
	{
		title: "VolumeSnapshots under a stable name, renewed without losing a claim, with and without the CSI kinds",
		patterns: []string{
			`test/targets\.TestVolumeSnapshot.*`, `test/targets\.TestEveryCrashOfAVolumeSnapshot`, `controllers/binding/volumesnapshot\..*`,
			`controllers/snapshot/references\.Test(ClustersWithoutCSI|ContentsOfALaterVersion)`,
		},
		besides: []string{"The CSI snapshot controller is the real one; the EBS CSI driver is played."},
	},
	{
		title: "One interface for all targets, with the same conditions, rollout, waiting and rollback",
		patterns: []string{
			`test/targets\.Test(AWholeLife|ACrash|ADeniedWrite)`,
			`controllers/binding\.Test(AnUpdateTakesItsTime|ADeniedWriteIsNotRepeatedAtOnce|NothingIsWrittenMeanwhile|BusyForTooLong|ThePlatformGoesBackByItself)`,
			`controllers/binding\.Test(TheNextSnapshotAfterAFailedUpdate|TheWayBackFails|AFailureThatStays|ADeletionWaitsForTheRestoration)`,
			`controllers/binding\.Test(ADeletionLeavesAtOnce|AFailureIsAnEventOnce)`,
		},
		besides: []string{"`docs/architecture.md` says what a further target takes: a package, a line, a member of `spec.target`."},
	},
	{
		title: "EKS, launch templates, Auto Scaling, Batch and ECS as a strict double, with states over time, and beside moto where that is right",
		patterns: []string{
			`test/fakeaws\.Test(NodeGroup|LaunchTemplate|Group|Refresh|Launches|Version|Warning|ECS|RowsOfMoto).*`,
			`test/fakeaws\.Test(ABrokenEnvironment|AnUpdate.*|EnvironmentsArePaged|UpdatesThatBatchRefuses|WhatReplacesNoInstance|UnmodelledOfBatchIsLoud)`,
		},
	},
	{
		title: "What a target refuses: a condition each, word for word, nothing half-applied, the snapshot in place kept",
		patterns: []string{
			`test/targets\.Test(NodeGroup|LaunchTemplate|Batch|VolumeSnapshot)Refusals`, `test/targets\.TestECSServiceRefusals`, `test/targets\.Test.*RefusedRenewal`,
			`test/targets\.Test.*(DeletedUnder(Us|It)|Denied)`, `controllers/binding/template\.TestWithRefusals`, `controllers/binding/volume\.TestVolumeRefusals`,
		},
		besides: []string{
			"A group without a template: `TestNodeGroupRefusals`, `TestBatchRefusals`. A template of another account: these and `TestLaunchTemplateRefusals`.",
			"A version deleted under us: `TestNodeGroupVersionDeletedUnderUs`, `TestLaunchTemplateRefusedRenewal`, `TestBatchVersionDeletedUnderIt`. " +
				"A template that is full: `TestNodeGroupRefusedRenewal`, `TestLaunchTemplateRefusedRenewal`, `TestBatchRefusedRenewal`.",
			"Somebody else's update for an hour: `TestNodeGroupBusyForOthers`, `TestLaunchTemplateRefreshOfSomebodyElse`, " +
				"`TestBatchWaitsForSomebodyElse`, `TestECSServiceIsLeftAloneWhileOthersDeploy`.",
			"A DEGRADED group, and launches denied to EKS: `TestNodeGroupRefusals` at first, `TestNodeGroupRefusedRenewal` later. A group on another " +
				"template: `TestLaunchTemplateRefusals`, `TestLaunchTemplateRefusedRenewal`. BEST_FIT: `TestBatchRefusals`.",
			"A volume name that does not exist, a filesystem that does not match: `TestECSServiceRefusals`, `TestECSServiceRefusedRenewal`. A snapshot " +
				"larger than asked: every `RefusedRenewal`; a smaller one: `TestECSServiceSizeFollowsASnapshotThatIsSmaller`, `TestVolumeFromASnapshot`.",
		},
	},
	{
		title:    "Somebody else's update is waited for, and a person told after an hour",
		patterns: []string{`test/targets\.Test(NodeGroupBusyForOthers|LaunchTemplateRefreshOfSomebodyElse|BatchWaitsForSomebodyElse|ECSServiceIsLeftAloneWhileOthersDeploy)`},
	},
	{
		title:    "The operator ended at every request of a target's life: bound, renewed, taken back, deleted; one version per revision, no second update",
		patterns: []string{`test/targets\.Test.*EveryCrash.*`, `controllers/binding/(template|batchcomputeenvironment)\.TestRandomHistories`},
		besides:  []string{"With the race detector a fifth of the moments is tried; `make test` tries all of them without it."},
	},
	{
		title: "Every consumer alone keeps a snapshot alive: node groups, Batch environments, ECS services, VolumeSnapshotContents",
		patterns: []string{
			`internal/aws/launch\.Test(EachWayAlone|UsesOf|OneVersionMayName|ARefusedLook|WhatVanishes|WithoutAnAnswer|EveryPage).*`,
			`controllers/snapshot/references\.Test(WhoUsesASnapshot|EachConsumerIsAsked|WhatCannotBeReadIsAnError|ContentsOfALaterVersion)`,
		},
	},
	{
		title:    "A command line that builds and inspects, for scripts and for people",
		patterns: []string{`cmd/larder\..*`, `test/node\.TestNodeBuildAndInspectNeedNoPrivileges`},
	},
	{
		title:    "A real containerd that takes the volume for its own, with the registry stopped",
		patterns: []string{`test/node\..*`},
	},
	{
		title:    "A demo of the whole on one machine",
		patterns: []string{`test/e2e\.TestFromImagesToNodesAndBack`},
		besides:  []string{"`make demo` shows the same to a person."},
	},
}
