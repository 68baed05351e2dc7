"""Raw connections, and short forms of the API's requests, for the HTTP tests."""
import json
import socket
import unittest

from service import Service

GROUP = "/apis/projectcalico.org/v3"
OURS = "/apis/bgppeerd.io/v1"
MERGE = {"Content-Type": "application/merge-patch+json"}


class Wire:
    """A connection that sends exactly what it is told. `buffer`: bytes that the kernel may take before we read them."""

    def __init__(self, service, seconds=20, buffer=None):
        self.socket = socket.socket()
        if buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(seconds)
        self.socket.connect(("127.0.0.1", service.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def read_until(self, mark):
        while mark not in self.pending:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError(f"closed after {self.pending[:200]!r}")
            self.pending += more
        head, _, self.pending = self.pending.partition(mark)
        return head

    def read_exactly(self, count):
        while len(self.pending) < count:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError(f"closed after {len(self.pending)} of {count} bytes")
            self.pending += more
        data, self.pending = self.pending[:count], self.pending[count:]
        return data

    def read_answer(self, head=False):
        """(status, {header: value}, body); `head`: the answer to a HEAD."""
        lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = 0 if head or status in (204, 304) else int(headers.get("content-length", "0"))
        return status, headers, self.read_exactly(length)

    def read_all(self, seconds=20):
        """Everything until the other side closes, or nothing has come for that long: libmicrohttpd may notice a
        half-closed connection that is in the middle of a request by its idle time-out only."""
        data, self.pending = self.pending, b""
        self.socket.settimeout(seconds)
        try:
            while more := self.socket.recv(65536):
                data += more
        except (ConnectionResetError, TimeoutError):
            pass
        return data


class ServiceTest(unittest.TestCase):
    """Tests that share one service; each test uses names of its own."""

    arguments = ()

    @classmethod
    def setUpClass(cls):
        cls.service = Service(*cls.arguments)
        try:
            cls.service.start()
        except BaseException:
            cls.service.close()
            raise

    @classmethod
    def tearDownClass(cls):
        alive = cls.service.process is not None and cls.service.process.poll() is None
        status = cls.service.stop() if alive else None
        log = cls.service.log()
        cls.service.close()
        if status != 0 or "Sanitizer" in log:
            raise AssertionError(f"the service ended with {status}:\n{log[-4000:]}")

    def request(self, method, path, body=None, headers=None):
        return self.service.request(method, path, body, headers)

    def assert_status(self, answer, code, reason=None):
        """The answer is a Status of that code; its parsed body."""
        self.assertEqual(answer.status, code, answer.body[:500])
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        status = answer.json()
        self.assertEqual((status["kind"], status["apiVersion"], status["status"], status["code"]),
                         ("Status", "v1", "Failure", code))
        self.assertTrue(status["message"])
        if reason:
            self.assertEqual(status["reason"], reason)
        return status

    def create(self, plural, name, spec=None, **metadata):
        answer = self.request("POST", f"{GROUP}/{plural}", {"metadata": {"name": name, **metadata}, "spec": spec or {}})
        self.assertEqual(answer.status, 201, answer.body)
        return answer.json()

    def create_node(self, name, address=None, labels=None):
        spec = {"bgp": {"ipv4Address": address}} if address else {}
        return self.create("nodes", name, spec, labels=labels or {})

    def create_peer(self, name, **spec):
        return self.create("bgppeers", name, {"peerIP": "192.0.2.1", "asNumber": 64999, **spec})


def compact(value):
    return json.dumps(value, separators=(",", ":"))
