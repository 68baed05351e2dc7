"""What the service refuses to be started with, and its limits on callers: rates, connections, slow clients."""
import http.client
import json
import os
import re
import socket
import subprocess
import tempfile
import time
import unittest

from service import PROGRAM, Service
from wire import Wire

GROUP = "/apis/projectcalico.org/v3"


class SettingsTest(unittest.TestCase):
    def refused(self, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            data = os.path.join(folder, "data")
            done = subprocess.run([PROGRAM, "serve", "--data-dir", data, *arguments], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertFalse(os.path.exists(data))
            return done.stderr

    def test_what_would_be_open_to_others(self):
        self.assertIn("--no-auth", self.refused("--listen", "0.0.0.0:0", "--no-auth"))
        self.assertIn("--no-auth", self.refused("--listen", "127.0.0.1:0", "--listen", "[::]:0", "--no-auth", "--insecure-http"))
        self.assertIn("--insecure-http", self.refused("--listen", "0.0.0.0:0"))
        self.assertIn("--tls-cert", self.refused("--listen", "https://127.0.0.1:0"))
        self.assertIn("together", self.refused("--tls-cert", "x"))
        self.assertIn("--client-ca", self.refused("--client-ca", "x"))

    def test_no_auth_warns_and_shows_passwords_only_when_asked(self):
        with Service() as service:
            service.wait_for_log("level=warn event=no-auth")
            who = service.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body={}).json()
            self.assertEqual(who["status"]["userInfo"]["username"], "anonymous")

    def test_requests_per_second(self):
        with Service("--max-requests", "1", auth=True) as service:
            answers = []
            while not answers or answers[-1].status != 429:  # however slow the machine is: the burst ends some time
                self.assertLess(len(answers), 10000)
                answers.append(service.request("GET", f"{GROUP}/nodes"))
            self.assertGreater(len(answers), 2)
            self.assertEqual({answer.status for answer in answers[:-1]}, {200})
            self.assertEqual(answers[-1].headers["Retry-After"], "1")
            self.assertEqual(answers[-1].json()["reason"], "TooManyRequests")
            self.assertEqual(service.request("GET", "/livez").status, 200)  # who asks nothing is not counted
            time.sleep(int(answers[-1].headers["Retry-After"]))
            self.assertEqual(service.request("GET", f"{GROUP}/nodes").status, 200)

    def test_writes_of_a_node(self):
        """One node's own writes, which alter others' lists, are few; others and its reads are not held up."""
        with Service(auth=True) as service:
            tokens = {}
            for name, address in (("a", "10.0.0.1"), ("b", "10.0.0.2")):
                service.request("POST", f"{GROUP}/nodes", {"metadata": {"name": name}, "spec": {"bgp": {"ipv4Address": address}}})
                answer = service.request("POST", "/apis/bgppeerd.io/v1/tokens", {"spec": {"role": "node", "node": name}})
                tokens[name] = {"Authorization": "Bearer " + answer.json()["status"]["token"]}

            def write(name, i, query=""):
                return service.request("PATCH", f"{GROUP}/nodes/{name}{query}", json.dumps({"spec": {"bgp": {"ipv4Address": f"10.1.{i // 250}.{i % 250 + 1}"}}}).encode(),
                                       {**tokens[name], "Content-Type": "application/merge-patch+json"})

            done = 0
            for done in range(10000):  # ends because 1 a second comes back, and a machine does more
                answer = write("a", done, "?dryRun=All" if done % 2 else "")
                if answer.status == 429:
                    break
                self.assertEqual(answer.status, 200, answer.body)
            self.assertGreaterEqual(done, 20)
            self.assertEqual(answer.headers["Retry-After"], "1")
            self.assertIn("writes more often", answer.json()["message"])
            self.assertEqual(service.request("GET", f"{GROUP}/nodes/a/peerings", headers=tokens["a"]).status, 200)
            self.assertEqual(service.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                                             {"spec": {"resourceAttributes": {"verb": "get", "resource": "nodes"}}}, tokens["a"]).status, 201)
            self.assertEqual(write("b", 9999).status, 200)
            self.assertEqual(service.request("PATCH", f"{GROUP}/nodes/a", b'{"metadata":{"labels":{"x":"y"}}}',
                                             {"Content-Type": "application/merge-patch+json"}).status, 200)

    def test_failed_authentications(self):
        with Service("--max-auth-failures", "3", auth=True) as service:
            def guess():
                return service.request("GET", f"{GROUP}/nodes", headers={"Authorization": "Bearer bpd_guess"})

            answers = [guess() for _ in range(5)]
            self.assertEqual([answer.status for answer in answers], [401, 401, 401, 429, 429])
            self.assertGreater(int(answers[3].headers["Retry-After"]), 1)
            self.assertEqual(service.request("GET", f"{GROUP}/nodes").status, 200)  # a good credential is not held up

    def test_connections_per_address(self):
        with Service("--max-connections-per-address", "3") as service:
            held = []
            for _ in range(6):
                connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
                try:
                    connection.request("GET", "/livez")
                    connection.getresponse().read()
                    held.append(connection)
                except (OSError, http.client.HTTPException):
                    connection.close()
            self.assertEqual(len(held), 3)
            held[0].request("GET", "/metrics")
            self.assertIn("\nbgppeerd_http_connections_refused_total 3\n", held[0].getresponse().read().decode())
            service.wait_for_log("event=connections-refused")
            self.assertEqual(service.log().count("event=connections-refused"), 1)
            for connection in held:
                connection.close()

    def test_strangers_make_room(self):
        """When nearly all connections are open, those that never showed a credential are cut; known ones stay."""
        with Service("--threads", "1", "--max-connections", "40", "--max-connections-per-address", "0", auth=True) as service:
            known = []
            for _ in range(4):
                connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
                connection.request("GET", f"{GROUP}/nodes", headers={"Authorization": f"Bearer {service.token}"})
                self.assertEqual(connection.getresponse().read()[:1], b"{")
                known.append(connection)
            strangers = [socket.create_connection(("127.0.0.1", service.port), timeout=60) for _ in range(36)]
            for stranger in strangers[:4]:  # the oldest; the headers' own time is 40 s
                stranger.settimeout(30)
                self.assertEqual(stranger.recv(1), b"")
            service.wait_for_log("has shown no credential")
            for connection in known:
                connection.request("GET", f"{GROUP}/nodes", headers={"Authorization": f"Bearer {service.token}"})
                self.assertEqual(connection.getresponse().status, 200)
                connection.close()
            strangers[-1].settimeout(0.1)
            with self.assertRaises(TimeoutError):  # room was made, and no more
                strangers[-1].recv(1)
            for stranger in strangers:
                stranger.close()

    def test_header_bytes(self):
        """At the very byte, where the line and the headers count as they are sent, and each header 64 bytes more."""
        limit = 2048
        with Service("--max-header-bytes", str(limit)) as service, Wire(service) as wire:
            for headers in (2, 9):
                head = "GET /livez HTTP/1.1\r\nHost: x\r\n" + "A: b\r\n" * (headers - 2) + "X: {}\r\n\r\n"
                fits = limit - 64 * headers - len(head.format(""))
                wire.send(head.format("x" * fits))
                self.assertEqual(wire.read_answer()[0], 200)
                with Wire(service) as other:
                    other.send(head.format("x" * (fits + 1)))
                    status, _, body = other.read_answer()
                    self.assertEqual((status, b"2048" in body), (431, True))

    def test_body_bytes(self):
        with Service("--max-body-bytes", "2000") as service:
            body = json.dumps({"metadata": {"name": "large"}, "spec": {}})
            for size, status in ((2001, 413), (2000, 201)):
                with Wire(service) as wire:
                    wire.send(f"POST {GROUP}/bgpfilters?dryRun=All HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                              f"{size:x}\r\n{body.ljust(size)}\r\n0\r\n\r\n")
                    self.assertEqual(wire.read_answer()[0], status)
                self.assertEqual(service.request("POST", f"{GROUP}/bgpfilters?dryRun=All", body.ljust(size)).status, status)

    def test_watches(self):
        with Service("--max-watches", "2") as service, Wire(service) as first, Wire(service) as second:
            watch = f"GET {GROUP}/nodes?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n"
            for wire in (first, second):
                wire.send(watch)
                self.assertIn(b" 200 ", wire.read_until(b"\r\n\r\n"))
            answer = service.request("GET", f"{GROUP}/nodes?watch=1")
            self.assertEqual((answer.status, answer.headers["Retry-After"]), (503, "1"))
            # Waiting polls have a limit of their own, and a watch that ends makes room.
            path = f"{GROUP}/nodes/n/peerings"
            self.assertEqual(service.request("POST", f"{GROUP}/nodes", {"metadata": {"name": "n"}}).status, 201)
            etag = service.request("GET", path).headers["ETag"]
            self.assertEqual(service.request("GET", path + "?wait=10ms", headers={"If-None-Match": etag}).status, 304)
            first.socket.close()
            end = time.monotonic() + 30
            while (answer := service.request("GET", f"{GROUP}/nodes?watch=1&timeoutSeconds=1")).status != 200 and time.monotonic() < end:
                service.request("POST", f"{GROUP}/nodes", {"metadata": {"generateName": "n-"}})  # nobody takes this event
            self.assertEqual(answer.status, 200)

    def test_connections_in_all(self):
        """One more than the limit is not refused: it is accepted when another one has gone."""
        with Service("--max-connections", "4", "--threads", "1") as service:
            held = []
            for _ in range(4):
                held.append(http.client.HTTPConnection("127.0.0.1", service.port, timeout=60))
                held[-1].request("GET", "/livez")
                self.assertEqual(held[-1].getresponse().read(), b"ok\n")
            with socket.create_connection(("127.0.0.1", service.port), timeout=1) as more:
                more.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                with self.assertRaises(TimeoutError):
                    more.recv(1)
                held.pop().close()
                more.settimeout(60)
                self.assertEqual(more.recv(12), b"HTTP/1.1 200")
            for connection in held:
                connection.close()


class SlowClientTest(unittest.TestCase):
    """Clients that trickle, which no idle time-out sees, are cut; the others are not."""

    def trickle(self, connection, data, until):
        """Send byte by byte until the other side has closed; when it did."""
        connection.settimeout(0.2)
        for byte in data:
            if time.monotonic() > until:
                break
            try:
                connection.send(bytes([byte]))
                if connection.recv(1) == b"":
                    return time.monotonic()
            except TimeoutError:
                pass
            except OSError:
                return time.monotonic()
        return None

    def test_headers(self):
        with Service("--header-seconds", "2") as service:
            start = time.monotonic()
            with socket.create_connection(("127.0.0.1", service.port)) as connection:
                closed = self.trickle(connection, b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 200, start + 40)
            self.assertIsNotNone(closed)
            self.assertGreaterEqual(closed - start, 1.9)
            # Within its time a client may take it slowly, and may wait for an answer for longer.
            service.apply_examples()
            path = f"{GROUP}/nodes/rack1-host1/peerings"
            etag = service.request("GET", path).headers["ETag"]
            answer = service.request("GET", path + "?wait=5s", headers={"If-None-Match": etag})
            self.assertEqual(answer.status, 304)

    def test_bodies(self):
        with Service("--body-seconds", "2") as service:
            start = time.monotonic()
            with socket.create_connection(("127.0.0.1", service.port)) as connection:
                connection.sendall(f"POST {GROUP}/nodes HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode())
                closed = self.trickle(connection, b"{" * 200, start + 20)
            self.assertIsNotNone(closed)
            self.assertGreaterEqual(closed - start, 1.9)
            service.wait_for_log("event=slow-body")

    def test_a_crowd(self):
        """Hundreds of slow clients at one address do not keep another one from being served, and leave nothing behind."""
        with Service("--max-connections-per-address", "400") as service:
            service.apply_examples()
            service.request("GET", "/livez")

            def open_files():
                try:
                    return len(os.listdir(f"/proc/{service.process.pid}/fd"))
                except PermissionError:
                    return 0

            before, crowd = open_files(), []
            for index in range(500):
                connection = socket.create_connection(("127.0.0.1", service.port))
                crowd.append(connection)
                try:
                    connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n" if index % 2 else
                                       b"POST /apis HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
                except OSError:
                    pass
            slowest = 0
            for _ in range(100):
                other = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60, source_address=("127.0.0.2", 0))
                start = time.monotonic()
                other.request("GET", f"{GROUP}/nodes/rack1-host1/peerings")
                self.assertEqual(other.getresponse().status, 200)
                slowest = max(slowest, time.monotonic() - start)
                other.close()
            self.assertLess(slowest, 10)  # the crowd is there for as long as a request's headers may take, 40 s
            for connection in crowd:
                connection.close()
            end = time.monotonic() + 60
            while open_files() > before and time.monotonic() < end:
                time.sleep(0.05)
            self.assertLessEqual(open_files(), before)

    def make_much_to_read(self, service):
        for index in range(50):
            document = {"metadata": {"name": f"f{index}", "annotations": {"a": "x" * 200_000}}, "spec": {}}
            self.assertEqual(service.request("POST", f"{GROUP}/bgpfilters", body=document).status, 201)

    def test_a_slow_but_steady_reader_gets_everything(self):
        """Longer than the 30 s after which a connection is cut on which nothing moves."""
        with Service() as service:
            self.make_much_to_read(service)
            with Wire(service, seconds=60) as wire:
                wire.send(f"GET {GROUP}/bgpfilters HTTP/1.1\r\nHost: x\r\n\r\n")
                head = wire.read_until(b"\r\n\r\n")
                length = int(re.search(rb"\r\nContent-Length: (\d+)", head).group(1))
                end, taken = time.monotonic() + 33, len(wire.pending)
                while time.monotonic() < end:
                    taken += len(wire.socket.recv(8192))
                    time.sleep(0.2)
                self.assertLess(taken, length / 2)
                wire.pending = b""
                wire.read_exactly(length - taken)

    def test_answers(self):
        with Service("--answer-seconds", "2") as service:
            self.make_much_to_read(service)
            with socket.socket() as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.settimeout(60)
                connection.connect(("127.0.0.1", service.port))
                connection.sendall(f"GET {GROUP}/bgpfilters HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                taken, cut, end = 0, False, time.monotonic() + 60
                try:
                    while piece := connection.recv(1 << 20 if cut else 512):
                        taken += len(piece)
                        if not cut:
                            time.sleep(0.02)
                            cut = "event=connection-cut" in service.log() or time.monotonic() > end
                except ConnectionResetError:
                    pass
            self.assertLess(taken, 10_000_000)  # what the kernel had taken over still came
            service.wait_for_log("event=connection-cut")
            self.assertGreater(len(service.request("GET", f"{GROUP}/bgpfilters").body), 10_000_000)


if __name__ == "__main__":
    unittest.main()
