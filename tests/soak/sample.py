# SPDX-License-Identifier: GPL-2.0-or-later
# One sample of everything a cluster could leak: from /proc and the cgroup tree of the host, seen from outside, and from
# the nodes' systemd, nftables and journal. A metric is a name and a number; a part that is not there (a server that
# restarts) leaves its metrics out of the sample.
import os
import re
import struct
import subprocess
import time

from api import Away, Refused

MB = 1 << 20


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def count(path):
    try:
        return len(os.listdir(path))
    except OSError:
        return 0


def tree(path, skip=()):
    """Files and folders below path."""
    n = 0
    for at, folders, files in os.walk(path):
        if at == path:
            folders[:] = [f for f in folders if f not in skip]
        n += len(folders) + len(files)
    return n


def disk_bytes(path):
    total = 0
    for at, _, files in os.walk(path):
        for f in files:
            try:
                total += os.lstat(os.path.join(at, f)).st_blocks * 512
            except OSError:
                pass
    return total


def store_pages(path):
    """Pages of an LMDB file that were ever used: the newer one of its two meta pages."""
    newest = (-1, 0)
    try:
        with open(path, "rb") as f:
            for page in (0, 1):
                f.seek(page * 4096 + 16)
                meta = f.read(136)
                magic, = struct.unpack_from("<I", meta)
                last, txn = struct.unpack_from("<QQ", meta, 24 + 2 * 48)
                if magic == 0xBEEFC0DE:
                    newest = max(newest, (txn, last + 1))
    except (OSError, struct.error):
        return None
    return newest[1] or None


class Process:
    def __init__(self, pid):
        self.pid = pid
        self.args = read("/proc/%d/cmdline" % pid).split(b"\0")
        stat = read("/proc/%d/stat" % pid)
        rest = stat[stat.rfind(b")") + 2:].split()
        self.there = len(rest) > 20
        self.state = rest[0] if self.there else b"?"
        self.ticks = int(rest[11]) + int(rest[12]) if self.there else 0
        self.inner = None

    def role(self):
        name = os.path.basename(self.args[0].decode(errors="replace"))
        words = [a.decode(errors="replace") for a in self.args[1:3]]
        if name == "podium" and words[:1] in (["server"], ["agent"]):
            return words[0]
        if name == "baton" and words[:1] == ["pod"]:
            return "supervisor"
        if name in ("systemd-journald", "dbus-daemon", "dbus-broker"):
            return {"systemd-journald": "journald"}.get(name, "bus")
        return None

    def memory(self):
        got = dict(re.findall(rb"^(\w+):\s+(\d+) kB", read("/proc/%d/smaps_rollup" % self.pid), re.M))
        return {k: int(got.get(f, 0)) for k, f in (("pss", b"Pss"), ("anon", b"Pss_Anon"), ("rss", b"Rss"))}

    def fds(self):
        return count("/proc/%d/fd" % self.pid)

    def threads(self):
        return count("/proc/%d/task" % self.pid)

    def namespaces(self):
        found = set()
        links = ["/proc/%d/ns/net" % self.pid]
        if self.role() or b"systemd" in self.args[0] or b"init" in self.args[0]:
            links += ["/proc/%d/fd/%s" % (self.pid, fd) for fd in os.listdir("/proc/%d/fd" % self.pid)]
        for link in links:
            try:
                to = os.readlink(link)
            except OSError:
                continue
            if to.startswith("net:["):
                found.add(to)
        return found


ON_NODE = """ip -o link | wc -l
nft -a list ruleset 2>/dev/null | tr ',' '\\n' | grep -cv '^[[:space:]]*[{}]*[[:space:]]*$'
for p in NNames NJobs NFailedUnits; do
    busctl get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager $p | cut -d' ' -f2
done
for u in podium-server podium-agent; do systemctl show -P NRestarts $u; done"""
ON_NODE_NAMES = ("links", "nft", "units", "jobs", "units failed")


class Sampler:
    def __init__(self, cluster, api):
        self.cluster, self.api = cluster, api
        self.ticks = {}
        self.incarnation = {}  # role of a node: pid

    def node_processes(self, node):
        top = "%s/%s" % (self.cluster.cgroup, node.name)
        for at, _, _ in os.walk(top):
            for pid in read(at + "/cgroup.procs").split():
                yield Process(int(pid))

    def sample(self):
        s, spaces, shells = {}, set(), []
        for n in self.cluster.nodes:
            shells.append((n, subprocess.Popen(["nsenter", "-t", str(n.pid), "-a", "--", "sh", "-c", ON_NODE], text=True,
                                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)))
        visitors = {p.pid for _, p in shells}
        for n in self.cluster.nodes:
            self.processes(n, s, spaces, visitors)
            self.files(n, s)
        s["net namespaces"] = len(spaces)
        for n, p in shells:
            try:
                words = p.communicate(timeout=60)[0].split()
            except subprocess.TimeoutExpired:
                p.kill()
                p.communicate()
                continue
            for name, value in zip(ON_NODE_NAMES, words):
                add(s, name, int(value))
        self.host(s)
        self.metrics(s)
        s["time"] = time.time()
        return s

    def processes(self, node, s, spaces, visitors):
        ticks = 0
        for p in self.node_processes(node):
            if not p.there or p.pid in visitors:
                continue
            try:
                spaces |= p.namespaces()
                role = "init" if p.pid == node.pid else p.role()
                add(s, "processes", 1)
                add(s, "zombies", p.state == b"Z")
                if role is None:
                    continue
                memory, fds, threads = p.memory(), p.fds(), p.threads()
            except OSError:
                continue
            if not memory["rss"]:
                continue
            name = role if role in ("server", "supervisor") else "%s %s" % (role, node.name[-1])
            if role == "supervisor":
                add(s, "supervisors", 1)
            else:
                self.incarnation[name] = p.pid
            add(s, name + " pss", memory["pss"])
            add(s, name + " anon", memory["anon"])
            add(s, name + " rss", memory["rss"])
            if role in ("server", "agent", "init", "bus", "journald"):
                add(s, name + " fds", fds)
            if role in ("server", "agent"):
                add(s, name + " threads", threads)
                ticks = p.ticks
                last, at = self.ticks.get(p.pid, (None, 0))
                now = time.monotonic()
                if last is not None and now > at:
                    s[name + " cpu"] = (ticks - last) * 1000 / os.sysconf("SC_CLK_TCK") / (now - at)
                self.ticks[p.pid] = (ticks, now)

    def files(self, node, s):
        root = "/proc/%d/root" % node.pid
        add(s, "mounts of nodes", read("/proc/%d/mountinfo" % node.pid).count(b"\n"))
        for p in self.incarnation.items():
            if p[0] == "agent " + node.name[-1]:
                add(s, "mounts of agents", read("/proc/%d/mountinfo" % p[1]).count(b"\n"))
        state = node.folder + "/state"
        add(s, "files of images", tree(state + "/images"))
        add(s, "files of state", tree(state, ("images", "ipam")))
        add(s, "files of run", tree(root + "/run", ("systemd", "udev", "log")))
        add(s, "files of systemd", tree(root + "/run/systemd", ("journal",)))
        add(s, "files of tmp", tree(root + "/tmp") + tree(root + "/var/tmp"))
        add(s, "addresses", tree(state + "/ipam"))
        add(s, "journal", (disk_bytes(root + "/var/log/journal") + disk_bytes(root + "/run/log/journal")) / MB)
        store = state + "/server/store/data.mdb"
        if os.path.exists(store):
            add(s, "store", os.stat(store).st_blocks * 512 / MB)
            pages = store_pages(store)
            if pages:
                add(s, "store pages", pages)

    def host(self, s):
        s["mounts of host"] = sum(1 for l in read("/proc/self/mountinfo").split(b"\n") if self.cluster.folder.encode() in l)
        s["host links"] = sum(1 for m in os.listdir("/sys/class/net") if self.ours("/sys/class/net/" + m))
        for line in read(self.cluster.cgroup + "/cgroup.stat").decode().splitlines():
            key, value = line.split()
            if key in ("nr_descendants", "nr_dying_descendants"):
                s["cgroups" if key == "nr_descendants" else "cgroups dying"] = int(value)

    def ours(self, link):
        name = os.path.basename(link)
        try:
            name = os.path.basename(os.readlink(link + "/master"))
        except OSError:
            pass
        return name == "pdm-" + self.cluster.name

    def metrics(self, s):
        try:
            text = self.api.request("GET", "/metrics", accept="text/plain").decode()
        except (Away, Refused):
            return
        s["objects"] = sum(int(v) for v in re.findall(r'^apiserver_storage_objects\{[^}]*\} (\d+)', text, re.M))
        s["events"] = int((re.findall(r'^apiserver_storage_objects\{resource="events"\} (\d+)', text, re.M) or [0])[0])
        s["watches"] = sum(int(float(v)) for v in re.findall(r'^apiserver_longrunning_requests\{[^}]*\} (\S+)', text, re.M))
        s["requests waiting"] = sum(int(float(v)) for v in re.findall(r'^(?:podium_turns_waiting|apiserver_current_inflight_requests\{[^}]*\}) (\S+)', text, re.M))
        s["revision"] = int(re.findall(r'^podium_store_revision (\d+)', text, re.M)[0])


def add(s, name, value):
    s[name] = s.get(name, 0) + value
