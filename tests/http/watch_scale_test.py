"""Many watches at once: each sees every change once and in order, for little memory.

tests/run: alone
tests/run: timeout 200
"""
import http.client
import json
import resource
import select
import socket
import threading
import time
import unittest

from service import INSTRUMENTED, Service
from wire import GROUP

PEERS = f"{GROUP}/bgppeers"
WATCHES = 1000
CHANGES = 1000
KIB_EACH = 20
SECONDS = 120


class Reader:
    """One watch: how many changes it has seen, which must come in order."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(f"GET {PEERS}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.socket.setblocking(False)
        self.raw = b""  # chunks; before them, the headers
        self.text = b""
        self.in_body = False
        self.seen = 0

    def take_chunks(self):
        """Move what is complete from the chunks to the text."""
        if not self.in_body:
            head, mark, rest = self.raw.partition(b"\r\n\r\n")
            if not mark:
                return
            self.in_body, self.raw = True, rest
            if not head.startswith(b"HTTP/1.1 200 "):
                raise ValueError(head)
        while b"\r\n" in self.raw:
            size, _, rest = self.raw.partition(b"\r\n")
            end = int(size, 16)
            if len(rest) < end + 2:
                return
            self.text += rest[:end]
            self.raw = rest[end + 2 :]

    def read(self):
        more = self.socket.recv(1 << 20)
        if not more:
            raise EOFError(f"a watch ended after {self.seen} changes")
        self.raw += more
        self.take_chunks()
        *lines, self.text = self.text.split(b"\n")
        for line in lines:
            if not line.startswith(b'{"type":"ADDED"') or b'"name":"p%d"' % self.seen not in line:
                raise ValueError(f"{line} instead of change {self.seen}")
            self.seen += 1


class ManyTest(unittest.TestCase):
    def setUp(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard != resource.RLIM_INFINITY and hard < 2 * WATCHES + 200:
            self.skipTest(f"{hard} open files are too few for {WATCHES} watches")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.service = Service("--max-connections-per-address", "0")
        self.addCleanup(self.service.close)
        self.service.start()

    def write(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port)
        for number in range(CHANGES):
            body = {"metadata": {"name": f"p{number}"}, "spec": {"nodeSelector": "all()", "peerIP": "192.0.2.1", "asNumber": number + 1}}
            connection.request("POST", PEERS, json.dumps(body), {"Content-Type": "application/json"})
            connection.getresponse().read()
        connection.close()

    def test_each_sees_all_in_order(self):
        before = self.service.resident_kib()
        readers = {}
        events = select.epoll()
        for _ in range(WATCHES):
            reader = Reader(self.service.port)
            self.addCleanup(reader.socket.close)
            readers[reader.socket.fileno()] = reader
            events.register(reader.socket.fileno(), select.EPOLLIN)
        writer = threading.Thread(target=self.write)
        writer.start()
        waiting = set(readers)
        end = time.monotonic() + SECONDS
        try:
            while waiting and time.monotonic() < end:
                for number, _ in events.poll(1):
                    readers[number].read()
                    if readers[number].seen == CHANGES:
                        waiting.discard(number)
        finally:
            writer.join()
        self.assertEqual(len(waiting), 0, "watches have not seen everything")
        if not INSTRUMENTED:
            self.assertLess((self.service.resident_kib() - before) / WATCHES, KIB_EACH)


if __name__ == "__main__":
    unittest.main()
