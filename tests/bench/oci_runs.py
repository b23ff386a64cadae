# SPDX-License-Identifier: GPL-2.0-or-later
# What tests/bench/oci measures. usage: oci_runs.py FOLDER [--quick] RUNTIME ...   (FOLDER: rootfs, and config.json of
# `baton spec`). Calls of the runtimes take turns, so that whatever else the machine does hits all of them alike.
import json, os, subprocess, sys, time
from statistics import median

folder, *runtimes = sys.argv[1:]
quick = "--quick" in runtimes
runtimes = [r for r in runtimes if r != "--quick"]
names = {}
for r in runtimes:
    name = os.path.basename(r)
    names[r] = name if name not in names.values() else r
rounds, alive = (5, 10) if quick else (40, 100)
null = os.open("/dev/null", os.O_RDWR)


def bundle(name, args, change=lambda c: None):
    c = json.load(open(folder + "/config.json"))
    c["process"].update({"args": args, "terminal": False})
    c["process"].pop("rlimits", None)
    c["ociVersion"] = "1.0.2"
    c["root"] = {"path": folder + "/rootfs", "readonly": True}
    for key in ("resources", "cgroupsPath", "seccomp"):
        c["linux"].pop(key, None)
    change(c)
    path = folder + "/" + name
    os.mkdir(path)
    json.dump(c, open(path + "/config.json", "w"))
    return path


def spawn(args):
    actions = [(os.POSIX_SPAWN_DUP2, null, n) for n in (0, 1, 2)]
    return os.posix_spawn(args[0], args, os.environ, file_actions=actions)


def call(*args):
    """Runs a command; seconds. A failure ends the measurement: figures of errors are none."""
    began = time.monotonic()
    _, status = os.waitpid(spawn(args), 0)
    if status != 0:
        print("failed:", " ".join(args), file=sys.stderr)
        subprocess.run(args)
        sys.exit(1)
    return time.monotonic() - began


def peak_of(args):
    """Peak resident size, kB. Started by busybox, for a process begins with the peak of its parent, and Python's is higher
    than any of what is measured."""
    p = subprocess.run(["busybox", "time", "-f", "peak %M", *args], stdin=null, stdout=null, stderr=subprocess.PIPE, text=True)
    return int(p.stderr.rsplit("peak ", 1)[1])


def peaks(what, args):
    # some versions of busybox take the kernel's kB for pages
    unit = 4 if peak_of([sys.executable, "-IS", "-c", "x = b'x' * 50000000"]) > 150000 else 1
    floor = peak_of(["busybox", "true"]) // unit
    show(what, {r: median(peak_of(args(r, i)) for i in range(5)) / unit for r in runtimes}, "peak RSS (kB; floor %d)" % floor, 0)


def command(r, *args):
    return [r, "--root", folder + "/state-" + names[r].replace("/", "_"), *args]


def show(what, values, unit, digits):
    base = values[runtimes[0]]
    cells = []
    for r in runtimes:
        if values.get(r) is None:
            continue
        ratio = "" if r == runtimes[0] or not base else " (%.2f x)" % (values[r] / base)
        cells.append("%s %.*f%s" % (names[r], digits, values[r], ratio))
    print("%-58s %s" % (what + ", " + unit, "; ".join(cells)), flush=True)
    record(what, values, unit)


# beside crun: goals of DESIGN.md and README
GOALS = {"run /bin/true": "<= 0.75 x crun", "exec /bin/true": "<= 0.7 x crun", "create, start, kill, delete": "<= 0.7 x crun"}


def record(what, values, unit):
    """As tests/bench/record.h. Our own figure, and the same of each other."""
    if not os.environ.get("BENCH_JSON"):
        return
    name = what + ("" if unit.startswith("median") or unit.startswith("all") else ", " + unit.split(" (")[0])
    unit = unit[unit.index("(") + 1:].split(";")[0].rstrip(")") if "(" in unit else unit
    with open(os.environ["BENCH_JSON"], "a") as f:
        for r in runtimes:
            if values.get(r) is None:
                continue
            o = {"group": "oci", "name": name, "unit": unit}
            if r == runtimes[0]:
                o["value"] = round(values[r], 4)
                if name in GOALS:
                    o["goal"] = GOALS[name]
            else:
                o.update(peer=names[r], peer_value=round(values[r], 4))
            f.write(json.dumps(o) + "\n")


def rounds_of(what, one):
    """one(runtime, number) → seconds, the runtimes taking turns."""
    times = {r: [] for r in runtimes}
    for i in range(rounds + 1):
        for r in runtimes:
            seconds = one(r, i)
            if i:  # the first of each fills caches
                times[r].append(seconds * 1000)
    show(what, {r: median(times[r]) for r in runtimes}, "median (ms)", 2)


def system_calls(what, args):
    """args(runtime) → the command; all of its threads and children, the container's program, too."""
    counts = {}
    for r in runtimes:
        out = folder + "/strace"
        p = subprocess.run(["strace", "-f", "-qq", "-o", out, "-e", "signal=none", *args(r)], stdin=null, stdout=null, stderr=null)
        lines = [l.split(None, 1)[1] for l in open(out) if len(l.split(None, 1)) == 2]
        counts[r] = sum(1 for l in lines if "resumed>" not in l and l[0] not in "+-") if p.returncode == 0 else None
    show(what, counts, "system calls", 0)


def pss(pid):
    for line in open("/proc/%d/smaps_rollup" % pid):
        if line.startswith("Pss:"):
            return int(line.split()[1])


def many(sleeping):
    starts, ends = {}, {}
    for r in runtimes:
        began = time.monotonic()
        for i in range(alive):
            call(*command(r, "create", "-b", sleeping, "bench-m%d" % i))
            call(*command(r, "start", "bench-m%d" % i))
        starts[r] = time.monotonic() - began
        began = time.monotonic()
        for i in range(alive):
            call(*command(r, "kill", "bench-m%d" % i, "KILL"))
            call(*command(r, "delete", "--force", "bench-m%d" % i))
        ends[r] = time.monotonic() - began
    show("%d containers: create and start" % alive, starts, "all (s)", 2)
    show("%d containers: kill and delete" % alive, ends, "all (s)", 2)


def waiting(sleeping):
    sizes = {}
    for r in runtimes:
        pids = [spawn(command(r, "run", "-b", sleeping, "bench-w%d" % i)) for i in range(alive)]
        for i in range(alive):  # all are there
            for _ in range(1000):
                if subprocess.run(command(r, "state", "bench-w%d" % i), stdout=subprocess.PIPE, stderr=null).stdout.find(b'"running"') > 0:
                    break
                time.sleep(0.02)
        sizes[r] = sum(pss(p) for p in pids) / alive
        for i in range(alive):
            call(*command(r, "kill", "bench-w%d" % i, "KILL"))
        for p in pids:
            os.waitpid(p, 0)
    show("`run` that waits in the foreground, %d alive" % alive, sizes, "PSS each (kB)", 0)


def main():
    true = bundle("true", ["/bin/true"])
    sleeping = bundle("sleep", ["/bin/sleep", "600"])

    def filtered(c):
        c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": [n], "action": "SCMP_ACT_ERRNO"} for n in (
                "acct add_key bpf clock_adjtime clock_settime create_module delete_module finit_module get_kernel_syms init_module "
                "ioperm iopl kcmp kexec_file_load kexec_load lookup_dcookie mount move_mount move_pages name_to_handle_at nfsservctl "
                "open_by_handle_at perf_event_open pivot_root process_vm_readv process_vm_writev ptrace query_module quotactl reboot "
                "request_key settimeofday stime swapoff swapon _sysctl umount umount2 unshare uselib userfaultfd ustat vm86 vm86old").split()]}

    seccomp = bundle("seccomp", ["/bin/true"], filtered)
    traced = subprocess.run(["sh", "-c", "command -v strace"], stdout=null).returncode == 0

    rounds_of("run /bin/true", lambda r, i: call(*command(r, "run", "-b", true, "bench-r%d" % i)))
    peaks("run /bin/true", lambda r, i: command(r, "run", "-b", true, "bench-p%d" % i))
    if traced:
        system_calls("run /bin/true", lambda r: command(r, "run", "-b", true, "bench-s"))
    rounds_of("run /bin/true, 45 calls filtered", lambda r, i: call(*command(r, "run", "-b", seccomp, "bench-f%d" % i)))

    def cycle(r, i):
        name = "bench-c%d" % i
        return sum(call(*command(r, *args)) for args in (
            ["create", "-b", sleeping, name], ["start", name], ["kill", name, "KILL"], ["delete", "--force", name]))

    rounds_of("create, start, kill, delete", cycle)
    for r in runtimes:
        call(*command(r, "run", "-d", "-b", sleeping, "bench-e"))
    rounds_of("exec /bin/true", lambda r, i: call(*command(r, "exec", "bench-e", "/bin/true")))
    peaks("exec /bin/true", lambda r, i: command(r, "exec", "bench-e", "/bin/true"))
    if traced:
        system_calls("exec /bin/true", lambda r: command(r, "exec", "bench-e", "/bin/true"))
    rounds_of("state", lambda r, i: call(*command(r, "state", "bench-e")))
    for r in runtimes:
        call(*command(r, "delete", "--force", "bench-e"))
    many(sleeping)
    waiting(sleeping)


# containers of a measurement that failed must not stay
try:
    main()
finally:
    for r in runtimes:
        for line in subprocess.run(command(r, "list", "-q"), stdout=subprocess.PIPE, stderr=null, text=True).stdout.split():
            subprocess.run(command(r, "delete", "--force", line), stdout=null, stderr=null)
