#!/usr/bin/env bash
# make_tree.sh TREE SUITE
#
# Puts a real Blender with a window into the folder TREE: a small Debian with Blender, Xvfb, Mesa's software OpenGL,
# xdotool and ImageMagick. SUITE is trixie (Blender 4.3) or sid (the newest Blender that Debian has).
# TREE.run is then a wrapper that runs one command inside it:
#
#     BLENDER_HOME=/tmp/home BIND="/more/folders" TREE.run blender --version
#
# Needs root and a Debian host, whose own mirror is used. A finished tree is left as it is unless the packages change.
set -euo pipefail

[ $# = 2 ] || { echo "usage: make_tree.sh TREE SUITE" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "make_tree.sh: needs root, for chroot" >&2; exit 1; }
TREE=$(realpath -m "$1")
SUITE=$2
READY=$TREE/.blender-gui-ready
PARTIAL=$TREE/.blender-gui-partial

PACKAGES=blender,xvfb,libgl1-mesa-dri,libglx-mesa0,libegl-mesa0,libgl1,libegl1
PACKAGES+=,xdotool,imagemagick,openbox,x11-utils,tesseract-ocr
# Blender's own scripts import these; Debian's package names none of them:
PACKAGES+=,python3-numpy,python3-requests,python3-zstandard,python3-cattr

debian_mirror() {
  local file
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] || continue
    awk '/^#/{next} /^URIs:/{for(i=2;i<=NF;i++) if($i ~ /\/debian\/?$/){print $i; exit}}' "$file"
  done
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -e "$file" ] || continue
    sed -nE 's/^deb +(\[[^]]*\] +)?([^ ]+\/debian\/?) .*/\2/p' "$file"
  done
}

ensure_mmdebstrap() {
  command -v mmdebstrap >/dev/null && return
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
}

remove_half_made_tree() {
  [ -d "$TREE" ] || return 0
  if grep -q " $TREE/" /proc/mounts; then echo "$TREE has mounts inside" >&2; exit 1; fi
  if [ -n "$(ls -A "$TREE")" ] && [ ! -e "$PARTIAL" ] && [ ! -e "$READY" ]; then echo "$TREE holds something else" >&2; exit 1; fi
  rm -rf --one-file-system "$TREE"
}

make_tree() {
  local mirror settings
  mirror=$(debian_mirror); mirror=${mirror%%$'\n'*}
  [ -n "$mirror" ] || { echo "make_tree.sh: no Debian mirror in apt's configuration" >&2; exit 1; }
  ensure_mmdebstrap
  remove_half_made_tree
  mkdir -p "$(dirname "$TREE")"
  settings=$(mktemp); trap 'rm -f "$settings"' RETURN
  # The host's proxy, certificates and date checks hold for the tree too.
  apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Check-Date|https?::)' > "$settings" || true
  mmdebstrap --mode=root --variant=apt --quiet \
    --aptopt="$settings" \
    --aptopt='APT::Install-Recommends "false"' \
    --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-include=/usr/share/locale/locale.alias' \
    --dpkgopt='force-unsafe-io' \
    --setup-hook='touch "$1/.blender-gui-partial"' \
    --include="$PACKAGES" \
    "$SUITE" "$TREE" \
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $SUITE main"
  umount --lazy "$TREE/proc" 2>/dev/null || true  # a daemon that a package started may hold it
  ln -sfn /proc/self/mounts "$TREE/etc/mtab"  # else Blender warns at each start
  rm -f "$PARTIAL"
  echo "$PACKAGES" > "$READY"
}

write_wrapper() {
  # The mount namespace is the command's own, so that no mount is ever left behind.
  cat > "$TREE.run" <<WRAPPER
#!/usr/bin/env bash
# $(basename "$TREE").run COMMAND...: inside the tree. BIND: more host folders at the same place; BLENDER_HOME: HOME inside.
set -euo pipefail
export _TREE='$TREE' _WORK="\$PWD"
exec unshare --mount --propagation private bash -c '
  set -e
  mount -t proc proc "\$_TREE/proc" 2>/dev/null || mount --rbind /proc "\$_TREE/proc"
  mount --rbind /dev "\$_TREE/dev"
  for folder in /tmp \${BIND:-}; do mkdir -p "\$_TREE\$folder"; mount --rbind "\$folder" "\$_TREE\$folder"; done
  cp -L /etc/resolv.conf "\$_TREE/etc/resolv.conf" 2>/dev/null || true
  tree=\$_TREE work=\$_WORK; unset _TREE _WORK BIND
  exec chroot "\$tree" /usr/bin/env -u LD_LIBRARY_PATH -u PYTHONPATH -u PYTHONHOME \
    PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin LANG=C.UTF-8 LC_ALL=C.UTF-8 \
    HOME="\${BLENDER_HOME:-/root}" LIBGL_ALWAYS_SOFTWARE=1 GALLIUM_DRIVER=llvmpipe \
    XDG_RUNTIME_DIR=/tmp/.xdg-blender-gui \
    bash -c "mkdir -p -m 700 /tmp/.xdg-blender-gui; cd \"\$work\" 2>/dev/null || cd /; exec \"\\\$@\"" _ "\$@"
' _ "\$@"
WRAPPER
  chmod +x "$TREE.run"
}

[ "$(cat "$READY" 2>/dev/null)" = "$PACKAGES" ] || make_tree
write_wrapper
