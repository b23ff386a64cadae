# SPDX-License-Identifier: GPL-2.0-or-later
# What the conformance files share. They use nothing but the command line of the OCI runtimes and config.json, so they run
# unchanged against any of them:  make check-oci RUNTIME=crun   (default: this build's baton)
#
# Each file is about one verb or one section of the specification. In a test: $B is the bundle, `config ARG …` writes its
# config.json with that command, `edit PYTHON` changes it (c is the document, p its process, l its linux part, a the
# further arguments), `oci …` calls the runtime, `contained CODE` runs the container in the foreground.
# What a version of a runtime is known to do otherwise is marked with `known NAME VERSION REASON`, first thing in the test:
# for it, up to that version, the test is skipped with the reason (OCI_KNOWN=run: it runs all the same).

bats_require_minimum_version 1.5.0

setup_file() {
    [ "$(id -u)" = 0 ] || skip "needs root"
    [ -x /bin/busybox ] || skip "needs busybox-static"
    local root=$BATS_TEST_DIRNAME/../..
    BUILD=${BUILD:-build}
    case $BUILD in /*) ;; *) BUILD=$root/$BUILD ;; esac
    RUNTIME=$(command -v "${RUNTIME:-$BUILD/baton}") || { echo "no runtime $RUNTIME" >&2; return 1; }
    case $RUNTIME in /*) ;; *) RUNTIME=$PWD/$RUNTIME ;; esac
    # "crun version 1.8.1", "runc version 1.1.5+ds1"
    read -r NAME _ VERSION < <("$RUNTIME" --version)
    export RUNTIME NAME VERSION
    export VIEW=$BATS_TEST_DIRNAME/../system/baton-view BASE=$BATS_FILE_TMPDIR
    mkdir -p "$BASE/rootfs"/{bin,etc,proc,sys,dev,tmp}
    cp /bin/busybox "$BASE/rootfs/bin/"
    for a in awk cat chmod chown cut dd echo env false find grep head hostname id ip kill ln ls mkdir mknod mount ps pwd \
        readlink rmdir sed sh sleep sort stat stty tail touch tr true tty umask uname wc; do ln -s busybox "$BASE/rootfs/bin/$a"; done
    # what is open beside pipes and the null device; the shell itself reads a folder meanwhile
    echo 'for f in /proc/$$/fd/*; do readlink $f; done | grep -vxE "/dev/null|pipe:.*|socket:.*|/proc/.*|/bin/open-files|.*/separate-stderr.*"; true' >"$BASE/rootfs/bin/open-files"
    printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1001::/home/user:/bin/sh\n' >"$BASE/rootfs/etc/passwd"
    printf 'root:x:0:\nextra:x:50:user\n' >"$BASE/rootfs/etc/group"
}

setup() {
    T=$BATS_TEST_TMPDIR
    B=$T/b
    ID=oci-$$-$BATS_TEST_NUMBER
    mkdir -p "$T/state" "$B"
    cp -a "$BASE/rootfs" "$B/rootfs"
}

teardown() {
    [ -n "${T:-}" ] || return 0
    [ -n "$BATS_TEST_COMPLETED" ] || cat "$T/out" 2>/dev/null || true
    for s in "$T"/state/*/; do [ ! -d "$s" ] || oci delete --force "$(basename "$s")" >/dev/null 2>&1 || true; done
    [ -z "${OPEN:-}" ] || rm -rf "$OPEN"
    # other runtimes leave groups behind after some errors
    [ "$NAME" = baton ] || "$VIEW" find /sys/fs/cgroup -maxdepth 1 -name "$ID*" -type d -exec rmdir {} + 2>/dev/null || true
}

# known NAME VERSION REASON
known() {
    [ "$NAME" = "$1" ] && [ "${OCI_KNOWN:-}" != run ] || return 0
    [ "$(printf '%s\n%s\n' "$VERSION" "$2" | sort -V | tail -n 1)" = "$2" ] || [[ "$VERSION" == "$2"* ]] || return 0
    skip "known of $1 $VERSION: $3"
}

oci() { "$VIEW" "$RUNTIME" --root "$T/state" "$@"; }

# the command in a container with namespaces of its own, the usual mounts, and nothing special
config() {
    local arg args=
    for arg; do
        arg=${arg//\\/\\\\} arg=${arg//\"/\\\"} arg=${arg//$'\n'/\\n}
        args+=${args:+, }\"$arg\"
    done
    cat >"$B/config.json" <<J
{"ociVersion": "1.0.2", "hostname": "contained", "root": {"path": "rootfs", "readonly": false},
 "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "args": [$args], "noNewPrivileges": true,
  "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
  "capabilities": {"bounding": ["CAP_KILL", "CAP_CHOWN"], "effective": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL", "CAP_CHOWN"]}},
 "mounts": [
  {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
  {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
  {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
  {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
  {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
  {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}],
 "linux": {"namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "cgroup"}]}}
J
}

edit() {
    python3 -IS - "$B/config.json" "$@" <<'P'
import json, sys
path, code, a = sys.argv[1], sys.argv[2], sys.argv[3:]
c = json.load(open(path))
p = c["process"]; l = c["linux"]; m = c["mounts"]
def without(kind): l["namespaces"] = [n for n in l["namespaces"] if n["type"] != kind]
exec(code)
json.dump(c, open(path, "w"))
P
}

# contained CODE: 0, another one, or "fails" for any but 0. Sets output and stderr.
contained() {
    run --separate-stderr oci run -b "$B" "$ID" </dev/null
    if [ "$1" = fails ]; then [ "$status" -ne 0 ]; else [ "$status" -eq "$1" ]; fi || {
        echo "exit code $status: $output $stderr"
        return 1
    }
}
create() { oci create -b "$B" --pid-file "$T/pid" "$@" "$ID" </dev/null >"$T/out" 2>&1 3>&- 4>&-; }
detached() { oci run -d -b "$B" --pid-file "$T/pid" "$@" "$ID" </dev/null >"$T/out" 2>&1 3>&- 4>&-; }
pid() { cat "$T/pid"; }
value() { python3 -IS -c 'import json, sys; d = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"; } # of the JSON on stdin: d
status_of() { oci state "${1:-$ID}" | value 'd["status"]'; }
has_status() { [ "$(status_of)" = "$1" ]; }

until_true() {
    for _ in $(seq 800); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.02
    done
    echo "never true: $*" >&2
    return 1
}
ended() { ! [ -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }

# a root that users of user namespaces find: their way does not go through the test's folder
open_bundle() {
    OPEN=$(mktemp -d /tmp/oci-XXXXXX)
    chmod 755 "$OPEN"
    cp -a "$BASE/rootfs" "$OPEN/rootfs"
    edit 'c["root"]["path"] = a[0] + "/rootfs"' "$OPEN"
}

nothing_left() {
    [ -z "$(ls -A "$T/state")" ]
    [ -z "$("$VIEW" find /sys/fs/cgroup -name "*$ID*" 2>/dev/null)" ]
    ! grep -q "$T" /proc/self/mountinfo || false
}
