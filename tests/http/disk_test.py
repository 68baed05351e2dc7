# tests/run: timeout 180
"""A disk that is full, or a file that may not grow: writes are refused with a reason and nothing is half there, reads and
polls go on, and everything works again as soon as there is room."""
import concurrent.futures
import contextlib
import json
import os
import resource
import subprocess
import tempfile
import time
import unittest

from service import PROGRAM, Service
from wire import GROUP, MERGE

PEERS = f"{GROUP}/bgppeers"
SECRETS = "/api/v1/namespaces/default/secrets"
LIST = f"{GROUP}/nodes/n/peerings"
VAULT = "/apis/bgppeerd.io/v1/vault"
PASSWORD = "correct-horse-battery"


def peer(name, number=64999, filler=0):
    spec = {"node": "n", "peerIP": "192.0.2.1", "asNumber": number, "password": {"secretKeyRef": {"name": "bgp", "key": "tor"}}}
    return {"metadata": {"name": name, "annotations": {"filler": "x" * filler}}, "spec": spec}


class Broken:
    """What all of these tests do, whatever it is that keeps the service from writing. `fill` and `free` are the test's."""

    def prepare(self, service):
        for path, body in ((f"{GROUP}/nodes", {"metadata": {"name": "n"}, "spec": {"bgp": {"ipv4Address": "10.0.0.1/24"}}}),
                           (SECRETS, {"metadata": {"name": "bgp"}, "stringData": {"tor": PASSWORD}}),
                           (PEERS, peer("kept"))):
            answer = service.request("POST", path, body)
            self.assertEqual(answer.status, 201, answer.body)

    def stored(self, service):
        """Everything that can be seen from outside: objects, their versions, the list with its password."""
        kinds = {path: service.request("GET", path).json() for path in (PEERS, f"{GROUP}/nodes", f"{GROUP}/bgpfilters", SECRETS)}
        revealed = service.request("GET", LIST + "?passwords=true")
        self.assertEqual(revealed.status, 200, revealed.body)
        self.assertIn(PASSWORD, revealed.body.decode())
        return json.dumps(kinds, sort_keys=True), revealed.headers["ETag"], service.request("GET", LIST).headers["ETag"]

    def write_until_refused(self, service):
        """The log may still have some room inside: the names that were acknowledged."""
        names = []
        for i in range(2000):
            name = f"filler-{i}"
            answer = service.request("POST", PEERS, peer(name, filler=2000))
            if answer.status != 201:
                self.assert_refused(answer)
                return names
            names.append(name)
        raise AssertionError("nothing fills this disk")

    def assert_refused(self, answer):
        self.assertEqual(answer.status, 507, answer.body)
        status = answer.json()
        self.assertEqual((status["kind"], status["status"], status["reason"], status["code"]), ("Status", "Failure", "InsufficientStorage", 507))
        self.assertRegex(status["message"], "no space|limit|too large")

    def refused_writes(self, service):
        """Every kind of write, each big enough to need new room."""
        big = {"metadata": {"annotations": {"filler": "y" * 100000}}}
        several = json.dumps([{"apiVersion": "projectcalico.org/v3", "kind": "BGPPeer", **peer(f"group-{i}", filler=30000)} for i in range(4)])
        yield "POST", PEERS, peer("new", filler=100000), {}
        yield "PUT", f"{PEERS}/kept", peer("kept", 65001, filler=100000), {}
        yield "PATCH", f"{PEERS}/kept", json.dumps(big), MERGE
        yield "POST", SECRETS, {"metadata": {"name": "new", "annotations": {"filler": "z" * 60000}}, "stringData": {"a": "b" * 60000}}, {}
        yield "PUT", f"{SECRETS}/bgp", {"metadata": {"name": "bgp", "annotations": {"filler": "z" * 60000}}, "stringData": {"tor": "other"}}, {}
        yield "POST", "/apis/bgppeerd.io/v1/applies", several, {"Content-Type": "application/json"}

    def check_refusals(self, service):
        before = self.stored(service)
        for method, path, body, headers in self.refused_writes(service):
            with self.subTest(method=method, path=path):
                self.assert_refused(service.request(method, path, body, headers))
                self.assertEqual(self.stored(service), before)
        ready = service.request("GET", "/readyz")
        self.assertEqual(ready.status, 503)
        self.assertRegex(ready.body.decode(), "^not ready: .*(no space|limit|too large)")
        self.assertEqual(service.request("GET", "/livez").status, 200)
        backup = service.request("GET", "/apis/bgppeerd.io/v1/backup")
        self.assert_refused(backup)
        answer = service.request("POST", PEERS + "?dryRun=All", peer("dry"))
        self.assertEqual(answer.status, 201, "a dry run needs no disk")

    def check_polls(self, service):
        tag = service.request("GET", LIST).headers["ETag"]
        self.assertEqual(service.request("GET", LIST, None, {"If-None-Match": tag}).status, 304)
        started = time.monotonic()
        self.assertEqual(service.request("GET", LIST + "?wait=500ms", None, {"If-None-Match": tag}).status, 304)
        self.assertGreaterEqual(time.monotonic() - started, 0.5, "what was refused woke nobody")

    def wait_until_ready(self, service):
        end = time.monotonic() + 60
        while (answer := service.request("GET", "/readyz")).status != 200:
            self.assertLess(time.monotonic(), end, answer.body)
            time.sleep(0.1)

    def check(self, service, fill, free):
        self.prepare(service)
        tag = service.request("GET", LIST).headers["ETag"]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            fill()
            names = self.write_until_refused(service)
            tag = service.request("GET", LIST).headers["ETag"]
            poll = pool.submit(service.request, "GET", LIST + "?wait=60s", None, {"If-None-Match": tag})
            self.check_refusals(service)
            self.check_polls(service)
            self.assertFalse(poll.done(), "nothing has happened")
            free()
            self.wait_until_ready(service)
            changed = service.request("PATCH", f"{PEERS}/kept", '{"spec":{"asNumber":65002}}', MERGE)
            self.assertEqual(changed.status, 200, changed.body)
            self.assertEqual(poll.result(20).status, 200, "and this woke it")
        after = self.stored(service)
        self.assertEqual(service.stop(), 0)
        service.start()
        self.assertEqual(self.stored(service)[0::2], after[0::2])
        for name in names:
            self.assertEqual(service.request("GET", f"{PEERS}/{name}").status, 200, name)
        fill()
        names = self.write_until_refused(service)
        before = self.stored(service)
        service.kill()
        free()
        service.start()
        self.assertEqual(self.stored(service)[0::2], before[0::2], "killed while the disk was full")
        self.assertNotIn(PASSWORD, service.log())


class FileSizeTest(Broken, unittest.TestCase):
    """The process may not make files longer. Needs no special rights."""

    def test_files_at_their_limit(self):
        with Service() as service:
            def limit(size):
                resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

            self.check(service, lambda: limit(4096), lambda: service.process and limit(resource.RLIM_INFINITY))


@contextlib.contextmanager
def small_disk(size):
    """A folder on a file system of its own."""
    with tempfile.TemporaryDirectory(prefix="bgppeerd-disk-") as folder:
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", folder], capture_output=True, check=False)
        if made.returncode != 0:
            raise unittest.SkipTest("only root may mount a small file system")
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)


class FullDiskTest(Broken, unittest.TestCase):
    def test_full_disk(self):
        with small_disk("4m") as disk:
            filler = os.path.join(disk, "filler")

            def fill():
                with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
                    while file.write(b"\0" * 4096):
                        pass

            with Service(data=os.path.join(disk, "data")) as service:
                self.check(service, fill, lambda: os.remove(filler))
                fill()
                self.assertEqual(service.stop(), 0, "stopping needs no room")
                os.remove(filler)
                service.start()
                self.stored(service)

    def test_a_start_with_a_little_room(self):
        """Each page less stops the start at another write: the log, its index, the mark, the lock, `listen`. It serves all the
        same, says what is wrong, and goes on by itself when there is room."""
        with small_disk("4m") as disk:
            filler = os.path.join(disk, "filler")
            with Service(data=os.path.join(disk, "data")) as service:
                self.prepare(service)
                before = self.stored(service)
                self.assertEqual(service.stop(), 0)
                for pages in (0, 1, 2, 3, 5, 8, 9, 10, 12, 16):
                    with self.subTest(pages=pages):
                        self.fill_but(filler, pages)
                        self.start_alive(service)
                        self.assertEqual(self.stored(service)[::2], before[::2])
                        self.check_polls(service)
                        if service.request("GET", "/readyz").status != 200:
                            self.assert_refused(service.request("POST", PEERS, peer("new", filler=100000)))
                        os.remove(filler)
                        self.wait_until_ready(service)
                        self.wait_for_listen(service)
                        changed = service.request("PATCH", f"{PEERS}/kept", json.dumps({"spec": {"asNumber": 65100 + pages}}), MERGE)
                        self.assertEqual(changed.status, 200, changed.body)
                        before = self.stored(service)
                        if pages % 2:
                            service.kill()
                        else:
                            self.assertEqual(service.stop(), 0)

    def test_start_without_a_token_on_a_full_disk(self):
        """The first admin's token is made as soon as there is room for its file."""
        with small_disk("4m") as disk:
            filler = os.path.join(disk, "filler")
            with Service(data=os.path.join(disk, "data")) as service:
                self.prepare(service)
                self.assertEqual(service.stop(), 0)
                self.fill_but(filler, 0)
                service.arguments.remove("--no-auth")
                self.start_alive(service)
                token = os.path.join(service.data, "admin.token")
                self.assertFalse(os.path.exists(token) and os.path.getsize(token))
                os.remove(filler)
                self.wait_until_ready(service)
                end = time.monotonic() + 30
                while not os.path.exists(token):
                    self.assertLess(time.monotonic(), end)
                    time.sleep(0.05)
                with open(token, encoding="ascii") as file:
                    service.token = file.read().strip()
                end = time.monotonic() + 30
                while service.request("GET", PEERS).status != 200:
                    self.assertLess(time.monotonic(), end)
                    time.sleep(0.05)

    def test_a_start_on_a_disk_that_became_read_only(self):
        """Also with a log that a killed process left, and without one; writes come back with the disk."""
        for how in ("kill", "stop"):
            with self.subTest(how=how), small_disk("8m") as disk:
                with Service(data=os.path.join(disk, "data")) as service:
                    self.prepare(service)
                    before = self.stored(service)
                    getattr(service, how)()
                    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
                    self.start_alive(service)
                    self.assertEqual(self.stored(service)[::2], before[::2])
                    self.check_polls(service)
                    ready = service.request("GET", "/readyz")
                    self.assertEqual(ready.status, 503)
                    self.assertIn("ead-only", ready.body.decode())
                    refused = service.request("POST", PEERS, peer("new"))
                    self.assertEqual(refused.status, 503, refused.body)
                    second = subprocess.run([PROGRAM, "serve", "--no-auth", "--listen", "127.0.0.1:0", "--data-dir", service.data],
                                            capture_output=True, text=True, timeout=30, check=False)
                    self.assertIn("is in use", second.stderr)
                    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
                    self.wait_until_ready(service)
                    self.wait_for_listen(service)
                    self.assertEqual(service.request("POST", PEERS, peer("new")).status, 201)
                    after = self.stored(service)
                    service.kill()
                    service.start()
                    self.assertEqual(self.stored(service)[::2], after[::2])

    def test_maintenance_with_a_little_room(self):
        """A rotation of the data key, a backup, and the trimming of the audit trail stop at whichever write there is no room
        for: nothing is lost or half done, reads and polls go on, and when there is room they work."""
        with small_disk("6m") as disk:
            filler = os.path.join(disk, "filler")
            with Service("--keep-audit", "50", data=os.path.join(disk, "data")) as service:
                self.prepare(service)
                before = self.stored(service)
                for pages in (0, 1, 2, 3, 5, 8, 13, 21, 40):
                    with self.subTest(pages=pages):
                        self.fill_but(filler, pages)
                        for _ in range(60):  # each denied or failed one is an entry of the trail
                            service.request("PATCH", f"{PEERS}/kept", json.dumps({"metadata": {"annotations": {"filler": "y" * 3000}}}), MERGE)
                            service.request("PATCH", f"{PEERS}/kept", json.dumps({"metadata": {"annotations": {"filler": None}}}), MERGE)
                        rotation = service.request("POST", f"{VAULT}/rotations")
                        if rotation.status == 202:
                            self.assertIn(self.settled(service, rotation), ("Succeeded", "Failed"))
                        else:
                            self.assertIn(rotation.status, (503, 507), rotation.body)
                        backup = service.request("GET", "/apis/bgppeerd.io/v1/backup")
                        self.assertIn(backup.status, (200, 503, 507), backup.body[:200])
                        self.assertEqual(self.stored(service)[2], before[2])
                        self.check_polls(service)
                        self.assertEqual(service.request("GET", "/apis/bgppeerd.io/v1/audit").status, 200)
                        os.remove(filler)
                        self.wait_until_ready(service)
                        again = service.request("POST", f"{VAULT}/rotations")
                        self.assertEqual(again.status, 202, again.body)
                        self.assertEqual(self.settled(service, again), "Succeeded")
                        self.assertEqual(service.request("GET", "/apis/bgppeerd.io/v1/backup").status, 200)
                        self.assertEqual(self.stored(service)[2], before[2])
                self.assertEqual([name for name in os.listdir(service.data) if name.startswith(".bgppeerd-")], [])
                service.kill()
                service.start()
                self.assertEqual(self.stored(service)[2], before[2])

    def settled(self, service, answer):
        """The state in which an operation of the vault ends."""
        end = time.monotonic() + 60
        while True:
            operation = service.request("GET", VAULT).json()["status"]["operation"]
            self.assertEqual(operation["id"], answer.json()["status"]["operation"]["id"])
            if operation["state"] != "Running":
                return operation["state"]
            self.assertLess(time.monotonic(), end, operation)
            time.sleep(0.02)

    def fill_but(self, filler, pages):
        """Leave so many pages of 4 KiB."""
        with open(filler, "wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while file.write(b"\0" * 4096):
                    pass
            os.ftruncate(file.fileno(), max(0, os.fstat(file.fileno()).st_size // 4096 - pages) * 4096)

    def start_alive(self, service):
        """As Service.start, for one that may not be ready to write."""
        wait, service.wait_until_ready = service.wait_until_ready, lambda: self.wait_until_alive(service)
        try:
            service.start()
        finally:
            service.wait_until_ready = wait

    def wait_until_alive(self, service):
        end = time.monotonic() + 60
        while time.monotonic() < end and service.process.poll() is None:
            with contextlib.suppress(OSError):
                return service.request("GET", "/livez").status == 200
            time.sleep(0.02)
        return False

    def wait_for_listen(self, service):
        end = time.monotonic() + 30
        path = os.path.join(service.data, "listen")
        while True:
            with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
                if f":{service.port}\n" in file.read():
                    return
            self.assertLess(time.monotonic(), end, "listen was not written")
            time.sleep(0.05)

    def test_start_on_a_full_or_read_only_disk(self):
        for options, expected in (("4k", "space"), ("1m,ro", "[Rr]ead-only")):
            with small_disk(options) as disk:
                with contextlib.suppress(OSError), open(os.path.join(disk, "filler"), "wb", buffering=0) as file:
                    while file.write(b"\0" * 4096):
                        pass
                ended = subprocess.run([PROGRAM, "serve", "--no-auth", "--listen", "127.0.0.1:0", "--data-dir", os.path.join(disk, "data")],
                                       capture_output=True, text=True, timeout=30, check=False)
                self.assertEqual(ended.returncode, 1, ended.stderr)
                self.assertRegex(ended.stderr, expected)
                self.assertNotIn("Sanitizer", ended.stderr)


if __name__ == "__main__":
    unittest.main()
