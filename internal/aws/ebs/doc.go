// Package ebs writes EBS snapshots block by block without an instance, reads them back, and does what a snapshot
// meets later in its life: it finds, tags, copies, shares, fast-restores and deletes them. A Client is of one Region;
// a copy is made by the Client of the Region that gets it.
//
// An upload goes through three calls, and only AWS decides when the snapshot is usable:
//
//	Start ──> WriteBlock … WriteBlock ──> Complete ──> (pending) ──> Describe says completed
//	  └────────────┴──────────┴── Abort: deletes what is half written
//
// A snapshot may be started as the child of another: then only what differs is sent, zeros that erase included,
// and ErrParentUnusable says when it has to be built without one.
//
// Every call has exactly one retry layer, the SDK's own, and every attempt its own time limit: retries around
// retries multiply into hours (https://github.com/awslabs/coldsnap/pull/437). A call that would do its work twice and
// has no token, which is Copy, is repeated only when it certainly had no effect. All uploads of a Client share one
// token bucket for their blocks, which is as large as AWS's quota for the account.
package ebs

// BlockSize is the only block size of the EBS direct API, in bytes.
// https://docs.aws.amazon.com/ebs/latest/APIReference/API_PutSnapshotBlock.html
const BlockSize = 512 << 10

const blocksPerGiB = 1 << 30 / BlockSize
