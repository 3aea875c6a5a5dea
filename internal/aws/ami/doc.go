// Package ami tells what AMIs are, and what they need of an instance's block devices.
package ami
