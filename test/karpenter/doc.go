// Package karpenter plays Karpenter's part in tests: what its controllers write to EC2NodeClasses, NodePools and
// NodeClaims, and nothing else. Karpenter's kinds are its own releases'; its controllers are not run, and so are neither
// EC2 nor kubelet. There are no Node objects: that a node is up is said by Player.Ready. It is no product feature.
//
// Each call of the Player is one deterministic step: it starts nothing and waits for nothing.
//
// What it does, and how we know. "measured" was seen with the controller of Karpenter 1.15 on a real API server, against
// doubles of AWS; "read" is in the source of karpenter-provider-aws v1.15.1 (K) or karpenter v1.14.0 (C), at the path
// given.
//
//	behaviour                                                   known from
//	----------------------------------------------------------  ---------------------------------------------------------
//	a class's hash changes with a device's fields               measured
//	and neither with the order of devices nor with units        measured; K pkg/apis/v1/ec2nodeclass.go (SlicesAsSets)
//	selector terms, an AMI family that an alias means,          read: K pkg/apis/v1/ec2nodeclass.go (hash:"ignore", Hash)
//	  and the number of IP prefixes are not in it
//	the hash is written though validation fails                 measured; K pkg/controllers/nodeclass/hash
//	a snapshot that EC2 refuses: Ready=Unknown, and             measured; K pkg/controllers/nodeclass/validation.go
//	  ValidationSucceeded=True of an older generation             returns an error and sets no condition
//	its cause is in no condition                                measured
//	validation is not repeated for a spec that has passed       read: K pkg/controllers/nodeclass/validation.go (its cache
//	                                                              ends after a time; here it does not)
//	Ready is False by a dependent that is, Unknown by one       read: operatorpkg status/condition_set.go
//	  that is, or that is of an older generation
//	a class is held by its NodeClaims when it is deleted        read: K pkg/controllers/nodeclass/controller.go
//	a NodePool's hash is of its template, without requirements  read: C pkg/apis/v1/nodepool.go
//	a change of its nodeClassRef drifts its nodes               measured
//	drift: NodePoolDrifted, RequirementsDrifted,                read: C pkg/controllers/nodeclaim/disruption/drift.go,
//	  NodeClassDrift, AMIDrift, in this order                     K pkg/cloudprovider/drift.go
//	Drifted goes when the hashes are equal again                measured
//	hashes of another version, and claims that are not          read: the same
//	  launched, do not drift
//	nothing launches while the class's Ready is not True,       measured; K pkg/cloudprovider/cloudprovider.go (Create),
//	  or is of an older generation                                C pkg/controllers/provisioning/provisioner.go
//	a claim has the class's hash from its launch on             read: K pkg/cloudprovider/cloudprovider.go (Create)
//	a snapshot deleted since: Launched=Unknown, LaunchFailed    measured; its message: K pkg/errors/errors.go
//	a claim whose class is not Ready any more is deleted        read: C pkg/controllers/nodeclaim/lifecycle/launch.go
//	a launch that fails is tried again                          read: C pkg/controllers/nodeclaim/lifecycle/launch.go
//	after 5 minutes such a claim is deleted, and after 15 one   read: C pkg/controllers/nodeclaim/lifecycle/liveness.go
//	  that did not register
//	two such of the last four registrations of a NodePool:      measured; C pkg/state/nodepoolhealth/tracker.go
//	  NodeRegistrationHealthy=False
//	which is Unknown again when class or pool change            read: C pkg/controllers/nodepool/registrationhealth
//	drift waits for its replacement to be initialized           read: C pkg/controllers/disruption/queue.go
//	  and is marked by the condition DisruptionReason
//	budgets: the least of those that are active and name the    read: C pkg/apis/v1/nodepool.go; without any it is 10 %,
//	  reason or none; percentages round up; one that is not       a default of the NodePool's schema
//	  active does not limit                                     measured, for the last one
//	nodes that are not initialized do not count                 read: C pkg/controllers/disruption/helpers.go
//
// Left out: expiry, consolidation, repair, subnets, security groups, capacity reservations, static NodePools, and drift
// of what the instance itself tells. One call of Disrupt starts as many replacements as the budgets allow; Karpenter
// starts them one after the other.
package karpenter
