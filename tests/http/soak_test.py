# tests/run: alone
# tests/run: timeout 180
"""Everything at once for a while: conflicting writers, polls and waiting polls, watches that come and go, previews and
applies, secrets while the vault's key is rotated, tokens, and clients that leave in the middle of everything. Nothing may be
answered wrongly, and afterwards every connection and all memory is back. SOAK_SECONDS makes it longer, SEED repeats a run."""
import json
import os
import random
import signal
import socket
import struct
import threading
import time
import unittest

from service import INSTRUMENTED, Service
from wire import GROUP, Wire

OURS = "/apis/bgppeerd.io/v1"
PEERS = f"{GROUP}/bgppeers"
NODES = f"{GROUP}/nodes"
SECRET = "/api/v1/namespaces/default/secrets/bgp"
SECONDS = float(os.environ.get("SOAK_SECONDS") or 8)
FLEET = 6


def node(i, rack="a"):
    return {"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": f"n{i}", "labels": {"rack": rack}},
            "spec": {"bgp": {"ipv4Address": f"10.0.0.{i + 1}/24"}}}


def peer(name, number, selector="rack == 'a'", labels=None):
    return {"apiVersion": "projectcalico.org/v3", "kind": "BGPPeer", "metadata": {"name": name, "labels": labels or {}},
            "spec": {"nodeSelector": selector, "peerIP": "192.0.2.1", "asNumber": number}}


class Client:
    """One thread's work: `step` until the end, on one connection that is opened again when it was closed."""

    def __init__(self, soak, number, step):
        self.soak, self.step = soak, step
        self.random = random.Random(f"{soak.seed}-{number}")
        self.wire = None
        self.count = 0

    def run(self):
        while not self.soak.over():
            try:
                self.step(self)
                self.count += 1
            except (EOFError, OSError):
                self.close()
                if not self.soak.stopping:
                    self.soak.failures.append(f"{self.step.__name__}: the connection was closed")
                    return
            except Exception as failure:  # the test's thread reports it
                self.soak.failures.append(f"{self.step.__name__}: {failure!r}")
                return
        self.close()

    def close(self):
        if self.wire is not None:
            self.wire.socket.close()
            self.wire = None

    def head(self, method, path, body, headers):
        headers = {"Authorization": f"Bearer {self.soak.service.token}", "Content-Type": "application/json", **headers}
        text = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
        return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{text}Content-Length: {len(body)}\r\n\r\n"

    def send(self, method, path, body="", **headers):
        """(status, headers, body)"""
        body = body if isinstance(body, str) else json.dumps(body)
        if self.wire is None:
            self.wire = Wire(self.soak.service, seconds=60)
        self.wire.send(self.head(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}) + body)
        return self.wire.read_answer()

    def expect(self, codes, method, path, body="", **headers):
        answer = self.send(method, path, body, **headers)
        if answer[0] not in codes and not (self.soak.stopping and answer[0] == 503):
            raise AssertionError(f"{method} {path}: {answer[0]} {answer[2][:300]}")
        return answer


class Soak:
    def __init__(self, service, seed):
        self.service, self.seed = service, seed
        self.failures = []
        self.stopping = False
        self.ends = 0.0
        self.password = 1  # the newest one that was acknowledged
        self.clients = []

    def over(self):
        return time.monotonic() > self.ends or bool(self.failures)

    # ---- steps ----

    def write(self, client):
        choose = client.random
        name, number = f"p{choose.randrange(3)}", choose.randrange(1, 65000)
        path, body = f"{PEERS}/{name}", peer(name, number, choose.choice(("rack == 'a'", "rack == 'b'", "all()")),
                                             {"team": choose.choice("xyz")})
        action = choose.randrange(5)
        if action == 0:
            client.expect((201, 409), "POST", PEERS, body)
        elif action == 1:
            status, headers, _ = client.expect((200, 404), "GET", path)
            if status == 200:
                client.expect((200, 404, 412), "PUT", path, body, If_Match=headers["etag"])
        elif action == 2:
            client.expect((200, 404), "PATCH", path, {"spec": {"asNumber": number}}, Content_Type="application/merge-patch+json")
        elif action == 3:
            client.expect((200, 404), "DELETE", path)
        else:
            client.expect((201, 409), "POST", f"{PEERS}?dryRun=All", body)

    def move_nodes(self, client):
        i = client.random.randrange(1, FLEET)
        if client.random.random() < 0.3:
            client.expect((200, 404), "DELETE", f"{NODES}/n{i}")
            client.expect((201, 409), "POST", NODES, node(i, client.random.choice("ab")))
        else:
            client.expect((200, 404), "PATCH", f"{NODES}/n{i}", {"metadata": {"labels": {"rack": client.random.choice("ab")}}},
                          Content_Type="application/merge-patch+json")

    def poll(self, client):
        """Any node's list, waiting or not."""
        tags = client.__dict__.setdefault("tags", {})
        i = client.random.randrange(FLEET)
        wait = client.random.choice(("", "", "?wait=100ms", "?wait=700ms"))
        status, headers, body = client.expect((200, 304, 404), "GET", f"{NODES}/n{i}/peerings{wait}", "", If_None_Match=tags.get(i, '""'))
        if status == 200:
            if headers["etag"] == tags.get(i):
                raise AssertionError(f"n{i}: 200 with the ETag that the client has")
            tags[i] = headers["etag"]
            if b"pw-" in body:
                raise AssertionError("a password where none was asked for")

    def reveal(self, client):
        """n0 always has a session with the password: the newest, or one that came later."""
        expected = self.password
        status, headers, body = client.expect((200, 304), "GET", f"{NODES}/n0/peerings?passwords=true", "",
                                              If_None_Match=client.__dict__.get("tag", '""'))
        if status == 304:
            if client.seen < expected:
                raise AssertionError(f"304 for pw-{client.seen} after pw-{expected} was acknowledged")
        elif status == 200:
            entry = next(entry for entry in json.loads(body)["items"] if entry["origin"].get("bgpPeer") == "secured")
            client.seen, client.tag = int(entry["password"].removeprefix("pw-")), headers["etag"]
            if client.seen < expected:
                raise AssertionError(f"pw-{client.seen} after pw-{expected} was acknowledged")

    def change_password(self, client):
        number = self.password + 1
        client.expect((200,), "PUT", SECRET, {"metadata": {"name": "bgp"}, "stringData": {"tor": f"pw-{number}"}})
        if not self.stopping:
            self.password = number
        time.sleep(0.01)

    def rotate(self, client):
        client.expect((202, 409, 503), "POST", f"{OURS}/vault/rotations")  # 503: behind many backups
        time.sleep(0.05)

    def use_token(self, client):
        _, _, body = client.expect((201,), "POST", f"{OURS}/tokens", {"spec": {"role": "viewer"}})
        if self.stopping:
            return
        token = json.loads(body)
        bearer = f"Bearer {token['status']['token']}"
        client.expect((200,), "GET", PEERS, "", Authorization=bearer)
        client.expect((403,), "DELETE", PEERS, "", Authorization=bearer)
        client.expect((200,), "DELETE", f"{OURS}/tokens/{token['metadata']['name']}")
        client.expect((401, 429), "GET", PEERS, "", Authorization=bearer)

    def preview(self, client):
        number = client.random.randrange(1, 65000)
        documents = [peer(f"p{i}", number) for i in range(2)] + [node(client.random.randrange(1, FLEET), "b")]
        _, _, body = client.expect((200,), "POST", f"{OURS}/previews", documents)
        if self.stopping:
            return
        version = json.loads(body)["metadata"]["resourceVersion"]
        client.expect((200, 409), "POST", f"{OURS}/applies", documents, If_Match=f'"{version}"')

    def watch(self, client):
        """Open one, read a little, leave."""
        client.close()
        plural, selector = client.random.choice((("bgppeers", "team%3Dx"), ("bgppeers", "team+in+(x,y)"), ("nodes", "rack%3Da"), ("nodes", "")))
        with Wire(self.service, seconds=60) as wire:
            wire.send(client.head("GET", f"{GROUP}/{plural}?watch=1&timeoutSeconds=1&labelSelector={selector}", "", {}))
            head = wire.read_until(b"\r\n\r\n")
            if b" 200 " not in head and not self.stopping:
                raise AssertionError(head)
            for _ in range(client.random.randrange(3)):
                wire.socket.settimeout(0.3)
                try:
                    size = int(wire.read_until(b"\r\n"), 16)
                    if size == 0:
                        break
                    wire.read_exactly(size + 2)
                except TimeoutError:
                    break

    def leave(self, client):
        """Every phase has its client that goes away in it, politely or not."""
        body = json.dumps(peer("left", 1))
        chosen = client.random.choice((
            ("POST", PEERS, body, {}), ("DELETE", f"{PEERS}/left", "", {}), ("POST", f"{OURS}/previews", json.dumps([peer("left", 2)]), {}),
            ("GET", f"{NODES}/n0/peerings?wait=1s", "", {"If-None-Match": "*"}), ("GET", f"{PEERS}?watch=1&timeoutSeconds=1", "", {}),
            ("GET", f"{NODES}/n0/peerings?passwords=true", "", {}), ("GET", f"{OURS}/backup", "", {})))
        text = (client.head(*chosen) + chosen[2]).encode()
        with Wire(self.service) as wire:
            cut = client.random.choice((client.random.randrange(len(text)), len(text), len(text)))
            wire.send(text[:cut])
            if client.random.random() < 0.5:
                time.sleep(client.random.random() * 0.01)
            # A reset instead of a goodbye; libmicrohttpd may notice a goodbye in the middle of a body 30 s later only.
            if client.random.random() < 0.5 or text.find(b"\r\n\r\n") < cut < len(text):
                wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    # ---- running ----

    def start(self, seconds):
        steps = [self.write, self.write, self.write, self.move_nodes, self.poll, self.poll, self.poll, self.reveal, self.change_password,
                 self.rotate, self.use_token, self.preview, self.watch, self.watch, self.leave, self.leave]
        self.ends = time.monotonic() + seconds
        self.clients = [Client(self, number, step) for number, step in enumerate(steps)]
        threads = [threading.Thread(target=client.run) for client in self.clients]
        for thread in threads:
            thread.start()
        return threads


def footprint(service):
    """(open files, resident KiB); files: None where that may not be read."""
    resident = service.resident_kib()
    try:
        return len(os.listdir(f"/proc/{service.process.pid}/fd")), resident
    except PermissionError:
        return None, resident


class SoakTest(unittest.TestCase):
    def prepare(self, service):
        for path, body in ((f"{NODES}", node(0)), ("/api/v1/namespaces/default/secrets", {"metadata": {"name": "bgp"}, "stringData": {"tor": "pw-1"}}),
                           (PEERS, {"metadata": {"name": "secured"}, "spec": {"node": "n0", "peerIP": "192.0.2.9", "asNumber": 65009,
                                                                             "password": {"secretKeyRef": {"name": "bgp", "key": "tor"}}}})):
            self.assertEqual(service.request("POST", path, body).status, 201)

    def wait_until_quiet(self, service, files, seconds=60):
        """Its footprint, once no more files are open than that, or after so many seconds."""
        end = time.monotonic() + seconds
        while (now := footprint(service))[0] is not None and now[0] > files and time.monotonic() < end:
            # A thread of libmicrohttpd without anything to do closes what it has given up a while later only.
            for _ in range(20):
                service.request("GET", "/livez")
            time.sleep(0.2)
        return now

    def test_everything_at_once(self):
        # All clients have one address, and those that leave are many.
        seed = os.environ.get("SEED") or str(random.SystemRandom().randrange(10**9))
        print(f"SEED={seed}", flush=True)
        with Service("--log-level", "warn", "--keep-changes", "1000", "--keep-audit", "1000", "--header-seconds", "3", "--max-connections-per-address", "0", auth=True) as service:
            self.prepare(service)
            soak = Soak(service, seed)
            service.request("GET", f"{OURS}/backup")  # whatever is opened when it is needed first
            idle, _ = self.wait_until_quiet(service, 0, seconds=1)
            sizes = []
            for _ in range(2):
                for thread in soak.start(SECONDS / 2):
                    thread.join()
                self.assertEqual(soak.failures, [])
                files, resident = self.wait_until_quiet(service, idle)
                self.assertEqual(files, idle, "every connection is closed")
                sizes.append(resident)
            for client in soak.clients:
                self.assertGreater(client.count, 0, client.step.__name__)
            if not INSTRUMENTED:  # those keep freed memory for a while
                self.assertLess(sizes[1], sizes[0] + 16 * 1024, "KiB; nothing piles up")
            threads = soak.start(60)
            time.sleep(1.5)
            soak.stopping = True
            service.process.send_signal(signal.SIGTERM)
            status = service.process.wait(30)
            soak.ends = 0
            for thread in threads:
                thread.join()
            log = service.log()
            self.assertEqual((status, soak.failures), (0, []), log[-3000:])
            self.assertNotIn("Sanitizer", log)
            self.assertNotIn("stop-incomplete", log)
            self.assertNotIn("pw-", log)
            service.process = None
            service.start()
            revealed = service.request("GET", f"{NODES}/n0/peerings?passwords=true").json()
            entry = next(entry for entry in revealed["items"] if entry["origin"].get("bgpPeer") == "secured")
            self.assertGreaterEqual(int(entry["password"].removeprefix("pw-")), soak.password)
            self.assertEqual(service.stop(), 0)


if __name__ == "__main__":
    unittest.main()
