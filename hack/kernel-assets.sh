#!/usr/bin/env bash
# Prints the path of a Linux kernel for virtual machines, Debian's cloud kernel: it has ext4 and NVMe built in. It is
# downloaded with apt on first use and unpacked, not installed. KERNEL_DIR moves the store.
set -euo pipefail

store=${KERNEL_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/larder}
for command in apt-get apt-cache dpkg-deb; do
  command -v "$command" >/dev/null || {
    echo "there is no $command: the kernel for the tests is the package linux-image-cloud-amd64 of Debian" >&2
    exit 1
  }
done
package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '/Depends: linux-image-/ {print $2; exit}')
[ -n "$package" ] || {
  echo "apt does not know the package linux-image-cloud-amd64: run apt-get update, with Debian's main archive" >&2
  exit 1
}

mkdir -p "$store"
exec 9>"$store/.kernel.lock"
flock 9 # two test runs at once download only one kernel

kernel=$store/$package/boot/vmlinuz-${package#linux-image-}
if [ ! -f "$kernel" ]; then
  echo "Downloading $package, once: it is not in $store." >&2
  download=$(mktemp -d "$store/.kernel.XXXXXX")
  trap 'rm -rf "$download"' EXIT
  (cd "$download" && apt-get download -q "$package" >&2)
  # All but the modules: what the tests need is built in.
  dpkg-deb --fsys-tarfile "$download"/*.deb | tar -x -C "$download" ./boot
  rm -rf "${store:?}/$package"
  mkdir "$store/$package"
  mv "$download/boot" "$store/$package/boot"
fi
echo "$kernel"
