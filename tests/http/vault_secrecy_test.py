# tests/run: timeout 240
"""Passwords are nowhere but in their owner's list: not in the data directory, a backup, the log, any other answer, and
not in the memory of the process once the answer is out."""
import base64
import http.client
import json
import os
import random
import re
import ssl
import string
import subprocess
import tempfile
import time
import unittest

from service import PROGRAM, Service, free_port
from wire import GROUP

SECRETS = "/api/v1/namespaces/default/secrets"
COUNT = 200
LETTERS = string.ascii_letters + string.digits
# Every value has this in its middle, at a place where base64 shows it as the same text each time, so that one search
# finds any trace of any of them.
MARKER = "".join(random.SystemRandom().choice(LETTERS) for _ in range(12))
TRACES = (MARKER.encode(), base64.b64encode(MARKER.encode()), MARKER.encode("utf-16-le"), MARKER.encode().hex().encode())


PIECE, OVERLAP = 1 << 24, 64  # bytes of memory that are looked at together


def new_value():
    pick = random.SystemRandom().choice
    return "".join(pick(LETTERS) for _ in range(9)) + MARKER + "".join(pick(LETTERS) for _ in range(7))


def find_traces(data):
    return [trace for trace in TRACES if trace in data]


class Instrumented(Exception):
    """The process has terabytes of shadow memory."""


def read_memory(pid):
    """(region, bytes) of everything the process can write to. PermissionError: not allowed here."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as file:
        regions = file.read().splitlines()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in regions:
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw.. \S+ \S+ \S+ *(.*)", line)
            if not found or found.group(3) in ("[vvar]", "[vsyscall]"):
                continue
            start, end = int(found.group(1), 16), int(found.group(2), 16)
            if end - start > 1 << 36:
                raise Instrumented()
            for at in range(start, end, PIECE):
                try:
                    memory.seek(at)
                    yield f"{found.group(1)} {found.group(3)}", memory.read(min(PIECE + OVERLAP, end - at))
                except OSError:
                    continue  # a guard page, or memory that is locked away


class SecrecyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service("--log-level", "debug", *cls.more_arguments(), auth=True)
        cls.addClassCleanup(cls.service.close)
        cls.service.start("http://")
        cls.values = {f"s{i}": new_value() for i in range(COUNT)}
        cls.connection = cls.connect()
        cls.addClassCleanup(cls.connection.close)
        cls.write_everything()
        cls.read_everything()

    @classmethod
    def more_arguments(cls):
        return ()

    @classmethod
    def connect(cls):
        return http.client.HTTPConnection("127.0.0.1", cls.service.port, timeout=60)

    @classmethod
    def ask(cls, method, path, body=None, headers=None, keep=True):
        connection = cls.connection if keep else cls.connect()
        answer = cls.service.request(method, path, body, headers, connection)
        if not keep:
            connection.close()
        if answer.status >= 300 and answer.status != 304:
            raise AssertionError(f"{method} {path}: {answer.status} {answer.body[:300]}")
        return answer

    @classmethod
    def write_everything(cls):
        """In all the ways that there are, over connections that stay open and such that do not."""
        for i, (name, value) in enumerate(cls.values.items()):
            encoded = base64.b64encode(value.encode()).decode()
            meta = {"name": name}
            way, keep = i % 10, i // 10 % 2 == 0
            if way == 0:
                cls.ask("POST", SECRETS, {"metadata": meta, "stringData": {"password": value}}, keep=keep)
            elif way == 1:
                cls.ask("POST", SECRETS, {"metadata": meta, "data": {"password": encoded}}, keep=keep)
            elif way == 2:
                text = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData:\n  password: {value}\n"
                cls.ask("POST", SECRETS, text, {"Content-Type": "application/yaml"}, keep)
            elif way == 3:
                cls.ask("POST", SECRETS, {"metadata": meta, "stringData": {"password": new_value()}}, keep=keep)
                cls.ask("PATCH", f"{SECRETS}/{name}", json.dumps({"stringData": {"password": value}}),
                        {"Content-Type": "application/merge-patch+json"}, keep)
            elif way == 4:
                cls.ask("POST", SECRETS, {"metadata": meta, "stringData": {"password": new_value()}}, keep=keep)
                patch = [{"op": "replace", "path": "/data/password", "value": encoded}]
                cls.ask("PATCH", f"{SECRETS}/{name}", json.dumps(patch), {"Content-Type": "application/json-patch+json"},
                        keep)
            elif way == 5:
                document = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"password": value}}
                for path in ("previews", "applies"):
                    cls.ask("POST", f"/apis/bgppeerd.io/v1/{path}", [document], keep=keep)
            elif way == 6:
                text = f"---\nkind: Secret\napiVersion: v1\nmetadata: {{name: {name}}}\ndata: {{password: {encoded}}}\n"
                cls.ask("POST", "/apis/bgppeerd.io/v1/applies", text, {"Content-Type": "application/yaml"}, keep)
            elif way == 7:
                cls.ask("POST", SECRETS, {"metadata": meta, "stringData": {"password": new_value()}}, keep=keep)
                cls.ask("PATCH", f"{SECRETS}/{name}", json.dumps({"data": {"password": encoded}}),
                        {"Content-Type": "application/strategic-merge-patch+json"}, keep)
            elif way == 8:
                cls.ask("POST", SECRETS, {"metadata": meta, "stringData": {"password": new_value()}}, keep=keep)
                cls.ask("PUT", f"{SECRETS}/{name}", {"metadata": meta, "stringData": {"password": value}}, keep=keep)
            else:
                applied = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
                           "stringData": {"password": value}}
                meta["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(applied)}
                cls.ask("POST", SECRETS, {**applied, "metadata": meta}, keep=keep)
        cls.ask("POST", f"{GROUP}/nodes", {"metadata": {"name": "n"}, "spec": {"bgp": {"ipv4Address": "192.0.2.1",
                                                                                       "asNumber": 64512}}})
        for i, name in enumerate(cls.values):
            spec = {"node": "n", "peerIP": f"198.51.100.{i + 1}", "asNumber": 64999,
                    "password": {"secretKeyRef": {"name": name, "key": "password"}}}
            cls.ask("POST", f"{GROUP}/bgppeers", {"metadata": {"name": f"p-{name}"}, "spec": spec})
        # A body that is refused, one that is too large, and one that is broken off.
        for body in ({"metadata": {"name": "BAD NAME"}, "stringData": {"password": new_value()}},
                     {"metadata": {"name": "big"}, "stringData": {"password": new_value() * 40000}}):
            connection = cls.connect()
            try:
                cls.service.request("POST", SECRETS, body, None, connection)
            except OSError:
                pass  # the answer came before all of the body was sent
            connection.close()
        broken = cls.connect()
        broken.putrequest("POST", SECRETS)
        broken.putheader("Authorization", f"Bearer {cls.service.token}")
        broken.putheader("Content-Type", "application/json")
        broken.putheader("Content-Length", "5000")
        broken.endheaders()
        broken.send(json.dumps({"stringData": {"password": new_value()}}).encode()[:-2])
        time.sleep(0.2)
        broken.close()

    @classmethod
    def read_everything(cls):
        token = cls.ask("POST", "/apis/bgppeerd.io/v1/tokens", {"spec": {"role": "node", "node": "n"}}).json()
        cls.node = {"Authorization": f"Bearer {token['status']['token']}"}
        cls.owned = cls.ask("GET", f"{GROUP}/nodes/n/peerings", None, cls.node)
        for keep in (True, False):
            cls.ask("GET", f"{GROUP}/nodes/n/peerings", None, cls.node, keep)
            cls.ask("GET", f"{GROUP}/nodes/n/peerings?passwords=true", keep=keep)

    def test_the_owner_has_them_all(self):
        got = {peer.get("password") for peer in self.owned.json()["items"]}
        self.assertEqual(got, set(self.values.values()))

    def test_no_file_has_one(self):
        backup = os.path.join(self.service.folder, "backup")
        done = subprocess.run([PROGRAM, "backup", backup, "--data-dir", self.service.data], capture_output=True, text=True,
                              check=False, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        names = [os.path.join(self.service.data, name) for name in os.listdir(self.service.data)] + [backup]
        self.assertTrue(any(name.endswith("-wal") for name in names))
        for name in names:
            with open(name, "rb") as file:
                self.assertEqual(find_traces(file.read()), [], name)

    def test_no_log_line_has_one(self):
        time.sleep(0.5)
        log = self.service.log()
        self.assertIn("level=info", log)
        self.assertEqual(find_traces(log.encode()), [])

    def test_no_other_answer_has_one(self):
        paths = [SECRETS, "/api/v1/secrets", f"{GROUP}/nodes", f"{GROUP}/bgppeers", f"{GROUP}/nodes/n/peerings",
                 f"{GROUP}/nodes/n/peerings?explain=198.51.100.1", f"{GROUP}/bgppeers/p-s0/peerings",
                 "/apis/bgppeerd.io/v1/vault", "/apis/bgppeerd.io/v1/audit?limit=1000", "/apis/bgppeerd.io/v1/backup",
                 f"{SECRETS}?watch=true&resourceVersion=0&timeoutSeconds=1"]
        paths += [f"{SECRETS}/{name}" for name in self.values]
        for path in paths:
            answer = self.ask("GET", path, keep=False)
            self.assertGreater(len(answer.body), 0, path)
            self.assertEqual(find_traces(answer.body), [], path)
        name, value = next(iter(self.values.items()))
        preview = self.ask("PUT", f"{SECRETS}/{name}?dryRun=All&preview=peerings",
                           {"metadata": {"name": name}, "stringData": {"password": value}}, keep=False)
        self.assertEqual(find_traces(preview.body), [])

    def send_astray(self, connection):
        """To a path of another kind, and by callers who may not."""
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "misplaced"}, "stringData": {"password": new_value()}}
        viewer = self.ask("POST", "/apis/bgppeerd.io/v1/tokens", {"spec": {"role": "viewer"}}).json()["status"]["token"]
        for path, status, headers in (("/nowhere", 404, {}), (SECRETS, 403, {"Authorization": f"Bearer {viewer}"}),
                                      (SECRETS, 401, {"Authorization": None}), (f"{GROUP}/bgppeers", 400, {}),
                                      (f"{GROUP}/nodes/n", 400, {}), (f"{GROUP}/bgppeers?fieldValidation=Ignore", 400, {})):
            method = "PUT" if path.endswith("/n") else "POST"
            self.assertEqual(self.service.request(method, path, secret, headers, connection).status, status, path)

    def look_through_memory(self):
        """({region: what it has}, bytes looked at)"""
        found, size = {}, 0
        for region, data in read_memory(self.service.process.pid):
            size += len(data)
            for trace in find_traces(data):
                at = data.index(trace)
                found[region] = (data.count(trace), data[max(0, at - 100):at + 60])
        return found, size

    def test_memory_between_requests_has_none(self):
        for connection in (self.connection, self.connect()):
            self.send_astray(connection)
        self.addCleanup(connection.close)
        try:
            for _ in range(20):  # a request ends a moment after its answer has come
                time.sleep(0.5)
                found, size = self.look_through_memory()
                if not found:
                    break
        except PermissionError as failure:
            self.skipTest(f"this process may not read another's memory: {failure}")
        except Instrumented:
            self.skipTest("the service is built with a sanitizer, whose memory is too large to look through")
        self.assertGreater(size, 1 << 20)
        self.assertEqual(found, {})


class TLSSecrecyTest(SecrecyTest):
    """The same with encrypted connections, which have buffers of their own."""

    @classmethod
    def more_arguments(cls):
        folder = tempfile.TemporaryDirectory(prefix="bgppeerd-test-tls-")
        cls.addClassCleanup(folder.cleanup)
        subprocess.run([PROGRAM, "tls", "init", "--dir", folder.name], check=True, capture_output=True, timeout=60)
        cls.tls_port = free_port()
        return ("--listen", f"https://127.0.0.1:{cls.tls_port}", "--tls-cert", f"{folder.name}/server.crt", "--tls-key",
                f"{folder.name}/server.key")

    @classmethod
    def connect(cls):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", cls.tls_port, timeout=60, context=context)


if __name__ == "__main__":
    unittest.main()
