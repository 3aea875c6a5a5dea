// Package ctrstore writes what a containerd root holds beside the layers' files, so that a containerd that
// finds it takes the images for its own: pulled, unpacked, pinned, and with nothing for its garbage collector.
//
//	<root>/                                                          0700
//	├── io.containerd.content.v1.content/                            0755
//	│   ├── blobs/<algorithm>/<hex>                                  0444  indexes, manifests, configs
//	│   └── ingest/                                                  0755
//	├── io.containerd.metadata.v1.bolt/                              0711
//	│   └── meta.db                                                  0644
//	└── io.containerd.snapshotter.v1.overlayfs/                      0700
//	    ├── metadata.db                                              0600
//	    └── snapshots/<id>/                                          0700
//	        ├── fs/                                                        the layer
//	        └── work/                                                0711
//
// Sources, all of containerd v2.4.2: the databases' schema is in core/metadata/buckets.go and
// core/snapshots/storage/bolt.go; modes in cmd/containerd/server/server.go, plugins/content/local/store.go and
// writer.go, plugins/metadata/plugin.go and plugins/snapshots/overlay/overlay.go. Version 3 of the schema opens
// on containerd 1.6 to 2.4; 2.x raises it to 4, which changes sandboxes only (core/metadata/migrations.go).
//
// # Labels
//
// They are those that a pull with discarded layers leaves behind (core/images/mediatypes.go,
// ChildGCLabelsFilterLayers; core/images/handlers.go, SetChildrenMappedLabels):
//
//   - containerd.io/gc.ref.content.{m.N,config,N} lead from an index or manifest to its children, those of
//     other platforms too: the collector skips what is not there (core/metadata/gc.go, references). Layers have
//     none, since their blobs are absent.
//   - containerd.io/gc.ref.snapshot.overlayfs leads from a config to its top snapshot (core/unpack/unpacker.go);
//     an image without layers has none.
//   - containerd.io/distribution.source.<host> names the repositories of a blob, sorted
//     (core/remotes/docker/handler.go).
//   - containerd.io/snapshot.ref names a snapshot's chain in both databases (core/unpack/unpacker.go).
//   - io.cri-containerd.image=managed and io.cri-containerd.pinned=pinned are on every image record: the CRI
//     reads them from whichever it meets (internal/cri/store/image/image.go), and a pinned image is never
//     collected by kubelet.
package ctrstore
