# SPDX-License-Identifier: GPL-2.0-or-later
# What users, programs and bad luck do to a cluster, each in a thread of its own and in namespaces of its own, until told
# to stop. Every player goes round and round: a round makes things, looks at them, and leaves some of them behind for the
# end of its namespace. Pauses between calls are the pace of the play, not waits for something.
import base64
import hashlib
import json
import os
import random
import socket
import subprocess
import tarfile
import tempfile
import threading
import time

from api import Away, Refused

IMAGE = "nginx:demo"
STEADY = {"soak": "steady"}  # pods that nobody asked to restart


def pod_spec(command=("sleep", "100000"), restart="Always", grace=1, **more):
    spec = {"restartPolicy": restart, "terminationGracePeriodSeconds": grace,
            "containers": [{"name": "c", "image": IMAGE, "imagePullPolicy": "Never", "command": list(command)}]}
    spec.update(more)
    return spec


class Player(threading.Thread):
    """One thread; subclasses have round(). Counts what it did, and the answers that nobody should get."""
    per_namespace = 4  # rounds before its namespace is thrown away with all that is in it

    def __init__(self, play, number):
        super().__init__(daemon=True, name="%s-%d" % (type(self).__name__.lower(), number))
        self.play, self.api, self.random = play, play.api, random.Random(play.seed * 1000 + hash(self.name) % 1000)
        self.done, self.away, self.problems, self.rounds = 0, 0, [], 0
        self.ns = None

    def run(self):
        while not self.play.stop.is_set():
            try:
                if self.ns is None:
                    self.new_namespace()
                self.round()
                self.rounds += 1
                if self.rounds % self.per_namespace == 0:
                    self.end_namespace()
            except Away:
                self.away += 1
                self.pause(0.3, 0.6)
            except Refused as e:
                if e.code not in (404, 409, 410, 429, 503, 504):
                    self.problem("round: %s" % e)
                self.pause(0.1, 0.2)
            except (subprocess.TimeoutExpired, subprocess.CalledProcessError, OSError) as e:
                self.problem("round: %s" % e)
        self.finish()

    def finish(self):
        pass

    def problem(self, text):
        if len(self.problems) < 100:
            self.problems.append("%s %s: %s" % (time.strftime("%H:%M:%S"), self.name, text[:400]))

    def pause(self, low, high):
        self.play.stop.wait(self.random.uniform(low, high) / self.play.pace)

    def call(self, method, path, body=None, **more):
        answer = self.api.request(method, path, body, **more)
        self.done += 1
        return answer

    def new_namespace(self):
        ns = "soak-%s-%d" % (self.name, self.play.number())
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": ns, "labels": {"soak": "churn"}}})
        self.ns = ns

    def end_namespace(self):
        ns, self.ns = self.ns, None
        try:
            self.call("DELETE", "/api/v1/namespaces/" + ns)
        except Refused as e:
            if e.code != 404:
                raise

    def path(self, resource, name=None, group=None):
        at = "/apis/" + group if group else "/api/v1"
        return "%s/namespaces/%s/%s%s" % (at, self.ns, resource, "/" + name if name else "")

    def create(self, resource, body, group=None):
        return self.call("POST", self.path(resource, None, group), body)

    def merge(self, resource, name, patch, group=None):
        return self.call("PATCH", self.path(resource, name, group), patch, kind="application/merge-patch+json")

    def until(self, path, happy, seconds=40):
        """Watches one object until happy(object) or it is gone or time is over."""
        at, name = path.rsplit("/", 1)
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.play.stop.is_set():
            try:
                for line in self.api.watch("%s?fieldSelector=metadata.name%%3D%s&timeoutSeconds=%d" % (at, name, 10), 15):
                    e = json.loads(line)
                    if e["type"] == "DELETED":
                        return None
                    if e["type"] in ("ADDED", "MODIFIED") and happy(e["object"]):
                        return e["object"]
            except Away:
                self.pause(0.2, 0.4)
        if not self.play.stop.is_set() and not self.play.disturbed(seconds):
            self.problem("waited in vain for " + path)
        return None

    def gone(self, path, seconds=40):
        """Asks for an object that others delete until it is not there."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.play.stop.is_set():
            try:
                self.call("GET", path)
            except Refused as e:
                if e.code == 404:
                    return
                raise
            self.pause(0.1, 0.3)
        if not self.play.stop.is_set() and not self.play.disturbed(seconds):
            self.problem("%s does not go" % path)

    def kubectl(self, *args, timeout=30):
        try:
            p = subprocess.run([self.play.kubectl, "--cache-dir", self.play.folder + "/kube-cache", "-n", self.ns or "default", *args],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                               env={**os.environ, "KUBECONFIG": self.play.cluster.kubeconfig, "HOME": self.play.folder})
        except subprocess.TimeoutExpired:
            return None
        self.done += 1
        return p


def running(o):
    return o.get("status", {}).get("phase") == "Running"


def ready(o):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in o.get("status", {}).get("conditions", []))


class Pods(Player):
    """Pods that come, are looked at, and go: gracefully, at once, with volumes, with init containers."""

    def round(self):
        name = "p%d" % self.play.number()
        kinds = ["plain", "volumes", "init", "two"]
        how = self.random.choice(kinds)
        spec = pod_spec()
        c = spec["containers"][0]
        if how == "volumes":
            self.create("configmaps", {"metadata": {"name": name}, "data": {"a": "1", "b": "2" * 500}})
            self.create("secrets", {"metadata": {"name": name}, "stringData": {"key": "secret"}})
            spec["volumes"] = [{"name": "m", "configMap": {"name": name}}, {"name": "s", "secret": {"secretName": name}},
                               {"name": "e", "emptyDir": {}}, {"name": "r", "emptyDir": {"medium": "Memory"}}]
            c["volumeMounts"] = [{"name": v, "mountPath": "/v/" + v} for v in "mser"]
            c["env"] = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": name, "key": "a"}}}]
        elif how == "init":
            spec["initContainers"] = [dict(c, name="i", command=["test", "a"])]
        elif how == "two":
            spec["containers"].append(dict(c, name="d"))
            c["readinessProbe"] = {"exec": {"command": ["test", "a"]}, "periodSeconds": 1}
        self.create("pods", {"metadata": {"name": name, "labels": STEADY}, "spec": spec})
        if not self.until(self.path("pods", name), ready if how == "two" else running):
            return
        if how == "volumes":
            self.merge("configmaps", name, {"data": {"a": "3"}})
        self.pause(0, 1)
        if self.random.random() < 0.3:
            self.call("GET", self.path("pods", name) + "/log?container=c", accept="*/*")
        if self.random.random() < 0.7:
            grace = self.random.choice((0, 1, 1, 2))
            self.call("DELETE", self.path("pods", name) + "?gracePeriodSeconds=%d" % grace)
            self.until(self.path("pods", name), lambda o: False, 40)


class Crashers(Player):
    """Pods that end by themselves, fail, or are refused: restarts with back-off, jobs that complete, images not there."""

    def round(self):
        name = "x%d" % self.play.number()
        what = self.random.choice(("exit", "complete", "fail", "missing", "hog", "probe"))
        spec = pod_spec(("sh", "-c", "echo $RANDOM; sleep 0.2; exit 3"))
        want = lambda o: any(s.get("restartCount", 0) >= 2 for s in o.get("status", {}).get("containerStatuses", []))
        if what in ("complete", "fail"):
            spec = pod_spec(("sh", "-c", "echo done; exit %d" % (what == "fail")), restart="Never")
            want = lambda o: o.get("status", {}).get("phase") in ("Succeeded", "Failed")
        elif what == "missing":
            spec["containers"][0]["image"] = "nowhere:none"
            want = lambda o: any("waiting" in s.get("state", {}) and "Err" in s["state"]["waiting"].get("reason", "")
                                 for s in o.get("status", {}).get("containerStatuses", []))
        elif what == "hog":  # much output, then killed
            spec = pod_spec(("sh", "-c", "busybox yes 0123456789012345678901234567890123456789 | head -n 2000; sleep 1000"), grace=0)
            want = running
        elif what == "probe":
            spec = pod_spec()
            spec["containers"][0]["livenessProbe"] = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
            want = lambda o: any(s.get("restartCount", 0) >= 1 for s in o.get("status", {}).get("containerStatuses", []))
        self.create("pods", {"metadata": {"name": name}, "spec": spec})
        self.until(self.path("pods", name), want, 60)
        self.call("DELETE", self.path("pods", name) + "?gracePeriodSeconds=0")


class Deployments(Player):
    """A deployment with its service: rolled out, scaled, rolled back, deleted."""
    per_namespace = 2

    def round(self):
        name = "d%d" % self.play.number()
        spec = pod_spec(containers=[{"name": "c", "image": IMAGE, "imagePullPolicy": "Never", "ports": [{"containerPort": 80}],
                                     "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1}}])
        at = self.path("deployments", name, "apps/v1")

        def settled(o):
            s = o.get("status", {})
            n = o["spec"]["replicas"]
            return s.get("observedGeneration", 0) >= o["metadata"]["generation"] and \
                s.get("updatedReplicas", 0) == s.get("availableReplicas", 0) == s.get("replicas", 0) == n

        self.create("deployments", {"metadata": {"name": name}, "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name, **STEADY}}, "spec": spec}}}, "apps/v1")
        self.create("services", {"metadata": {"name": name}, "spec": {
            "selector": {"app": name}, "ports": [{"port": 80}], "type": self.random.choice(("ClusterIP", "NodePort")),
            "sessionAffinity": self.random.choice(("None", "ClientIP"))}})
        self.until(at, settled, 90)
        for change in self.random.sample(("roll", "roll", "up", "down", "service"), 3):
            if change == "roll":
                self.merge("deployments", name, {"spec": {"template": {"metadata": {"annotations": {"n": str(self.play.number())}}}}}, "apps/v1")
            elif change == "service":
                self.merge("services", name, {"spec": {"ports": [{"port": 80}]}, "metadata": {"labels": {"n": str(self.play.number())}}})
            else:
                self.merge("deployments", name, {"spec": {"replicas": 4 if change == "up" else 1}}, "apps/v1")
            self.until(at, settled, 90)
        if self.random.random() < 0.7:
            self.call("DELETE", at, {"propagationPolicy": self.random.choice(("Background", "Foreground"))})
            self.call("DELETE", self.path("services", name))


class Papers(Player):
    """ConfigMaps, Secrets, leases, events: many small writes; server-side apply now and then."""
    per_namespace = 8

    def round(self):
        for _ in range(5):
            name = "m%d" % self.play.number()
            self.create("configmaps", {"metadata": {"name": name}, "data": {"k": "v" * self.random.choice((10, 1000, 20000))}})
            for i in range(3):
                self.merge("configmaps", name, {"data": {"n": str(i)}})
            self.call("PATCH", self.path("configmaps", name) + "?fieldManager=soak&force=true",
                      {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": name}}, kind="application/apply-patch+yaml")
            self.create("secrets", {"metadata": {"name": name}, "data": {"k": base64.b64encode(os.urandom(300)).decode()}})
            self.merge("secrets", name, {"stringData": {"x": "y"}})
            self.call("DELETE", self.path("secrets", name))
            if self.random.random() < 0.5:
                self.call("DELETE", self.path("configmaps", name))
            self.pause(0.02, 0.2)
        lease = self.create("leases", {"metadata": {"name": name}, "spec": {"holderIdentity": "soak", "leaseDurationSeconds": 10}},
                            "coordination.k8s.io/v1")
        for i in range(10):
            lease["spec"]["leaseTransitions"] = i
            lease = self.call("PUT", self.path("leases", name, "coordination.k8s.io/v1"), lease)
            self.create("events", {"metadata": {"name": "e%d" % self.play.number()}, "reason": "Soak", "message": "round %d" % i, "type": "Normal",
                                   "involvedObject": {"kind": "Lease", "namespace": self.ns, "name": name}})
            self.pause(0.02, 0.1)
        self.call("DELETE", self.path("events"))
        self.call("GET", "/api/v1/configmaps?limit=5")


class Watchers(Player):
    """Watches that are opened, read for a while and dropped; some are never read; some ask for tables or protobuf."""
    per_namespace = 10**9
    kinds = ("/api/v1/pods", "/api/v1/configmaps", "/api/v1/events", "/apis/apps/v1/deployments", "/api/v1/namespaces",
             "/apis/coordination.k8s.io/v1/leases", "/apis/discovery.k8s.io/v1/endpointslices")
    accepts = ("application/json", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/vnd.kubernetes.protobuf",
               "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")

    def new_namespace(self):
        self.ns = "default"

    def __init__(self, *args):
        super().__init__(*args)
        self.slow = []

    def round(self):
        path, accept = self.random.choice(self.kinds), self.random.choice(self.accepts)
        if self.random.random() < 0.3:
            return self.one_that_sleeps(path)
        end = time.monotonic() + self.random.uniform(0.1, 5)
        options = self.random.choice(("", "?timeoutSeconds=%d" % self.random.randint(1, 4), "?allowWatchBookmarks=true",
                                      "?sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", "?resourceVersion=1"))
        protobuf = "protobuf" in accept
        try:
            for _ in self.api.watch(path + options, 2, accept="application/json" if protobuf else accept):
                if time.monotonic() > end or self.play.stop.is_set():
                    break
        finally:
            self.done += 1

    def one_that_sleeps(self, path):
        """A client that asks and never reads: up to 12 of them, the oldest goes."""
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(10)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            s.connect(self.play.cluster.socket)
            s.sendall(b"GET %s?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        except OSError as e:
            s.close()
            raise Away(str(e)) from None
        self.slow.append(s)
        if len(self.slow) > 12:
            self.slow.pop(0).close()
        self.done += 1
        self.pause(0.2, 1)

    def finish(self):
        for s in self.slow:
            s.close()


class Kubectl(Player):
    """People at the command line: exec, logs that are followed and left, port-forward, cp, time-outs, strangled commands."""
    per_namespace = 6

    def new_namespace(self):
        super().new_namespace()
        self.call("POST", self.path("pods"), {"metadata": {"name": "target", "labels": STEADY}, "spec": pod_spec(
            ("sh", "-c", "nginx & while :; do echo tick; sleep 0.3; done"))})
        self.until(self.path("pods", "target"), running)

    def round(self):
        what = self.random.choice(("exec", "exec", "logs", "follow", "forward", "cp", "impatient", "get", "killed"))
        if what == "exec":
            self.kubectl("exec", "target", "--", "sh", "-c", "head -c 100000 /dev/zero | busybox tr '\\0' x")
        elif what == "logs":
            self.kubectl("logs", "target", "--tail=20")
        elif what == "follow":
            self.kubectl("logs", "-f", "target", timeout=self.random.uniform(0.3, 2))
        elif what == "cp":
            self.kubectl("exec", "-i", "target", "--", "sh", "-c", "cat >/tmp/x")
        elif what == "impatient":
            self.kubectl("get", "pods", "-A", "--request-timeout=%dms" % self.random.choice((1, 5, 30)))
        elif what == "get":
            self.kubectl("get", "all", "-o", self.random.choice(("wide", "yaml", "name")))
        elif what == "killed":
            self.kubectl("exec", "target", "--", "sleep", "100", timeout=self.random.uniform(0.2, 1))
        else:
            self.forward()
        self.pause(0.1, 1)

    def forward(self):
        p = subprocess.Popen([self.play.kubectl, "--cache-dir", self.play.folder + "/kube-cache", "-n", self.ns, "port-forward", "pod/target", ":80"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                             env={**os.environ, "KUBECONFIG": self.play.cluster.kubeconfig, "HOME": self.play.folder})
        try:
            words = p.stdout.readline().split()
            if len(words) > 2 and ":" in words[2]:
                for _ in range(3):
                    with socket.create_connection(("127.0.0.1", int(words[2].rsplit(":", 1)[1])), 5) as s:
                        s.settimeout(5)
                        s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                        s.recv(100)
        except OSError:
            pass  # the server may restart
        finally:
            p.kill()
            p.communicate()
        self.done += 1


class Images(Player):
    """Small images that are imported on every node, used by a pod, and removed."""
    per_namespace = 3

    def round(self):
        n = self.play.number()
        name = "soak:%d" % n
        with tempfile.TemporaryDirectory(dir=self.play.folder) as d:
            archive = make_image(d, name, n)
            self.play.cluster.local(["image", "import"], archive, "--name", name, "--quiet")
        spec = pod_spec(("/bin/busybox", "sleep", "1000"))
        spec["containers"][0]["image"] = name
        self.create("pods", {"metadata": {"name": "i%d" % n, "labels": STEADY}, "spec": spec})
        self.until(self.path("pods", "i%d" % n), running)
        self.call("DELETE", self.path("pods", "i%d" % n) + "?gracePeriodSeconds=0")
        self.until(self.path("pods", "i%d" % n), lambda o: False)
        self.remove(name)
        self.pause(2, 5)

    def remove(self, name):
        for node in self.play.cluster.nodes:
            self.play.cluster.enter(node, "/usr/local/lib/podium/podium", "image", "rm", name)
        self.done += 1


def make_image(folder, name, number):
    """A docker archive of one layer: busybox and a file that differs."""
    layer = folder + "/layer.tar"
    with tarfile.open(layer, "w") as t:
        t.add("/bin/busybox", "bin/busybox")
        with open(folder + "/n", "w") as f:
            f.write("%d\n" % number)
        t.add(folder + "/n", "n")
    with open(layer, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]}}
    text = json.dumps(config)
    with open(folder + "/config.json", "w") as f:
        f.write(text)
    config_name = hashlib.sha256(text.encode()).hexdigest() + ".json"
    with open(folder + "/manifest.json", "w") as f:
        json.dump([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}], f)
    with tarfile.open(folder + "/image.tar", "w") as t:
        t.add(folder + "/manifest.json", "manifest.json")
        t.add(folder + "/config.json", config_name)
        t.add(layer, "layer.tar")
    return folder + "/image.tar"


class Credentials(Player):
    """Service accounts with their tokens, bootstrap tokens that run out, signing requests: signed, denied, left behind."""

    def __init__(self, *args):
        super().__init__(*args)
        self.request = None

    def signing_request(self):
        if self.request is None:  # one key for all of them
            with tempfile.TemporaryDirectory(dir=self.play.folder) as d:
                subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                                "-keyout", d + "/key", "-out", d + "/csr", "-subj", "/CN=soak"],
                               check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
                with open(d + "/csr", "rb") as f:
                    self.request = base64.b64encode(f.read()).decode()
        return self.request

    def round(self):
        name = "c%d" % self.play.number()
        self.account(name)
        self.bootstrap()
        self.certificate(name)
        self.pause(0.2, 1)

    def account(self, name):
        self.create("serviceaccounts", {"metadata": {"name": name}})
        reviews = "/apis/authentication.k8s.io/v1/tokenreviews"
        token = self.call("POST", self.path("serviceaccounts", name) + "/token", {"spec": {"expirationSeconds": 600}})["status"]["token"]
        if not self.call("POST", reviews, {"spec": {"token": token}})["status"].get("authenticated"):
            self.problem("the token of %s is not known" % name)
        self.create("secrets", {"metadata": {"name": name, "annotations": {"kubernetes.io/service-account.name": name}},
                                "type": "kubernetes.io/service-account-token"})
        self.until(self.path("secrets", name), lambda o: "token" in o.get("data", {}))
        self.call("DELETE", self.path("serviceaccounts", name))
        if self.call("POST", reviews, {"spec": {"token": token}})["status"].get("authenticated"):
            self.problem("the token of %s is known after its end" % name)

    def bootstrap(self):
        """It runs out in a few seconds; who removes it is the cleaner."""
        key = "%06x" % self.random.randrange(1 << 24)
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.random.uniform(1, 5)))
        self.call("POST", "/api/v1/namespaces/kube-system/secrets", {
            "metadata": {"name": "bootstrap-token-" + key}, "type": "bootstrap.kubernetes.io/token",
            "stringData": {"token-id": key, "token-secret": "0123456789abcdef", "expiration": end, "usage-bootstrap-authentication": "true"}})

    def certificate(self, name):
        all_of_them = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
        at = all_of_them + "/" + name
        self.call("POST", all_of_them, {"metadata": {"name": name, "labels": {"soak": "churn"}}, "spec": {
            "request": self.signing_request(), "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}})
        how = self.random.choice(("Approved", "Approved", "Denied", "left"))
        if how == "left":
            return
        o = self.call("GET", at)
        o["status"] = {"conditions": [{"type": how, "status": "True", "reason": "Soak", "message": "as the dice fell"}]}
        self.call("PUT", at + "/approval", o)
        if how == "Approved":
            self.until(at, lambda o: "certificate" in o.get("status", {}))
        self.call("DELETE", at)


class Manifests(Player):
    """Files in the folder of manifests: written, changed, broken, removed; what is in them comes, changes and goes."""

    def manifest(self, name, number, image=IMAGE):
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": self.ns}, "data": {"n": str(number)}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": self.ns, "labels": STEADY}, "spec": pod_spec()}]})

    def write(self, file, text):
        with open(file + ".new~", "w") as f:
            f.write(text)
        os.rename(file + ".new~", file)

    def round(self):
        name = "f%d" % self.play.number()
        file = "%s/%s.yaml" % (self.play.cluster.manifests, name)
        try:
            self.write(file, self.manifest(name, 0))
            self.until(self.path("pods", name), running)
            for i in (1, 2):
                if self.random.random() < 0.3:
                    self.write(file, "a: [")
                self.write(file, self.manifest(name, i))
                self.until(self.path("configmaps", name), lambda o: o["data"]["n"] == str(i))
        finally:
            os.unlink(file)
        self.gone(self.path("configmaps", name))
        self.pause(0.5, 3)


class Misfortune(Player):
    """Restarts and kills of daemons: of agent 2 all the time, of server and agent 1 only when the play says so (they
    live long otherwise, so that what they leak shows)."""
    per_namespace = 10**9

    def new_namespace(self):
        self.ns = "default"

    def round(self):
        self.pause(10, 25)
        if self.play.stop.is_set():
            return
        first, second = self.play.cluster.nodes[0], self.play.cluster.nodes[-1]
        choices = [(second, "podium-agent")]
        if self.play.daemons_may_die:
            choices += [(first, "podium-server"), (first, "podium-agent")]
        node, unit = self.random.choice(choices)
        how = self.random.choice((["restart", unit], ["kill", "-s", "KILL", unit]))
        self.play.disturb()
        self.play.note("%s on %s" % (" ".join(how), node.name))
        self.play.cluster.enter(node, "systemctl", *how, timeout=60)
        self.play.restarts_wanted += how[0] == "kill"
        self.done += 1


PLAYERS = ((Pods, 3), (Crashers, 1), (Deployments, 2), (Papers, 2), (Watchers, 2), (Kubectl, 1), (Images, 1),
           (Credentials, 1), (Manifests, 1), (Misfortune, 1))
