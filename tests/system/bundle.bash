# SPDX-License-Identifier: GPL-2.0-or-later
# What the tests of baton as an OCI runtime share: the bundle $T/b and the program $BATON, run in a view of the host with
# cgroup version 2 alone ($VIEW). A file's setup() sets these variables.

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
