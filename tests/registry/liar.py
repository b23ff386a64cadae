#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A container registry that lies: each repository is one kind of lie (or of honest oddity), made in memory.

usage: liar.py PORT-FILE BUSYBOX     listens on 127.0.0.1, writes the port it got to PORT-FILE

GET /log answers with the requests so far, one a line.
"""
import gzip
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
busybox = open(sys.argv[2], "rb").read()
blobs, manifests, lies, log = {}, {}, {}, []


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar(*entries):
    """entries: (name, content | dict of TarInfo members)"""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for name, what in entries:
            info = tarfile.TarInfo(name)
            info.mtime = 1000000000
            data = b""
            if isinstance(what, bytes):
                data = what
                info.mode = 0o755
            else:
                for k, v in what.items():
                    if k != "data":
                        setattr(info, k, v)
                data = what.get("data", b"")
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def folder(mode=0o755):
    return {"type": tarfile.DIRTYPE, "mode": mode}


BASE = tar(("bin", folder()), ("bin/busybox", busybox), ("bin/sh", {"type": tarfile.SYMTYPE, "linkname": "busybox"}),
           ("etc", folder()), ("etc/passwd", b"root:x:0:0::/:/bin/sh\nmusician:x:1000:1000::/home:/bin/sh\n"),
           ("etc/old", b"old"), ("data", folder()), ("data/a", b"a"), ("work", folder(0o777)), ("tmp", folder(0o1777)))


def pack(data, how):
    if how == "gzip":
        return gzip.compress(data, 1, mtime=0)
    if how == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout
    return data


def put(data):
    blobs[digest(data)] = data
    return digest(data)


def image(repo, *layers, how="gzip", docker=False, config=None, diff_ids=None, arch=ARCH, tag="1", sizes=None):
    packed = [pack(layer, how) for layer in layers]
    suffix = {"gzip": ".gzip" if docker else "+gzip", "zstd": "+zstd", "none": ""}[how]
    kind = DOCKER + "image.rootfs.diff.tar" if docker else OCI + "layer.v1.tar"
    conf = json.dumps({"architecture": arch, "os": "linux",
                       "config": config or {"Cmd": ["/bin/busybox", "sleep", "1000"]},
                       "rootfs": {"type": "layers", "diff_ids": diff_ids or [digest(x) for x in layers]}}).encode()
    media = DOCKER + "distribution.manifest.v2+json" if docker else OCI + "manifest.v1+json"
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": media,
        "config": {"mediaType": DOCKER + "container.image.v1+json" if docker else OCI + "config.v1+json",
                   "digest": put(conf), "size": len(conf)},
        "layers": [{"mediaType": kind + suffix, "digest": put(p), "size": (sizes or {}).get(i, len(p))}
                   for i, p in enumerate(packed)]}).encode()
    manifests[repo, tag] = manifests[repo, digest(manifest)] = (media, manifest)
    return {"mediaType": media, "digest": digest(manifest), "size": len(manifest),
            "platform": {"os": "linux", "architecture": arch}}, packed


def index(repo, *descriptors, tag="1"):
    media = OCI + "index.v1+json"
    text = json.dumps({"schemaVersion": 2, "mediaType": media, "manifests": list(descriptors)}).encode()
    manifests[repo, tag] = manifests[repo, digest(text)] = (media, text)


def honest():
    config = {"User": "musician", "Entrypoint": ["/bin/busybox", "sh", "-c"],
              "Cmd": ["echo user=$(busybox id -u) dir=$(busybox pwd) env=$TUNE; "
                      "echo data=$(busybox ls /data) old=$(busybox ls /etc | busybox grep -c old); trap 'echo stopped; exit 0' USR1; "
                      "while :; do busybox sleep 0.1; done"],
              "Env": ["PATH=/bin", "TUNE=allegro"], "WorkingDir": "/work", "StopSignal": "SIGUSR1",
              "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/cache": {}}}
    upper = tar(("data/.wh..wh..opq", b""), ("data/b", b"b"), ("etc/.wh.old", b""),
                ("bin/su", {"mode": 0o4755, "data": b"su"}), ("data/b", b"b2"))
    image("good", BASE, upper, config=config)
    image("zstd", BASE, upper, how="zstd", config=config)
    image("plain", BASE, upper, how="none", config=config)
    image("schema2", BASE, upper, docker=True, config=config)
    other, _ = image("index", tar(("wrong", b"x")), arch="s390x", tag="other")
    mine, _ = image("index", BASE, upper, config=config, tag="mine")
    index("index", other, mine)
    index("foreign", other)
    image("absolute", BASE, tar(("/etc/absolute", b"x")))
    image("devices", BASE, tar(("dev", folder()), ("dev/sda", {"type": tarfile.BLKTYPE, "devmajor": 8}),
                               ("etc/kmem", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 2})))
    xattrs = {"SCHILY.xattr.user.huge": "x" * 200000, "SCHILY.xattr.trusted.overlay.redirect": "/etc"}
    image("xattrs", BASE, tar(("etc/attr", {"pax_headers": xattrs, "data": b"x"})))
    for i in range(6):
        image(f"many{i}", BASE, tar((f"etc/{i}", os.urandom(200000))))


def liars():
    image("dotdot", BASE, tar(("../../../../escaped", b"x")))
    image("dotdot-inside", BASE, tar(("etc/../../escaped", b"x")))
    image("symlink", BASE, tar(("out", {"type": tarfile.SYMTYPE, "linkname": "/../../../../../../../../../tmp"}),
                               ("out/podium-escaped", b"x")))
    image("hardlink", BASE, tar(("stolen", {"type": tarfile.LNKTYPE, "linkname": "../../../../../../etc/shadow"})))
    image("hardlink-absolute", BASE, tar(("stolen", {"type": tarfile.LNKTYPE, "linkname": "/etc/shadow"})))
    image("whiteout", BASE, tar(("etc/.wh...", b"")))
    image("deep", BASE, tar(("a/" * 5000 + "x", b"x")))
    image("bomb", BASE, b"\0" * 1024 + bytes(300 << 20), how="zstd")  # zeros: ends at once as tar, and grows 10,000 times
    image("diff-id", BASE, diff_ids=["sha256:" + "0" * 64])
    _, (packed,) = image("layer", BASE)
    lies["layer"] = (digest(packed), lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    lies["cut"] = (digest(packed), lambda data: data[:len(data) // 2])
    image("cut", BASE)
    image("claims", BASE, sizes={0: 1 << 60})
    image("small", BASE, sizes={0: 10})
    lies["endless"] = (digest(packed), None)
    image("endless", BASE)
    _, (_, packed) = image("slow", BASE, tar(("etc/slow", os.urandom(1000000))))
    lies["slow"] = (digest(packed), "slow")
    manifests["manifest", "1"] = (OCI + "manifest.v1+json", b'{"schemaVersion":2,"layers":[')
    manifests["both", "1"] = (OCI + "index.v1+json", b'{"schemaVersion":2,"manifests":[],"layers":[]}')
    # what is given under a digest has another
    wanted, _ = image("swapped", BASE)
    manifests["swapped", wanted["digest"]] = manifests["good", "1"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, code, data=b"", media="application/json", length=None, headers=()):
        self.send_response(code)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        for k, v in headers:
            self.send_header(k, v)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def endless(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"%x\r\n" % (1 << 16) + bytes(1 << 16) + b"\r\n")
        except OSError:
            self.close_connection = True

    def do_GET(self):
        if self.path == "/log":
            return self.answer(200, "".join(x + "\n" for x in log).encode(), "text/plain")
        log.append(f"{self.command} {self.path}")
        parts = self.path.strip("/").split("/")
        if len(parts) == 1:
            return self.answer(200, b"{}")
        repo, what, ref = parts[1:4]
        if repo == "forbidden":
            return self.answer(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}',
                               headers=[("WWW-Authenticate", 'Basic realm="liar"')])
        if what == "manifests" and (repo, ref) in manifests:
            media, data = manifests[repo, ref]
            return self.answer(200, data, media, headers=[("Docker-Content-Digest", digest(data))])
        if what == "blobs" and ref in blobs:
            data = blobs[ref]
            bad, change = lies.get(repo, (None, None))
            if ref == bad and not change:
                return self.endless()
            if ref == bad and change == "slow":
                self.close_connection = True
                self.answer(200, data[:len(data) // 2], "application/octet-stream", len(data))
                self.wfile.flush()
                return threading.Event().wait(600)
            if ref == bad:
                self.close_connection = True
                return self.answer(200, change(data), "application/octet-stream", len(data))
            return self.answer(200, data, "application/octet-stream")
        code = b"MANIFEST_UNKNOWN" if what == "manifests" else b"BLOB_UNKNOWN"
        return self.answer(404, b'{"errors":[{"code":"' + code + b'","message":"not here"}]}')

    do_HEAD = do_GET


honest()
liars()
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
with open(sys.argv[1] + ".new", "w") as f:
    f.write(str(server.server_address[1]))
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
