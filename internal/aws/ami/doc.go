// Package ami tells what AMIs need of an instance's block devices.
package ami
