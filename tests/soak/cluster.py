# SPDX-License-Identifier: GPL-2.0-or-later
# The local cluster under test: up and down, commands on its nodes, where its processes and files are.
import json
import os
import subprocess


class Node:
    def __init__(self, name, pid, folder):
        self.name, self.pid, self.folder = name, pid, folder


class Cluster:
    def __init__(self, programs, folder, name="soak"):
        self.programs, self.name, self.folder = programs, name, os.path.join(folder, "cluster")
        self.podium, self.baton = os.path.join(programs, "podium"), os.path.join(programs, "baton")
        self.manifests = os.path.join(folder, "manifests")
        self.socket = self.folder + "/nodes/podium-1/run/api.sock"
        self.kubeconfig = self.folder + "/kubeconfig"
        self.nodes = []

    def local(self, verb, *args):
        subprocess.run([self.podium, *verb, *args, "--name" if verb[0] != "image" else "--cluster", self.name, "--dir", self.folder],
                       check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=300)

    def up(self, nodes):
        os.makedirs(self.manifests, exist_ok=True)
        self.local(["up"], "--nodes", str(nodes), "--manifests", self.manifests)
        state = {c["id"]: c["pid"] for c in json.loads(self.run(
            [self.baton, "--root", self.folder + "/runtime", "list", "-f", "json"]))}
        for i in range(1, nodes + 1):
            name = "podium-%d" % i
            self.nodes.append(Node(name, state["%s-%s" % (self.name, name)], "%s/nodes/%s" % (self.folder, name)))
        with open("/proc/%d/cgroup" % self.nodes[0].pid) as f:
            path = [l.rstrip("\n").split(":", 2)[2] for l in f if l.startswith("0::")][0]
        # the node's own group is below the cluster's
        cut = path.index("podium-local-" + self.name)
        mount = [l.split()[4] for l in open("/proc/self/mountinfo") if " - cgroup2 " in l][0]
        self.cgroup = mount + path[:cut] + "podium-local-" + self.name
        if not os.path.isdir(self.cgroup):
            self.cgroup = mount + path[:cut] + path[cut:].split("/")[0]

    def down(self):
        self.local(["down"])

    @staticmethod
    def run(args, timeout=60, check=True, **more):
        return subprocess.run(args, check=check, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=timeout, **more).stdout

    def enter(self, node, *args, timeout=60, check=False):
        """A command with all namespaces of a node; its output."""
        return self.run(["nsenter", "-t", str(node.pid), "-a", "--", *args], timeout, check)

    def exec(self, node, *args, timeout=60, check=False):
        """The same by baton: a process of the container, with its capabilities and cgroup."""
        return self.run([self.baton, "--root", self.folder + "/runtime", "exec", "%s-%s" % (self.name, node.name), *args], timeout, check)
