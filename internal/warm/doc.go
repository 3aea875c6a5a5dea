// Package warm reads the parts of a volume that a node needs first, ahead of their use and many at a time.
//
// A volume made from an EBS snapshot fetches each block of 512 KiB from S3 when it is touched for the first time,
// which takes tens of milliseconds. Starting a container touches blocks one after the other, so that all of these
// add up. Which blocks it will touch is known when the volume is made: the volume holds their list (List, in the
// file .larder/hot), and Read touches them in parallel.
package warm
