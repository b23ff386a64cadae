# SPDX-License-Identifier: GPL-2.0-or-later
# What the tests of baton as an OCI runtime share: the bundle $T/b and the program $BATON, run in a view of the host with
# cgroup version 2 alone ($VIEW). A file's setup() calls bundle_setup.

# bundle_setup APPLET ...: the variables, and a root of busybox with these names
bundle_setup() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    BUILD=${BUILD:-build}
    case $BUILD in /*) ;; *) BUILD=$ROOT/$BUILD ;; esac
    BATON=${BATON:-$BUILD/baton}
    VIEW=$BATS_TEST_DIRNAME/baton-view
    [ "$(id -u)" = 0 ] || skip "needs root"
    [ -x /bin/busybox ] || skip "needs busybox-static"
    T=$BATS_TEST_TMPDIR
    ID=bats-$$-$BATS_TEST_NUMBER
    mkdir -p "$T/state" "$T/b/rootfs/bin" "$T/b/rootfs/etc"
    cp /bin/busybox "$T/b/rootfs/bin/"
    for a in "$@"; do ln -s busybox "$T/b/rootfs/bin/$a"; done
}

baton() { "$VIEW" "$BATON" --root "$T/state" "$@"; }

# config ARG ...: a config.json that runs the command; edit changes it afterwards
config() {
    rm -f "$T/b/config.json"
    "$BATON" spec -b "$T/b"
    edit 'c["process"]["terminal"] = False; c["process"]["args"] = a' "$@"
}

edit() {
    python3 - "$T/b/config.json" "$@" <<'PY'
import json, sys
path, code, a = sys.argv[1], sys.argv[2], sys.argv[3:]
c = json.load(open(path))
exec(code)
json.dump(c, open(path, "w"))
PY
}
