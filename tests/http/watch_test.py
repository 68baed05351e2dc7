"""Watches: initial events, replay, selections, bookmarks, ends."""
import json
import threading
import time
import unittest
from urllib.parse import quote

from service import INSTRUMENTED, Service
from wire import GROUP, MERGE, ServiceTest, Wire

PEERS = f"{GROUP}/bgppeers"
NODES = f"{GROUP}/nodes"


class Watch(Wire):
    """Reads one event a line from a chunked answer."""

    def __init__(self, service, path, query="", headers="", seconds=60, buffer=None):
        super().__init__(service, seconds, buffer)
        self.send(f"GET {path}?watch=1{query} HTTP/1.1\r\nHost: x\r\n{headers}\r\n")
        self.head = self.read_until(b"\r\n\r\n").decode()
        self.status = int(self.head.split()[1])
        self.lines = b""
        self.ended = False

    def event(self):
        """The next event; None: the stream has ended as it should."""
        while b"\n" not in self.lines and not self.ended:
            size = int(self.read_until(b"\r\n"), 16)
            self.lines += self.read_exactly(size)
            self.read_exactly(2)
            self.ended = size == 0
        if not self.lines:
            return None
        line, _, self.lines = self.lines.partition(b"\n")
        return json.loads(line)

    def seen(self, count):
        """[(type, name)] of the next events."""
        return [(event["type"], event["object"]["metadata"].get("name")) for event in (self.event() for _ in range(count))]


class WatchTest(ServiceTest):
    def watch(self, path=PEERS, query="", headers=""):
        watch = Watch(self.service, path, query, headers)
        self.addCleanup(watch.socket.close)
        return watch

    def version(self, path=PEERS):
        return self.request("GET", path).json()["metadata"]["resourceVersion"]

    def tearDown(self):
        for path in (PEERS, NODES):
            self.assertEqual(self.request("DELETE", path).status, 200)

    def test_what_is_there_then_what_happens(self):
        made = self.create_peer("a")
        watch = self.watch()
        self.assertEqual(watch.status, 200)
        self.assertIn("Transfer-Encoding: chunked", watch.head)
        self.assertEqual(watch.event(), {"type": "ADDED", "object": made})
        other = self.create_peer("b")
        self.assertEqual(watch.event(), {"type": "ADDED", "object": other})
        changed = self.request("PATCH", f"{PEERS}/a", '{"spec":{"asNumber":1}}', MERGE).json()
        self.assertEqual(watch.event(), {"type": "MODIFIED", "object": changed})
        self.request("DELETE", f"{PEERS}/b")
        event = watch.event()
        self.assertEqual((event["type"], event["object"]["metadata"]["name"], event["object"]["spec"]), ("DELETED", "b", other["spec"]))
        self.assertGreater(int(event["object"]["metadata"]["resourceVersion"]), int(changed["metadata"]["resourceVersion"]))
        self.assertEqual(self.version(), event["object"]["metadata"]["resourceVersion"])

    def test_from_a_version(self):
        self.create_peer("before")
        version = self.version()
        self.create_peer("x")
        self.create_node("elsewhere")
        self.request("DELETE", f"{PEERS}/x")
        self.create_peer("y")
        watch = self.watch(query=f"&resourceVersion={version}")
        self.assertEqual(watch.seen(3), [("ADDED", "x"), ("DELETED", "x"), ("ADDED", "y")])
        self.create_peer("z")
        self.assertEqual(watch.seen(1), [("ADDED", "z")])

    def test_one_object_is_watched_by_its_list(self):
        self.create_peer("one")
        status = self.assert_status(self.request("GET", f"{PEERS}/one?watch=1&timeoutSeconds=1"), 400, "BadRequest")
        self.assertIn("watch=1&fieldSelector=metadata.name=one", status["message"])
        self.assertEqual(self.request("GET", f"{PEERS}/one?watch=false").status, 200)
        watch = self.watch(query="&fieldSelector=metadata.name=one&timeoutSeconds=1")
        self.assertEqual(watch.seen(1), [("ADDED", "one")])

    def test_every_spelling_of_watch(self):
        for value, watched in (("1", True), ("true", True), ("True", True), ("yes", True), ("0", False), ("false", False), ("", False)):
            with Wire(self.service) as wire:
                wire.send(f"GET {PEERS}?watch={value}&timeoutSeconds=1 HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertEqual(b"chunked" in wire.read_until(b"\r\n\r\n"), watched, value)

    def test_a_write_that_changes_nothing_is_no_event(self):
        made = self.create_peer("same")
        watch = self.watch(query=f"&resourceVersion={made['metadata']['resourceVersion']}")
        self.request("PUT", f"{PEERS}/same", made)
        self.request("PATCH", f"{PEERS}/same?dryRun=All", '{"spec":{"asNumber":1}}', MERGE)
        self.create_peer("next")
        self.assertEqual(watch.seen(1), [("ADDED", "next")])

    def test_selections(self):
        version = self.version(NODES)
        watch = self.watch(NODES, f"&labelSelector={quote('rack=1')}&resourceVersion={version}")
        named = self.watch(NODES, f"&fieldSelector={quote('metadata.name=n2')}&resourceVersion={version}")
        self.create_node("n1", labels={"rack": "1"})
        self.create_node("n2", labels={"rack": "2"})
        self.assertEqual(watch.seen(1), [("ADDED", "n1")])
        self.request("PATCH", f"{NODES}/n2", '{"metadata":{"labels":{"rack":"1"}}}', MERGE)
        self.assertEqual(watch.seen(1), [("ADDED", "n2")], "entering is ADDED")
        self.request("PATCH", f"{NODES}/n1", '{"metadata":{"labels":{"other":"1"}}}', MERGE)
        self.assertEqual(watch.seen(1), [("MODIFIED", "n1")])
        self.request("PATCH", f"{NODES}/n1", '{"metadata":{"labels":{"rack":null}}}', MERGE)
        self.assertEqual(watch.seen(1), [("DELETED", "n1")], "leaving is DELETED")
        self.request("DELETE", f"{NODES}/n1")
        self.request("DELETE", f"{NODES}/n2")
        self.assertEqual(watch.seen(1), [("DELETED", "n2")])
        self.assertEqual(named.seen(3), [("ADDED", "n2"), ("MODIFIED", "n2"), ("DELETED", "n2")])

    def test_timeout_ends_cleanly(self):
        started = time.monotonic()
        watch = self.watch(query="&timeoutSeconds=1")
        self.assertIsNone(watch.event())
        self.assertGreaterEqual(time.monotonic() - started, 1)
        self.assertLess(time.monotonic() - started, 25)  # sooner than an idle watch is looked at
        watch.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(watch.read_answer()[0], 200, "the connection is still good")

    def test_a_bookmark_says_where_to_go_on(self):
        """At its end: until then others' changes have made a quiet watch's last version old."""
        watch = self.watch(query="&timeoutSeconds=4&allowWatchBookmarks=true&labelSelector=quiet%3Dyes")
        silent = self.watch(query="&timeoutSeconds=4&labelSelector=quiet%3Dyes")
        self.create_peer("a")
        version = self.version()
        end = watch.event()
        self.assertEqual((end["type"], end["object"]["kind"]), ("BOOKMARK", "BGPPeer"))
        self.assertEqual(end["object"]["metadata"], {"resourceVersion": version, "creationTimestamp": None})
        self.assertIsNone(watch.event())
        self.assertIsNone(silent.event())

    def test_a_quiet_watch_is_heard_of_before_its_client_gives_up(self):
        """Some clients end a watch that says nothing for 30 s."""
        watch = Watch(self.service, PEERS, "&allowWatchBookmarks=true&labelSelector=quiet%3Dyes", seconds=29)
        self.addCleanup(watch.socket.close)
        self.assertEqual(watch.event()["type"], "BOOKMARK")

    def test_versions_that_cannot_be_served(self):
        self.assert_status(self.request("GET", f"{PEERS}?watch=1&resourceVersion={int(self.version()) + 1000}"), 504, "Timeout")
        self.assert_status(self.request("GET", f"{PEERS}?watch=1&resourceVersion=x"), 400, "BadRequest")
        self.assert_status(self.request("GET", f"{PEERS}?watch=1&timeoutSeconds=x"), 400, "BadRequest")
        self.assert_status(self.request("GET", f"{PEERS}?watch=1&labelSelector=%3D"), 400, "BadRequest")

    def test_initial_events_with_their_end(self):
        self.create_peer("a")
        self.create_peer("b")
        query = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        for version in ("", "&resourceVersion=0", "&resourceVersion=1"):
            watch = self.watch(query=query + version)
            self.assertEqual(watch.seen(2), [("ADDED", "a"), ("ADDED", "b")])
            end = watch.event()
            self.assertEqual((end["type"], end["object"]["kind"], end["object"]["apiVersion"]), ("BOOKMARK", "BGPPeer", "projectcalico.org/v3"))
            self.assertEqual(end["object"]["metadata"]["annotations"], {"k8s.io/initial-events-end": "true"})
            self.assertEqual(end["object"]["metadata"]["resourceVersion"], self.version())
            self.create_peer("c")
            self.assertEqual(watch.seen(1), [("ADDED", "c")])
            self.request("DELETE", f"{PEERS}/c")

    def test_tables(self):
        watch = self.watch(headers="Accept: application/json;as=Table;v=v1;g=meta.k8s.io\r\n")
        self.create_peer("a")
        self.create_peer("b")
        first, second = watch.event(), watch.event()
        self.assertEqual((first["type"], first["object"]["kind"]), ("ADDED", "Table"))
        self.assertEqual(first["object"]["rows"][0]["cells"][0], "a")
        self.assertIn("columnDefinitions", first["object"])
        self.assertEqual(second["object"]["rows"][0]["cells"][0], "b")
        self.assertNotIn("columnDefinitions", second["object"])

    def test_large_objects_and_many_initial_events(self):
        for i in range(300):
            self.create("bgppeers", f"large-{i:03}", {"node": f"n{i}", "peerIP": "192.0.2.1", "asNumber": 1}, annotations={"x": "y" * 3000})
        watch = self.watch()
        self.assertEqual(watch.seen(300), [("ADDED", f"large-{i:03}") for i in range(300)])
        self.create("bgppeers", "larger", {"peerIP": "192.0.2.1", "asNumber": 1}, annotations={"x": "y" * 200000})
        self.assertEqual(len(watch.event()["object"]["metadata"]["annotations"]["x"]), 200000)

    def test_every_watcher_sees_every_change_once_and_in_order(self):
        made = self.create_peer("counted", asNumber=0)
        watches = [self.watch(query=f"&resourceVersion={made['metadata']['resourceVersion']}") for _ in range(60)]
        changes, results = 200, {}

        def follow(index, watch):
            results[index] = [watch.event()["object"]["spec"]["asNumber"] for _ in range(changes)]

        threads = [threading.Thread(target=follow, args=item) for item in enumerate(watches)]
        for thread in threads:
            thread.start()
        for number in range(1, changes + 1):
            self.assertEqual(self.request("PATCH", f"{PEERS}/counted", f'{{"spec":{{"asNumber":{number}}}}}', MERGE).status, 200)
        for thread in threads:
            thread.join(60)
        for index in range(len(watches)):
            self.assertEqual(results.get(index), list(range(1, changes + 1)))

    def test_clients_that_go_away(self):
        for _ in range(40):
            Watch(self.service, PEERS).socket.close()
        for i in range(10):
            self.create_peer(f"after-{i}")
        self.assertEqual(self.request("GET", "/livez").status, 200)


class TricklingSocket:
    """A reader that takes little at a time, and takes its time."""

    def __init__(self, taken_from):
        self.socket = taken_from

    def recv(self, size):
        time.sleep(0.001)
        return self.socket.recv(min(size, 3000))

    def close(self):
        self.socket.close()


class SlowReadersTest(unittest.TestCase):
    """Nothing is kept for a reader that stalls: it gets a clean end, which says so. A slow one is not disturbed."""

    STALLED = 20

    def setUp(self):
        self.service = Service("--stall-seconds", "2")
        self.addCleanup(self.service.close)
        self.service.start()
        body = {"metadata": {"name": "p"}, "spec": {"peerIP": "192.0.2.1", "asNumber": 1}}
        self.version = self.service.request("POST", PEERS, body).json()["metadata"]["resourceVersion"]

    def watch(self, **options):
        watch = Watch(self.service, PEERS, f"&resourceVersion={self.version}", **options)
        self.addCleanup(watch.socket.close)
        return watch

    def change(self, count, size):
        with Wire(self.service, seconds=60) as writer:
            for number in range(count):
                patch = json.dumps({"metadata": {"annotations": {"n": f"{number} " + "x" * size}}})
                writer.send(f"PATCH {PEERS}/p HTTP/1.1\r\nHost: x\r\nContent-Type: application/merge-patch+json\r\nContent-Length: {len(patch)}\r\n\r\n{patch}")
                self.assertEqual(writer.read_answer()[0], 200)

    @staticmethod
    def read(watch, count):
        """(numbers of the changes seen, whatever else came last, bytes): up to `count` changes or to the end of the stream, which must be one."""
        numbers, taken = [], 0
        while len(numbers) < count:
            event = watch.event()
            if event is None or event["type"] != "MODIFIED":
                return numbers, event, taken
            numbers.append(int(event["object"]["metadata"]["annotations"]["n"].split()[0]))
            taken += len(event["object"]["metadata"]["annotations"]["n"])
        return numbers, None, taken

    def check(self, count, size, held):
        """`held`: bytes that may be on their way to a reader that reads nothing."""
        before = self.service.resident_kib()
        stalled = [self.watch(buffer=4096) for _ in range(self.STALLED)]
        trickling = self.watch(buffer=16384)
        trickling.socket = TricklingSocket(trickling.socket)
        results, fast = {}, self.watch()
        threads = [threading.Thread(target=lambda name=name, watch=watch: results.update({name: self.read(watch, count)}))
                   for name, watch in (("fast", fast), ("trickling", trickling))]
        for thread in threads:
            thread.start()
        self.change(count, size)
        for thread in threads:
            thread.join(120)
        self.assertEqual(results["fast"][:2], (list(range(count)), None))
        numbers, last, _ = results["trickling"]
        self.assertEqual(numbers, list(range(len(numbers))))
        if len(numbers) < count:  # on a machine so busy that it stalled
            self.assert_expired(trickling, last)
        self.service.wait_for_log("event=watch-stalled", 60, count=self.STALLED)
        if not INSTRUMENTED:
            # The history has every change once; each stalled reader would have all of them.
            self.assertLess(self.service.resident_kib() - before, 3 * count * size // 1024 + 24 * 1024, "KiB")
        for watch in stalled:
            numbers, last, taken = self.read(watch, count)
            self.assertEqual(numbers, list(range(len(numbers))))
            self.assertLess(taken, held)
            self.assert_expired(watch, last)
        fresh = self.watch(buffer=None)
        self.assertEqual(self.read(fresh, 1)[0], [0], "whoever comes back is served")

    def assert_expired(self, watch, last):
        self.assertEqual((last["type"], last["object"]["code"], last["object"]["reason"]), ("ERROR", 410, "Expired"))
        self.assertIsNone(watch.event(), "the stream ends as it should")

    def test_small_events(self):
        self.check(3000, 2000, 300_000)

    def test_the_event_it_is_in_the_middle_of_is_finished(self):
        self.check(40, 200_000, 1_000_000)


class EndsTest(unittest.TestCase):
    def test_initial_events_are_not_kept_for_ever(self):
        with Service("--answer-seconds", "1") as service:
            for number in range(20):
                body = {"metadata": {"name": f"p{number:02}", "annotations": {"x": "y" * 50_000}}, "spec": {"peerIP": "192.0.2.1", "asNumber": 1}}
                self.assertEqual(service.request("POST", PEERS, body).status, 201)
            watch = Watch(service, PEERS, buffer=4096)
            time.sleep(1.5)
            names, event = [], watch.event()
            while event["type"] == "ADDED":
                names.append(event["object"]["metadata"]["name"])
                event = watch.event()
            self.assertEqual(names, [f"p{number:02}" for number in range(len(names))])
            self.assertLess(len(names), 20)
            self.assertEqual((event["type"], event["object"]["code"], event["object"]["reason"]), ("ERROR", 410, "Expired"))
            self.assertIsNone(watch.event())
            watch.socket.close()

    def test_a_slow_reader_is_cut_off(self):
        """Nothing is kept for it: it is told that its version has expired."""
        with Service("--keep-changes", "1000") as service:
            body = {"metadata": {"name": "p"}, "spec": {"peerIP": "192.0.2.1", "asNumber": 1}}
            made = service.request("POST", PEERS, body).json()
            watch = Watch(service, PEERS, f"&resourceVersion={made['metadata']['resourceVersion']}")
            with Wire(service) as writer:
                for number in range(4000):
                    patch = json.dumps({"metadata": {"annotations": {"n": f"{number} " + "x" * 8000}}})
                    writer.send(f"PATCH {PEERS}/p HTTP/1.1\r\nHost: x\r\nContent-Type: application/merge-patch+json\r\nContent-Length: {len(patch)}\r\n\r\n{patch}")
                    self.assertEqual(writer.read_answer()[0], 200)
            last, numbers = None, []
            while (event := watch.event()) is not None:
                last = event
                if event["type"] == "MODIFIED":
                    numbers.append(int(event["object"]["metadata"]["annotations"]["n"].split()[0]))
            self.assertEqual(numbers, list(range(len(numbers))), "without a hole up to its end")
            self.assertEqual((last["type"], last["object"]["code"], last["object"]["reason"]), ("ERROR", 410, "Expired"))
            self.assertLess(len(numbers), 4000)
            answer = service.request("GET", f"{PEERS}?watch=1&resourceVersion={made['metadata']['resourceVersion']}")
            self.assertEqual((answer.status, answer.json()["reason"]), (410, "Expired"))
            watch.socket.close()

    def test_stopping_ends_watches_cleanly(self):
        with Service() as service:
            watches = [Watch(service, path) for path in (PEERS, NODES) for _ in range(10)]
            started = time.monotonic()
            self.assertEqual(service.stop(), 0)
            self.assertLess(time.monotonic() - started, 5)
            for watch in watches:
                self.assertIsNone(watch.event())
                watch.socket.close()


if __name__ == "__main__":
    unittest.main()
