// Package builder makes the volumes of ImageCacheSnapshots: it joins registries, volumes and EBS, of which package snapshot
// knows no more than a Builder.
package builder
