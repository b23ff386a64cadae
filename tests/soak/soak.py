# SPDX-License-Identifier: GPL-2.0-or-later
# The soak: a real local cluster under churn (churn.py), sampled (sample.py), brought to rest four times, judged (judge.py).
#   soak.py PROGRAMS FOLDER MINUTES [--seed N] [--pace X]       PROGRAMS: podium and baton; FOLDER: for the cluster and the results
# Warm-up, rest 0, then three times a third of the churn and a rest. In the last third server and agents are restarted and
# killed, before that only the agent of the second node. Results: soak.tsv (all samples), soak.svg (curves), soak.log (what
# was done to daemons, what players complained of), restarts.txt (pods that restarted though nobody asked, with journals).
# Exit code 1: something grows, a pod restarted or went, a daemon died, or the cluster did not come to rest. Of less than half an hour
# the server's memory says little: its windows of events fill for five minutes of each life.
import argparse
import json
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import churn
import judge
import plot
from api import Api, Away, Refused
from cluster import Cluster
from sample import Sampler

EVERY = 5.0        # seconds between samples under churn
EVERY_AT_REST = 2.0
CALM = 10          # samples in a row that must not differ
KEEPERS = 4


class Restarts(threading.Thread):
    """Watches the pods that must not restart; keeps the evidence when one does."""

    def __init__(self, play):
        super().__init__(daemon=True)
        self.play, self.found = play, {}

    def run(self):
        while not self.play.over:
            try:
                for line in self.play.api.watch("/api/v1/pods?labelSelector=soak%3Dsteady&timeoutSeconds=60", 65):
                    e = json.loads(line)
                    if e["type"] != "ERROR":
                        self.look(e["object"])
                    if e["type"] == "DELETED" and e["object"]["metadata"]["namespace"] == "keepers":
                        self.lost(e["object"])
            except (Away, Refused):
                time.sleep(0.3)

    def look(self, pod):
        for s in pod.get("status", {}).get("containerStatuses", []):
            key = (pod["metadata"]["uid"], s["name"])
            if s.get("restartCount", 0) > 0 and key not in self.found:
                self.found[key] = True
                try:
                    self.evidence(pod, s)
                except Exception as e:  # the report must not end the watch
                    self.play.note("no evidence for %s: %s" % (key, e))

    def lost(self, pod):
        """A pod that nobody deleted is gone. Why is in its last state, and in what its node did before."""
        name = pod["metadata"]["name"]
        text = "keepers/%s was deleted though nobody asked" % name
        self.play.note(text)
        self.play.failures.append(text + ": see restarts.txt")
        with open(self.play.folder + "/restarts.txt", "a") as f:
            f.write("=== %s %s\n%s\n" % (time.strftime("%H:%M:%S"), text, json.dumps(pod, indent=1)))
            for n in self.play.cluster.nodes:
                f.write(self.play.cluster.enter(n, "journalctl", "-q", "-o", "short-precise", "-u", "podium-server", "-u", "podium-agent",
                                                "--since", "-60s") + "\n")

    def evidence(self, pod, status):
        m = pod["metadata"]
        self.play.note("RESTART nobody asked for: %s/%s container %s" % (m["namespace"], m["name"], status["name"]))
        text = ["=== %s %s/%s on %s\n%s\n" % (time.strftime("%H:%M:%S"), m["namespace"], m["name"], pod["spec"].get("nodeName"),
                                              json.dumps(pod["status"], indent=1))]
        for n in self.play.cluster.nodes:
            if n.name == pod["spec"].get("nodeName"):
                unit = "podium-pod-%s-%s-*" % (m["namespace"], m["name"])
                text.append(self.play.cluster.enter(n, "journalctl", "-q", "-o", "short-precise", "-u", unit, "-n", "200"))
                text.append(self.play.cluster.enter(n, "journalctl", "-q", "-o", "short-precise", "-u", "podium-agent", "--since", "-60s"))
                text.append(self.play.cluster.enter(n, "journalctl", "-q", "-o", "short-precise", "-p", "warning", "--since", "-60s"))
        with open(self.play.folder + "/restarts.txt", "a") as f:
            f.write("\n".join(text) + "\n")


class Play:
    def __init__(self, options):
        self.folder, self.seed, self.pace = options.folder, options.seed, options.pace
        self.kubectl = os.environ.get("KUBECTL", "kubectl")
        self.cluster = Cluster(options.programs, self.folder, options.name)
        self.api = Api(self.cluster.socket)
        self.sampler = Sampler(self.cluster, self.api)
        self.stop = threading.Event()
        self.over = False
        self.daemons_may_die = False
        self.restarts_wanted = 0
        self.last_disturbance = 0.0
        self.lock = threading.Lock()
        self.last_number = 0
        self.samples = []
        self.failures = []
        self.players = []
        self.done = {}
        self.log = open(self.folder + "/soak.log", "w", buffering=1)

    def number(self):
        with self.lock:
            self.last_number += 1
            return self.last_number

    def note(self, text):
        with self.lock:
            self.log.write("%s %s\n" % (time.strftime("%H:%M:%S"), text))

    def disturb(self):
        self.last_disturbance = time.monotonic()

    def disturbed(self, seconds):
        """Was a daemon restarted so lately that something may have waited for it?"""
        return time.monotonic() - self.last_disturbance < seconds

    def say(self, text):
        print("%s %s" % (time.strftime("%H:%M:%S"), text), flush=True)
        self.note(text)

    # --- samples ---

    def sample(self, phase):
        s = self.sampler.sample()
        s["phase"] = phase
        for role, pid in self.sampler.incarnation.items():
            s["pid of " + role] = pid
        s["objects"] = s.get("objects", 0) - s.get("events", 0)
        self.samples.append(s)
        return s

    def write(self):
        names = ["time", "phase"]
        for s in self.samples:
            names += [k for k in s if k not in names]
        with open(self.folder + "/soak.tsv", "w") as f:
            f.write("\t".join(names) + "\n")
            for s in self.samples:
                f.write("\t".join("" if s.get(n) is None else s[n] if n == "phase" else "%.10g" % s[n] if n != "time" else "%.1f" % s[n]
                                  for n in names) + "\n")

    # --- phases ---

    def keepers(self):
        """Pods and a service that live from the beginning to the end; they belong to the state at rest."""
        self.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": "keepers"}})
        for i in range(KEEPERS):
            spec = churn.pod_spec(containers=[{"name": "c", "image": churn.IMAGE, "imagePullPolicy": "Never",
                                               "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 2},
                                               "livenessProbe": {"exec": {"command": ["test", "a"]}, "periodSeconds": 5, "timeoutSeconds": 30}}])
            self.api.request("POST", "/api/v1/namespaces/keepers/pods",
                             {"metadata": {"name": "keeper-%d" % i, "labels": {**churn.STEADY, "app": "keeper"}}, "spec": spec})
        self.api.request("POST", "/api/v1/namespaces/keepers/services",
                         {"metadata": {"name": "keeper"}, "spec": {"selector": {"app": "keeper"}, "ports": [{"port": 80}]}})

    def churn(self, phase, seconds):
        self.say("%s: churn for %d s" % (phase, seconds))
        self.stop.clear()
        players = [kind(self, i) for kind, n in churn.PLAYERS for i in range(n)]
        self.players = players
        for p in players:
            p.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            self.sample(phase)
            if len(self.samples) % 12 == 0:
                self.write()
            time.sleep(max(0.0, min(began + EVERY, end) - time.monotonic()))
        self.stop.set()
        for p in players:
            p.join(120)
            if p.is_alive():
                self.failures.append("%s: player %s does not come back" % (phase, p.name))
            for text in p.problems:
                self.note("problem: " + text)
            kind = type(p).__name__
            rounds, calls, away, problems = self.done.get(kind, (0, 0, 0, 0))
            self.done[kind] = rounds + p.rounds, calls + p.done, away + p.away, problems + len(p.problems)

    def clean(self):
        """Deletes all that was made; the namespaces are watched until they are gone."""
        images = churn.Images(self, 99)
        end = time.monotonic() + 240
        while time.monotonic() < end:
            try:
                left = [i["metadata"] for i in self.api.request("GET", "/api/v1/namespaces?labelSelector=soak%3Dchurn")["items"]]
                for m in left:
                    if "deletionTimestamp" not in m:
                        self.api.request("DELETE", "/api/v1/namespaces/" + m["name"])
                if not left:
                    self.api.request("DELETE", "/apis/certificates.k8s.io/v1/certificatesigningrequests?labelSelector=soak%3Dchurn")
                    break
                for _ in self.api.watch("/api/v1/namespaces?labelSelector=soak%3Dchurn&timeoutSeconds=5", 10):
                    pass
            except Away:
                time.sleep(0.3)
            except Refused as e:
                if e.code not in (404, 409, 429, 503):
                    raise
        else:
            pods = self.api.request("GET", "/api/v1/pods")["items"]
            self.failures.append("namespaces do not end: %s; pods: %s" % (
                ", ".join(m["name"] for m in left), ", ".join(p["metadata"]["namespace"] + "/" + p["metadata"]["name"] for p in pods[:20])))
        for line in self.cluster.enter(self.cluster.nodes[0], "/usr/local/lib/podium/podium", "image", "ls").splitlines():
            if line.startswith(("soak:", "docker.io/library/soak:")):
                images.remove(line.split()[0])

    CALM_METRICS = ("processes", "supervisors", "units", "jobs", "cgroups", "net namespaces", "links", "nft", "mounts of nodes", "objects",
                    "events", "addresses", "watches", "files of run", "files of state", "server fds", "agent 1 fds", "agent 2 fds")

    def check_keepers(self, phase):
        there = {p["metadata"]["name"]: p for p in self.api.request("GET", "/api/v1/namespaces/keepers/pods")["items"]}
        if len(there) != KEEPERS:
            self.failures.append("%s: %d pods of %d that nobody deletes are there" % (phase, len(there), KEEPERS))
        for name, p in there.items():
            if not churn.ready(p):
                self.failures.append("%s: %s is not ready" % (phase, name))

    def rest(self, n, most=180):
        phase = "rest %d" % n
        began = time.monotonic()
        self.clean()
        calm, last, moving = 0, None, []
        while time.monotonic() - began < most:
            s = self.sample("to rest" if calm < CALM - judge.AT_REST else phase)
            now = [s.get(k) for k in self.CALM_METRICS]
            calm = calm + 1 if now == last and None not in now else 0
            if calm == 0:  # what was taken for rest was none
                for old in self.samples:
                    if old["phase"] == phase:
                        old["phase"] = "to rest"
                if last:
                    moving = [k for k, a, b in zip(self.CALM_METRICS, now, last) if a != b]
            last = now
            if calm >= CALM:
                break
            time.sleep(EVERY_AT_REST)
        else:
            text = "%s: did not come to rest: %s moved last" % (phase, ", ".join(moving) or "what could not be measured")
            self.note(text)
            self.failures.append(text)
            for s in self.samples[-judge.AT_REST:]:
                s["phase"] = phase
        self.write()
        self.check_keepers(phase)
        self.say("%s after %.0f s: server %.1f MB, %d units, %d objects" % (
            phase, time.monotonic() - began, self.samples[-1].get("server pss", 0) / 1024, self.samples[-1].get("units", 0),
            self.samples[-1].get("objects", 0)))

    def daemons(self):
        """Restarts of the daemons beyond those asked for, and what they said at their ends."""
        total = 0
        for n in self.cluster.nodes:
            for unit in ("podium-server", "podium-agent"):
                words = self.cluster.enter(n, "systemctl", "show", "-P", "NRestarts", unit).split()
                # a restart asked for sets the count back: only signs of death count
                total += int(words[0]) if words else 0
                journal = self.cluster.enter(n, "journalctl", "-q", "-o", "short-precise", "-u", unit)
                bad = [l for l in journal.splitlines() if ("code=dumped" in l or "status=6/ABRT" in l or "status=11/SEGV" in l or "watchdog" in l.lower()
                                                            or "Sanitizer" in l or "runtime error" in l)]
                for l in bad[:20]:
                    self.failures.append("%s on %s: %s" % (unit, n.name, l))
                with open("%s/%s-%s.journal" % (self.folder, unit, n.name), "w") as f:
                    f.write(journal)

    def run(self, minutes):
        self.say("cluster of 2 nodes, %g minutes, seed %d" % (minutes, self.seed))
        os.makedirs(self.folder, exist_ok=True)
        self.cluster.up(2)
        try:
            self.cluster.local(["image", "import"], os.environ["SOAK_IMAGE"], "--quiet")
            for n in self.cluster.nodes:  # events go in time to see the store at rest
                self.cluster.enter(n, "sh", "-c", "mkdir -p /etc/podium; printf '[Server]\\nEventTTL=20\\n' >/etc/podium/podium.conf")
            self.cluster.enter(self.cluster.nodes[0], "systemctl", "restart", "podium-server", check=True)
            self.keepers()
            restarts = Restarts(self)
            restarts.start()
            warm_up = max(10, minutes * 60 * 0.2)
            third = max(10, (minutes * 60 - warm_up) / 3)
            self.churn("warm-up", warm_up)
            self.rest(0)
            for i in (1, 2, 3):
                self.daemons_may_die = i == 3
                self.churn("churn %d" % i, third)
                self.rest(i)
            self.over = True
            if restarts.found:
                self.failures.append("%d containers restarted though nobody asked: see restarts.txt" % len(restarts.found))
            self.daemons()
        finally:
            self.stop.set()
            self.write()
            self.cluster.down()

    def report(self):
        with open(self.folder + "/soak.svg", "w") as f:
            f.write(plot.svg(self.samples, "Soak of %s" % time.strftime("%F")))
        for kind, (rounds, calls, away, problems) in self.done.items():
            print("%-12s %6d rounds, %7d calls, %4d times the server was away, %d problems" % (kind.lower(), rounds, calls, away, problems))
        grown = judge.show(judge.judge(self.samples))
        for f in self.failures:
            print("FAILED: " + f)
        print("samples, curves, notes: %s/soak.{tsv,svg,log}" % self.folder)
        return 1 if grown or self.failures else 0


def main():
    p = argparse.ArgumentParser()
    p.add_argument("programs")
    p.add_argument("folder")
    p.add_argument("minutes", type=float)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--pace", type=float, default=1.0)
    p.add_argument("--name", default="soak")
    options = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    play = Play(options)
    play.run(options.minutes)
    sys.exit(play.report())


main()
