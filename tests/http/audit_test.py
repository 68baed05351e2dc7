"""The audit trail across the service's end: the same entries, filters and pages after a stop, after kill -9, after the
disk was full, and in a database that is older than the trail."""
import contextlib
import os
import resource
import sqlite3
import subprocess
import tempfile
import time
import unittest

from service import PROGRAM, Service
from vault_fleet import read_bytes, write_private
from wire import GROUP, Wire

OURS = "/apis/bgppeerd.io/v1"
SECRETS = "/api/v1/namespaces/default/secrets"


def trail(test, service, query=""):
    """All entries that match, by pages."""
    found, token = [], ""
    while token is not None:
        answer = service.request("GET", f"{OURS}/audit?limit=7&continue={token}&{query}")
        test.assertEqual(answer.status, 200, answer.body)
        page = answer.json()
        found += page["items"]
        token = page["metadata"].get("continue")
    return found


def act(test, service):
    """One of everything that is audited. The bearer of each token that was made."""
    def must(method, path, body=None, headers=None, status=(200, 201)):
        answer = service.request(method, path, body, headers)
        test.assertIn(answer.status, status, answer.body)
        return answer

    must("POST", f"{GROUP}/nodes", {"metadata": {"name": "n"}, "spec": {"bgp": {"ipv4Address": "10.0.0.1/24"}}}, {"X-Request-Id": "made-n"})
    must("POST", SECRETS, {"metadata": {"name": "bgp"}, "stringData": {"tor": "correct-horse"}})
    must("POST", f"{GROUP}/bgppeers", {"metadata": {"name": "p"}, "spec": {
        "node": "n", "peerIP": "192.0.2.1", "asNumber": 64999, "password": {"secretKeyRef": {"name": "bgp", "key": "tor"}}}})
    must("PUT", f"{GROUP}/nodes/n", {"metadata": {"name": "n"}, "spec": {"bgp": {"ipv4Address": "10.0.0.2/24"}}})
    must("POST", f"{OURS}/applies", [{"apiVersion": "projectcalico.org/v3", "kind": "BGPFilter", "metadata": {"name": f"f{i}"}, "spec": {}} for i in range(3)])
    must("DELETE", f"{GROUP}/bgpfilters")
    bearers = []
    for spec in ({"role": "node", "node": "n"}, {"role": "viewer"}):
        bearers.append({"Authorization": "Bearer " + must("POST", f"{OURS}/tokens", {"spec": spec}).json()["status"]["token"]})
    must("GET", f"{GROUP}/nodes/n/peerings", None, bearers[0])
    must("GET", f"{GROUP}/nodes/other/peerings", None, bearers[0], (403,))
    must("DELETE", f"{GROUP}/nodes/n", None, bearers[1], (403,))
    must("PATCH", f"{GROUP}/nodes/n", '{"spec":{"bgp":{"asNumber":1}}}', {**bearers[0], "Content-Type": "application/merge-patch+json"}, (403,))
    must("GET", f"{GROUP}/nodes", None, {"Authorization": None}, (401,))
    must("GET", "/apis/%C3%A9/bpd_0123456789abcdef_" + "s" * 43, None, {"Authorization": None}, (401,))
    return bearers


def wait_until_stored(test, service):
    """Until everything that the trail shows is on the disk, which takes about a second."""
    shown = trail(test, service)
    wanted = len(shown), shown[0]["sequence"]
    end = time.monotonic() + 30
    while True:
        with contextlib.closing(sqlite3.connect(f"file:{service.data}/bgppeerd.db?mode=ro", uri=True)) as database:
            if database.execute("SELECT count(*), max(sequence) FROM audit").fetchone() == wanted:
                return
        test.assertLess(time.monotonic(), end, "the trail is not stored")
        time.sleep(0.1)


QUERIES = ("", "event=denied", "event=passwords", "event=write&resource=nodes", "event=token", "event=unauthorized", "name=n",
           "user=system:node:n", "since=2020-01-01T00:00:00Z", "until=2020-01-01T00:00:00Z")


class DurableTest(unittest.TestCase):
    def answers(self, service):
        return {query: trail(self, service, query) for query in QUERIES}

    def check_contents(self, entries):
        by_event = {}
        for entry in entries:
            by_event.setdefault(entry["event"], []).append(entry)
        self.assertEqual({event: len(found) for event, found in by_event.items()},
                         {"write": 10, "token": 3, "passwords": 1, "denied": 3, "unauthorized": 2})
        self.assertEqual([entry["sequence"] for entry in entries], list(range(19, 0, -1)))
        made = entries[-2]
        self.assertEqual((made["verb"], made["resource"], made["name"], made["requestID"], made["after"]), ("create", "nodes", "n", "made-n", "1"))
        # The service itself made the first token.
        self.assertEqual((entries[-1]["event"], entries[-1]["verb"], entries[-1]["user"]), ("token", "create", "bgppeerd"))
        self.assertRegex(made["source"], r"^127\.0\.0\.1:\d+$")
        self.assertEqual(by_event["passwords"][0]["user"], "system:node:n")
        self.assertNotIn("s" * 43, str(entries))

    def test_stop_and_start(self):
        with Service(auth=True) as service:
            act(self, service)
            before = self.answers(service)
            self.check_contents(before[""])
            for _ in range(2):
                self.assertEqual(service.stop(), 0)
                service.start()
                self.assertEqual(self.answers(service), before)
            service.request("DELETE", f"{GROUP}/nodes/n")
            self.assertEqual(trail(self, service)[0]["sequence"], 20)

    def test_kill(self):
        with Service(auth=True) as service:
            act(self, service)
            before = self.answers(service)
            wait_until_stored(self, service)
            service.request("POST", f"{GROUP}/nodes", {"metadata": {"name": "last"}}, {"X-Request-Id": "made-last"})
            service.kill()
            service.start()
            entries = trail(self, service)
            self.assertEqual(entries[1:], before[""])
            # A write's entry is as durable as the write.
            self.assertEqual((entries[0]["name"], entries[0]["requestID"], entries[0]["event"]), ("last", "made-last", "write"))

    def test_kill_among_writes(self):
        """Every acknowledged write has exactly one entry, whenever the end comes."""
        with Service(auth=True) as service:
            made = 0
            for _ in range(5):
                for _ in range(20):
                    made += service.request("POST", f"{GROUP}/nodes", {"metadata": {"name": f"n{made}"}}).status == 201
                service.kill()
                service.start()
            names = [entry["name"] for entry in trail(self, service, "event=write")]
            self.assertEqual(names, [f"n{i}" for i in range(made - 1, -1, -1)])

    def test_commands_on_a_stopped_service(self):
        with Service(auth=True) as service:
            before = trail(self, service)
            service.stop()
            for arguments in (("token", "create", "--role", "viewer"), ("vault", "rotate-data-key"), ("vault", "change-root-key", "--yes"), ("vault", "status")):
                subprocess.run([PROGRAM, *arguments, "--data-dir", service.data], check=True, capture_output=True, timeout=60)
            service.start()
            entries = trail(self, service)
            self.assertEqual(entries[3:], before)
            self.assertEqual([(entry["event"], entry["verb"]) for entry in entries[:3]], [("vault", "create"), ("vault", "create"), ("token", "create")])
            self.assertEqual([entry["name"] for entry in entries[:2]], ["RootKeyChange", "DataKeyRotation"])
            for entry in entries[:3]:
                self.assertTrue(entry["user"].startswith("local:"), entry)

    def test_retention(self):
        with Service("--keep-audit", "5", auth=True) as service:
            act(self, service)
            before = trail(self, service)
            # five of what was done, five of what was refused or read
            tries = [entry for entry in before if entry["event"] in ("denied", "unauthorized", "passwords")]
            self.assertEqual((len(before), len(tries)), (10, 5))
            self.assertEqual(service.stop(), 0)
            service.start()
            self.assertEqual(trail(self, service), before)

    def test_nobody_pushes_writes_out(self):
        """Whatever a node asks for, and however often, the writes are still there; equal hand-outs are one entry."""
        with Service("--keep-audit", "15", "--max-node-writes", "0", auth=True) as service:
            bearers = act(self, service)
            writes = trail(self, service, "event=write")
            handed_out = trail(self, service, "event=passwords")
            self.assertEqual(len(handed_out), 1)
            self.assertNotIn("count", handed_out[0])
            for i in range(100):
                service.request("GET", f"{GROUP}/nodes/other-{i}/peerings", None, bearers[0])
            for i in range(100):
                service.request("GET", f"{GROUP}/nodes/n/peerings", None, bearers[0])
                service.request("PATCH", f"{GROUP}/nodes/n", '{"spec":{"bgp":{"ipv4Address":"10.0.0.%d"}}}' % (2 + i % 2),
                                {**bearers[0], "Content-Type": "application/merge-patch+json"})
            for entries in (trail(self, service, "event=write"), None):
                if entries is None:
                    self.assertEqual(service.stop(), 0)
                    service.start()
                    entries = trail(self, service, "event=write")
                self.assertEqual([entry for entry in entries if entry["user"] != "system:node:n"], writes)
                self.assertEqual(len(entries), len(writes) + 15)
                again = trail(self, service, "event=passwords")
                self.assertIn(len(again), (2, 3))  # one for each state of the list
                self.assertIn(sum(entry.get("count", 1) for entry in again), (100, 101))

    def test_secrets_that_were_tried(self):
        """Dry runs, previews, refused and needless writes of Secrets: one entry for each kind, which counts."""
        with Service(auth=True) as service:
            operator = {"Authorization": "Bearer " + service.request("POST", f"{OURS}/tokens", {"spec": {"role": "operator"}}).json()["status"]["token"]}
            secret = {"metadata": {"name": "s"}, "stringData": {"k": "correct-horse"}}
            guess = {"metadata": {"name": "s"}, "stringData": {"k": "a guess"}}
            self.assertEqual(service.request("POST", SECRETS, secret).status, 201)
            for _ in range(3):
                self.assertEqual(service.request("PUT", f"{SECRETS}/s?dryRun=All", guess, operator).status, 200)
                self.assertEqual(service.request("PUT", f"{SECRETS}/s?dryRun=All&preview=peerings", guess, operator).status, 200)
                self.assertEqual(service.request("POST", f"{SECRETS}", guess, operator).status, 409)
            self.assertEqual(service.request("PUT", f"{SECRETS}/s", secret, operator).status, 200)
            found = {(entry["verb"], entry.get("name")): entry.get("count", 1) for entry in trail(self, service, "event=tried")}
            self.assertEqual(found.pop(("update", "default/s")), 4)
            self.assertEqual(found.pop(("preview", "default/s")), 3)
            self.assertEqual(sum(found.values()), 3)
            self.assertEqual([entry["verb"] for entry in trail(self, service, "event=write")], ["create"])
            # Previews tell whether the value is the same: nobody but an admin may ask that without end.
            for _ in range(10000):
                answer = service.request("POST", f"{OURS}/previews", [{"apiVersion": "v1", "kind": "Secret", **guess}], operator)
                if answer.status == 429:
                    break
                self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual((answer.status, answer.headers["Retry-After"]), (429, "1"))
            for _ in range(70):
                answer = service.request("POST", f"{OURS}/previews", [{"apiVersion": "v1", "kind": "Secret", **guess}])
                self.assertEqual(answer.status, 200, answer.body)

    def test_bytes_that_are_no_text(self):
        """What a client may put into a request line comes back as JSON, also from the disk."""
        with Service(auth=True) as service:
            for path in (b"/a\xff\xc3b", b"/" + b"x" * 122 + b"\xc3\xa9\xc3\xa9", b'/"\\'):
                with Wire(service) as wire:
                    wire.send(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    wire.read_answer()
            before = trail(self, service)
            self.assertEqual(service.stop(), 0)
            service.start()
            self.assertEqual(trail(self, service), before)
            self.assertNotIn("audit-unreadable", service.log())


class DiskTest(unittest.TestCase):
    def test_what_a_full_disk_refused_is_stored_later(self):
        with Service(auth=True) as service:
            bearers = act(self, service)
            wait_until_stored(self, service)
            resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
            for _ in range(2000):
                if service.request("POST", f"{GROUP}/bgppeers", {"metadata": {"generateName": "p-", "annotations": {"filler": "x" * 2000}},
                                                                 "spec": {"peerIP": "192.0.2.9", "asNumber": 1}}).status != 201:
                    break
            else:
                self.fail("the limit does not work")
            for i in range(20):
                self.assertEqual(service.request("GET", f"{GROUP}/nodes/n/peerings?passwords=true").status, 200, i)
            before = trail(self, service)
            self.assertEqual((before[0]["event"], before[0]["count"]), ("passwords", 20))
            time.sleep(2)
            resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            self.assertTrue(service.wait_until_ready())
            wait_until_stored(self, service)
            service.kill()
            service.start()
            self.assertEqual(trail(self, service), before)


class UpgradeTest(unittest.TestCase):
    def test_a_database_without_a_trail(self):
        """What its change log has is how the trail begins."""
        fixture = "tests/fixtures/v1/vault-key"
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        service = Service("--vault-key-file", write_private(f"{folder.name}/vault.key", read_bytes(f"{fixture}/vault.key")), auth=True)
        self.addCleanup(service.close)
        os.mkdir(service.data, 0o700)
        write_private(os.path.join(service.data, "bgppeerd.db"), read_bytes(f"{fixture}/bgppeerd.db"))
        service.start()
        before = trail(self, service)
        self.assertEqual(before[0]["event"], "token")  # the first start with tokens
        self.assertEqual({(entry["event"], entry["verb"]) for entry in before[1:]}, {("write", "create")})
        self.assertEqual(sorted(entry["name"] for entry in before if entry["resource"] == "bgppeers"), sorted(f"p{i}" for i in range(10)))
        wait_until_stored(self, service)
        service.kill()
        service.start()
        self.assertEqual(trail(self, service), before)


if __name__ == "__main__":
    unittest.main()
