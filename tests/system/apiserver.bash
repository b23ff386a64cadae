# SPDX-License-Identifier: GPL-2.0-or-later
# What the tests of the API server alone share: the test program tests/system/apiserver_main.c, started once per file,
# and kubectl on it. No nodes, no controllers.
#
#     load apiserver
#     setup_file() { apiserver_start; }
#     teardown_file() { apiserver_stop; }
# Variables: T (the file's folder), KUBECONFIG, APISERVER (the test program; built when it is not given).

apiserver_start() {
    command -v kubectl >/dev/null || skip "no kubectl"
    if [ -z "${APISERVER:-}" ]; then
        export APISERVER="${BUILD:-build}/system/apiserver_main"
        mkdir -p "${BUILD:-build}"
        flock "${BUILD:-build}/programs.lock" make -s -f tests/system/programs.mk BUILD="${BUILD:-build}" "$APISERVER" >&2
    fi
    export T="$BATS_FILE_TMPDIR" HOME="$BATS_FILE_TMPDIR" KUBECONFIG="$BATS_FILE_TMPDIR/api/kubeconfig"
    "$APISERVER" "$T/api" >"$T/port" 2>"$T/log" 3>&- &
    echo $! >"$T/pid"
    for _ in $(seq 100); do [ -s "$T/port" ] && return 0; sleep 0.1; done
    cat "$T/log" >&2
    return 1
}

apiserver_stop() {
    { [ -e "$T/pid" ] && kill "$(cat "$T/pid")" && wait "$(cat "$T/pid")"; } || true
}

k() { timeout 30 kubectl --cache-dir="$T/cache" "$@"; }
guest() { KUBECONFIG="$T/api/kubeconfig-guest" k "$@"; }
