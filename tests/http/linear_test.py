# tests/run: timeout 300
"""Histories: clients create, change under preconditions, delete, read, list and poll the same few objects, and watch them,
while the service is killed or stopped and started again. For each object there must be one order that explains every
answer, across all of this; a watch that goes on where it was cut sees every change once, in order; and a poll never shows
less than what was acknowledged before it began. LINEAR_RUNS sets the number of runs (8), SEED repeats them."""
import http.client
import json
import os
import random
import threading
import time
import unittest

import linear
from linear import NEVER, Operation
from service import Service
from wire import GROUP

PEERS = f"{GROUP}/bgppeers"
LIST = f"{GROUP}/nodes/n/peerings"
CLIENTS = 5
KEYS = 4
BEFORE, AFTER = 30, 15  # operations of each client before the kill is due, and after the start
RESULTS = {"AlreadyExists": "exists", "NotFound": "missing", "Conflict": "conflict"}


class CheckerTest(unittest.TestCase):
    """The checker itself, on histories whose answer is known."""

    def assert_linear(self, expected, *operations):
        self.assertEqual(linear.check([Operation(**operation) for operation in operations]) is None, expected)

    def test_histories(self):
        create = dict(kind="create", begin=0, end=10, value=1, version=5)
        read = dict(kind="read", begin=20, end=30, value=1, version=5)
        gone = dict(kind="read", begin=20, end=30, result="missing")
        self.assert_linear(True, create, read)
        self.assert_linear(False, create, gone)
        self.assert_linear(True, create, dict(gone, begin=5))
        self.assert_linear(False, create, dict(gone, begin=5), dict(read, begin=1, end=4))
        lost = dict(create, end=NEVER, result="unknown", version=None)
        self.assert_linear(True, lost, gone)
        self.assert_linear(True, lost, read)
        self.assert_linear(True, lost, gone, dict(read, begin=40, end=50))
        self.assert_linear(False, lost, read, dict(gone, begin=40, end=50))

    def test_preconditions(self):
        create = dict(kind="create", begin=0, end=10, value=1, version=5)
        update = dict(kind="update", begin=20, end=40, wanted=5, value=2, version=6)
        other = dict(kind="update", begin=21, end=41, wanted=5, value=3, version=7)
        self.assert_linear(True, create, update, dict(other, result="conflict"))
        self.assert_linear(False, create, update, other)
        self.assert_linear(False, create, dict(update, result="conflict"), dict(other, result="conflict"))
        deletion = dict(kind="delete", begin=50, end=60)
        self.assert_linear(True, create, update, deletion, dict(create, begin=70, end=80, version=9))
        self.assert_linear(False, create, update, deletion, dict(kind="read", begin=61, end=62, value=2, version=6))
        self.assert_linear(False, create, create)


class Client(threading.Thread):
    """Works until its service is gone, remembering when each operation began and how it ended."""

    def __init__(self, run, number, count):
        super().__init__(daemon=True)
        self.run_of = run
        self.number = number
        self.count = count
        self.random = random.Random(f"{run.seed} {number} {count}")
        self.failure = None
        self.versions = {}
        self.done = 0

    def run(self):
        self.connection = http.client.HTTPConnection("127.0.0.1", self.run_of.service.port, timeout=60)
        try:
            while self.done < self.count:
                self.once()
                self.done += 1
        except (OSError, http.client.HTTPException):
            pass  # the service has died
        except Exception as failure:
            self.failure = failure
        finally:
            self.done = self.count
            self.connection.close()

    def ask(self, method, path, body=None):
        text = None if body is None else json.dumps(body)
        self.connection.request(method, path, text, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())

    def once(self):
        kind = self.random.choice(("create", "create", "update", "update", "update", "delete", "read", "list", "poll"))
        key = self.random.randrange(KEYS)
        if kind in ("list", "poll"):
            self.read_all(kind)
        elif kind == "read":
            self.read(key)
        else:
            self.write(kind, key)

    def write(self, kind, key):
        wanted = self.versions.get(key) if kind != "create" and self.random.random() < 0.8 else None
        operation = Operation(kind, time.monotonic_ns(), NEVER, wanted=wanted, result="unknown", client=self.number)
        body = {"metadata": {"name": self.run_of.name(key)}, "spec": self.run_of.spec(key)}
        operation.value = body["spec"]["asNumber"]
        self.run_of.note(key, operation)
        path = PEERS if kind == "create" else f"{PEERS}/{self.run_of.name(key)}"
        if kind == "delete":
            body = {"preconditions": {"resourceVersion": wanted}} if wanted else None
        elif wanted:
            body["metadata"]["resourceVersion"] = wanted
        status, answer = self.ask({"create": "POST", "update": "PUT", "delete": "DELETE"}[kind], path, body)
        end = time.monotonic_ns()
        if status in (200, 201):
            if kind == "update" and status == 201:
                operation.kind = "create"  # PUT makes what is missing
            version = answer["metadata"]["resourceVersion"] if kind != "delete" else None
            operation.version, operation.result = version, "done"
            self.versions[key] = version
        elif status in (429, 503, 507):
            self.run_of.forget(key, operation)  # it says that nothing was written
        else:
            operation.result = RESULTS[answer["reason"]]
        operation.end = end

    def note_read(self, key, begin, end, found):
        version, value = found if found is not None else (None, None)
        self.run_of.note(key, Operation("read", begin, end, value, version=version, client=self.number,
                                        result="missing" if found is None else "done"))
        if version is not None:
            self.versions[key] = version

    def read(self, key):
        begin = time.monotonic_ns()
        status, answer = self.ask("GET", f"{PEERS}/{self.run_of.name(key)}")
        end = time.monotonic_ns()
        self.note_read(key, begin, end, (answer["metadata"]["resourceVersion"], answer["spec"]["asNumber"]) if status == 200 else None)

    def read_all(self, kind):
        begin = time.monotonic_ns()
        status, answer = self.ask("GET", PEERS if kind == "list" else LIST)
        end = time.monotonic_ns()
        if status != 200:
            raise AssertionError(answer)
        if kind == "list":
            found = {item["metadata"]["name"]: (item["metadata"]["resourceVersion"], item["spec"]["asNumber"]) for item in answer["items"]}
            for key in range(KEYS):
                self.note_read(key, begin, end, found.get(self.run_of.name(key)))
        else:
            found = {item["peerIP"]: (None, item["asNumber"]) for item in answer["items"]}
            for key in range(KEYS):
                self.note_read(key, begin, end, found.get(self.run_of.address(key)))


class Watch(threading.Thread):
    """Follows the objects over as many connections as it takes, each going on where the last one was cut."""

    def __init__(self, run, version):
        super().__init__(daemon=True)
        self.run_of = run
        self.version = version
        self.events = []
        self.failure = None
        self.last = None  # the name whose creation is the end

    def run(self):
        try:
            end = time.monotonic() + 120
            while self.last is None or not any(name == self.last for _, _, name, _ in self.events):
                if time.monotonic() > end:
                    raise AssertionError("the watch did not come to its end")
                try:
                    self.follow()
                except (OSError, http.client.HTTPException, json.JSONDecodeError):
                    time.sleep(0.01)  # the service is being started again
        except Exception as failure:
            self.failure = failure

    def follow(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.run_of.service.port, timeout=60)
        try:
            connection.request("GET", f"{PEERS}?watch=true&resourceVersion={self.version}&timeoutSeconds=20")
            answer = connection.getresponse()
            while line := answer.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise AssertionError(event)
                item = event["object"]
                self.version = item["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self.events.append((int(self.version), event["type"], item["metadata"]["name"], item["spec"]["asNumber"]))
                    if item["metadata"]["name"] == self.last:
                        return
        finally:
            connection.close()


class Run:
    """One set of objects, one restart in the middle."""

    def __init__(self, service, number, seed):
        self.service = service
        self.number = number
        self.seed = f"{seed} {number}"
        self.random = random.Random(self.seed)
        self.lock = threading.Lock()
        self.histories = {key: [] for key in range(KEYS)}
        self.next_value = 100000 * (number + 1)

    def name(self, key):
        return f"r{self.number}-{key}"

    @staticmethod
    def address(key):
        return f"192.0.2.{key + 1}"

    def spec(self, key):
        with self.lock:
            self.next_value += 1
            return {"node": "n", "peerIP": self.address(key), "asNumber": self.next_value}

    def note(self, key, operation):
        with self.lock:
            self.histories[key].append(operation)

    def forget(self, key, operation):
        with self.lock:
            self.histories[key].remove(operation)

    def work(self, first, count):
        clients = [Client(self, first + number, count) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        return clients

    @staticmethod
    def join(clients):
        for client in clients:
            client.join()
            if client.failure:
                raise client.failure

    def go(self):
        version = self.service.request("GET", PEERS).json()["metadata"]["resourceVersion"]
        watch = Watch(self, version)
        watch.start()
        clients = self.work(0, BEFORE)
        wanted = self.random.randrange(BEFORE * CLIENTS)
        while sum(client.done for client in clients) < wanted:
            time.sleep(0.001)
        if self.random.random() < 0.8:
            self.service.kill()
        else:
            self.service.stop()
        self.join(clients)
        self.service.start()
        self.join(self.work(CLIENTS, AFTER))
        watch.last = f"r{self.number}-last"
        answer = self.service.request("POST", PEERS, {"metadata": {"name": watch.last}, "spec": {"asNumber": 1, "peerIP": "192.0.2.250"}})
        if answer.status != 201:
            raise AssertionError(answer.body)
        watch.join()
        if watch.failure:
            raise watch.failure
        for key in range(KEYS):
            problem = linear.check(self.histories[key])
            if problem:
                raise AssertionError(f"{self.name(key)} is not linearizable: {problem}")
        self.check_watch(watch)

    def check_watch(self, watch):
        """Every acknowledged write once, in order; what else was seen was written by somebody who got no answer."""
        versions = [version for version, _, _, _ in watch.events]
        if versions != sorted(set(versions)):
            raise AssertionError(f"events out of order or doubled: {versions}")
        for key in range(KEYS):
            seen = {version: value for version, kind, name, value in watch.events if name == self.name(key) and kind != "DELETED"}
            for operation in self.histories[key]:
                if operation.kind in ("create", "update") and operation.result == "done":
                    if seen.pop(int(operation.version), None) != operation.value:
                        raise AssertionError(f"the watch has missed or changed {operation}")
            open_values = {operation.value for operation in self.histories[key] if operation.result == "unknown"}
            if not set(seen.values()) <= open_values:
                raise AssertionError(f"the watch has shown what nobody wrote: {seen}")
            deleted = sum(1 for _, kind, name, _ in watch.events if name == self.name(key) and kind == "DELETED")
            deletions = [operation for operation in self.histories[key] if operation.kind == "delete"]
            sure = sum(operation.result == "done" for operation in deletions)
            unsure = sum(operation.result == "unknown" for operation in deletions)
            if not sure <= deleted <= sure + unsure:
                raise AssertionError(f"the watch has shown {deleted} deletions, there were {sure} to {sure + unsure}")

    def clean(self):
        self.service.request("DELETE", f"{PEERS}")


class LinearTest(unittest.TestCase):
    def test_histories(self):
        seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**9))
        runs = int(os.environ.get("LINEAR_RUNS") or 8)
        print(f"SEED={seed} LINEAR_RUNS={runs}", flush=True)
        with Service("--log-level", "warn") as service:
            answer = service.request("POST", f"{GROUP}/nodes", {"metadata": {"name": "n"}, "spec": {"bgp": {"ipv4Address": "10.0.0.1/24"}}})
            self.assertEqual(answer.status, 201, answer.body)
            for number in range(runs):
                run = Run(service, number, seed)
                try:
                    run.go()
                except AssertionError as failure:
                    raise AssertionError(f"run {number}, SEED={seed}") from failure
                run.clean()


if __name__ == "__main__":
    unittest.main()
