# SPDX-License-Identifier: GPL-2.0-or-later
# A small client of the API over the node's root-only socket: requests with one connection per thread, watches as
# iterators. Errors of the connection are `Away` (the server restarts now and then), others are `Refused` with a code.
import http.client
import json
import socket
import threading


class Away(Exception):
    pass


class Refused(Exception):
    def __init__(self, code, text):
        super().__init__("%d: %s" % (code, text))
        self.code = code


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("podium", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Api:
    def __init__(self, path):
        self.path = path
        self.mine = threading.local()

    def request(self, method, path, body=None, kind="application/json", accept="application/json"):
        """The decoded answer. An idle connection that the server closed is tried once more, anew."""
        for again in (True, False):
            c = getattr(self.mine, "c", None)
            fresh = c is None
            if fresh:
                c = self.mine.c = UnixConnection(self.path, 30)
            try:
                headers = {"Accept": accept}
                if body is not None:
                    headers["Content-Type"] = kind
                c.request(method, path, json.dumps(body) if body is not None else None, headers)
                r = c.getresponse()
                data = r.read()
            except (OSError, http.client.HTTPException) as e:
                c.close()
                self.mine.c = None
                if fresh or not again or method == "POST":
                    raise Away(str(e)) from None
                continue
            if r.status >= 400:
                raise Refused(r.status, data[:300].decode(errors="replace"))
            return json.loads(data) if accept == "application/json" else data
        return None

    def watch(self, path, timeout=30, receive=None, accept="application/json"):
        """The lines of a watch, until it ends or nothing came for `timeout` seconds. receive: size of the socket's buffer."""
        c = UnixConnection(self.path, timeout)
        try:
            c.connect()
            if receive:
                c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
            c.request("GET", path + ("&" if "?" in path else "?") + "watch=1", None, {"Accept": accept})
            r = c.getresponse()
            if r.status >= 400:
                raise Refused(r.status, r.read(300).decode(errors="replace"))
            while True:
                line = r.readline()
                if not line:
                    return
                yield line
        except (OSError, http.client.HTTPException, ValueError) as e:
            raise Away(str(e)) from None
        finally:
            c.close()
