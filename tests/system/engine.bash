# SPDX-License-Identifier: GPL-2.0-or-later
# What the tests of engines share: mount and cgroup namespaces of the file's own, with cgroup version 2 alone at
# /sys/fs/cgroup (a group of our own), an empty /run, and a tmpfs $E for all that an engine keeps; nothing of the machine's
# own engines is seen or touched, and all is gone with the namespace. `inside COMMAND` runs there. BATON names the runtime.

bats_require_minimum_version 1.5.0

engine_setup() { # sets BATON, E, E_PID for the file
    [ "$(id -u)" = 0 ] || skip "needs root"
    [ -x /bin/busybox ] || skip "needs busybox-static"
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    BUILD=${BUILD:-build}
    case $BUILD in /*) ;; *) BUILD=$ROOT/$BUILD ;; esac
    export BATON=${BATON:-$BUILD/baton} HOME=$BATS_FILE_TMPDIR
    # not below the test's folder: users of user namespaces need a way in
    E=$(mktemp -d /tmp/engine-XXXXXX)
    export E
    chmod 755 "$E"
    unshare --mount --propagation private "$BATS_TEST_DIRNAME/baton-view" sh -c '
        mkdir "/sys/fs/cgroup/${E##*/}" && echo $$ >"/sys/fs/cgroup/${E##*/}/cgroup.procs" || exit
        exec unshare --cgroup sh -c "
            umount -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && mkdir /sys/fs/cgroup/init &&
            echo \$\$ >/sys/fs/cgroup/init/cgroup.procs && mount -t tmpfs -o mode=755 run /run &&
            mount -t tmpfs -o mode=755 engine $E && touch $E/ready && exec sleep 3600"' </dev/null >/dev/null 2>&1 3>&- &
    export E_PID=$!
    until_true inside test -e "$E/ready"
}

engine_teardown() {
    [ -n "${E_PID:-}" ] || return 0
    kill "$E_PID" || true
    until_true rmdir "$E"
    until_true "$BATS_TEST_DIRNAME/baton-view" sh -c "find /sys/fs/cgroup/${E##*/} -depth -type d -exec rmdir {} +"
}

inside() {
    nsenter -t "$E_PID" --mount --cgroup sh -c 'echo $$ >/sys/fs/cgroup/init/cgroup.procs && exec "$@"' sh "$@"
}

# a root folder with nothing but busybox
busybox_root() { # FOLDER
    mkdir -p "$1"/{bin,etc,tmp,proc,sys,dev,home/user}
    chmod 1777 "$1/tmp"
    cp /bin/busybox "$1/bin/"
    for a in sh true false cat id env pwd sleep ls mount stat touch tty grep echo mkdir kill hostname head stty test ps ip readlink; do
        ln -sf busybox "$1/bin/$a"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1001::/home/user:/bin/sh\n' >"$1/etc/passwd"
    printf 'root:x:0:\nusers:x:1001:\nextra:x:50:user\n' >"$1/etc/group"
}

until_true() { # COMMAND …: true within twenty seconds (the machine may be loaded)
    for _ in $(seq 800); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.025
    done
    echo "never true: $*" >&2
    return 1
}
