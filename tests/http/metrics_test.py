# tests/run: timeout 180
"""/metrics: the exposition is well-formed, known traffic moves exactly the counters it should, nobody without a right reads
it, nothing in it grows with the fleet or tells a secret, and the operators' page describes it."""
import http.client
import json
import os
import re
import resource
import shutil
import subprocess
import tempfile
import time
import unittest

from exposition import parse
from service import PROGRAM, Service
from watch_test import Watch
from wire import GROUP, MERGE

MONITORING = "api/monitoring"

try:
    import yaml
except ImportError:
    yaml = None

NODES = f"{GROUP}/nodes"
PEERS = f"{GROUP}/bgppeers"
OURS = "/apis/bgppeerd.io/v1"
# Sizes and times differ from run to run, and process_* have a test of their own.
UNSTEADY = re.compile(r"process_.*|bgppeerd_http_response_body_bytes_total|.*_seconds_sum|.*_duration_seconds_bucket")
COMMITS = "bgppeerd_store_commit_duration_seconds_count"


def node(name, address="10.0.0.1"):
    return {"metadata": {"name": name}, "spec": {"bgp": {"ipv4Address": address + "/24"}}}


def key_of(name, **labels):
    return name, tuple(labels.items())


def requests_of(method, route, code):
    return key_of("bgppeerd_http_requests_total", method=method, route=route, code=code)


class Scraper:
    """Scrapes over one connection, whose requests are counted one after the other."""

    def __init__(self, service):
        self.service = service
        self.connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)

    def close(self):
        self.connection.close()

    def request(self, method, path, body=None, headers=None):
        return self.service.request(method, path, body, headers, connection=self.connection)

    def families(self):
        answer = self.request("GET", "/metrics")
        assert answer.status == 200, answer.body
        return parse(answer.body.decode())

    def values(self):
        return {key: float(value) for family in self.families().values() for key, value in family.samples.items()}

    def value(self, name, **labels):
        return self.values().get(key_of(name, **labels), 0)

    def wait_for(self, name, value, **labels):
        """What other connections' requests count is there a moment after their answer."""
        end = time.monotonic() + 20
        while (seen := self.value(name, **labels)) != value:
            if time.monotonic() > end:
                raise AssertionError(f"{name} {labels} is {seen}, not {value}")
            time.sleep(0.05)


def counters(families):
    """What only goes up."""
    return {key: float(value) for family in families.values() if family.type != "gauge"
            for key, value in family.samples.items() if not UNSTEADY.fullmatch(key[0])}


class CountingTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.service = Service()
        self.addCleanup(self.service.close)
        self.service.start()
        self.scraper = Scraper(self.service)
        self.addCleanup(self.scraper.close)
        self.scraper.wait_for("bgppeerd_http_connections", 1)  # the one that asked whether it is ready has gone

    def moved(self, traffic):
        """The counters that `traffic` moves, and by how much, without the first scrape's own. Commits are left out: which versions of
        lists were given is stored within a second, in a commit of its own."""
        before = counters(self.scraper.families())
        traffic()
        after = counters(self.scraper.families())
        self.assertEqual([key for key, value in before.items() if after.get(key, 0) < value], [], "a counter fell")
        moved = {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}
        moved[requests_of("GET", "/metrics", "2xx")] -= 1
        moved[key_of("bgppeerd_http_request_duration_seconds_count", work="read")] -= 1
        return {key: value for key, value in moved.items() if value != 0 and key != key_of(COMMITS)}

    def send(self, status, *arguments, **more):
        answer = self.scraper.request(*arguments, **more)
        self.assertEqual(answer.status, status, answer.body)
        return answer

    def durations(self, work):
        return key_of("bgppeerd_http_request_duration_seconds_count", work=work)

    def test_nothing_moves_by_itself(self):
        self.assertEqual(self.moved(lambda: None), {})

    def test_reads_and_errors(self):
        def traffic():
            self.send(200, "GET", NODES)
            self.send(200, "HEAD", NODES)
            self.send(404, "GET", f"{NODES}/nobody")
            self.send(404, "GET", "/nowhere")
            self.send(405, "DELETE", "/metrics")
            self.send(200, "HEAD", "/metrics")
            self.send(200, "GET", "/livez")

        self.assertEqual(self.moved(traffic), {
            requests_of("GET", NODES, "2xx"): 2,
            requests_of("GET", NODES + "/{name}", "4xx"): 1,
            requests_of("", "", "4xx"): 2,
            requests_of("GET", "/metrics", "2xx"): 1,
            requests_of("GET", "/livez", "2xx"): 1,
            key_of("bgppeerd_http_errors_total", code="404"): 2,
            key_of("bgppeerd_http_errors_total", code="405"): 1,
            self.durations("read"): 6,
            self.durations("write"): 1})

    def test_polls(self):
        self.send(201, "POST", NODES, node("n"))
        path = f"{NODES}/n/peerings"

        def traffic():
            tag = self.send(200, "GET", path).headers["ETag"]
            for _ in range(3):
                self.send(304, "GET", path, headers={"If-None-Match": tag})
            self.send(200, "HEAD", path)
            self.send(200, "GET", path + "?explain=192.0.2.1")
            self.send(304, "GET", path + "?wait=100ms", headers={"If-None-Match": tag})
            self.send(404, "GET", f"{NODES}/m/peerings")

        route = NODES + "/{name}/peerings"
        moved = self.moved(traffic)
        self.assertEqual({key: value for key, value in moved.items() if "compute_duration" not in key[0]}, {
            requests_of("GET", route, "2xx"): 3,
            requests_of("GET", route, "3xx"): 4,
            requests_of("GET", route, "4xx"): 1,
            key_of("bgppeerd_http_errors_total", code="404"): 1,
            key_of("bgppeerd_polls_total", result="list"): 2,
            key_of("bgppeerd_polls_total", result="unchanged"): 4,
            key_of("bgppeerd_lists_sent_total", format="json"): 2,
            key_of("bgppeerd_polls_waited_total"): 1,
            self.durations("poll"): 7})  # but for the one that waited
        self.assertEqual(moved[key_of("bgppeerd_peering_list_compute_duration_seconds_count")], 1)
        self.assertEqual(self.scraper.value("bgppeerd_peering_lists"), 1)

    def test_writes(self):
        def traffic():
            self.send(201, "POST", NODES, node("w1"))
            self.send(201, "POST", NODES, node("w2", "10.0.0.2"))
            self.send(409, "POST", NODES, node("w1"))
            self.send(422, "POST", NODES, node("w3", "no address"))  # never reaches the committer
            self.send(200, "PUT", f"{NODES}/w1", node("w1"))
            self.send(200, "PATCH", f"{NODES}/w1", '{"metadata":{"labels":{"a":"b"}}}', MERGE)
            self.send(200, "DELETE", f"{NODES}/w2?dryRun=All")
            self.send(200, "DELETE", f"{NODES}/w2")

        before = self.scraper.value(COMMITS)
        moved = self.moved(traffic)
        self.assertGreaterEqual(self.scraper.value(COMMITS) - before, 4)
        batches = {key: moved.pop(key) for key in list(moved) if key[0].startswith("bgppeerd_write_batch_changes")}
        self.assertEqual(set(batches.values()), {4})  # one each
        self.assertEqual(moved, {
            requests_of("POST", NODES, "2xx"): 2,
            requests_of("POST", NODES, "4xx"): 2,
            requests_of("PUT", NODES + "/{name}", "2xx"): 1,
            requests_of("PATCH", NODES + "/{name}", "2xx"): 1,
            requests_of("DELETE", NODES + "/{name}", "2xx"): 2,
            key_of("bgppeerd_http_errors_total", code="409"): 1,
            key_of("bgppeerd_http_errors_total", code="422"): 1,
            key_of("bgppeerd_writes_total", result="stored"): 4,
            key_of("bgppeerd_writes_total", result="unchanged"): 1,
            key_of("bgppeerd_writes_total", result="dry_run"): 1,
            key_of("bgppeerd_writes_total", result="refused"): 1,
            key_of("bgppeerd_changes_total", operation="create"): 2,
            key_of("bgppeerd_changes_total", operation="update"): 1,
            key_of("bgppeerd_changes_total", operation="delete"): 1,
            key_of("bgppeerd_audit_entries_total", event="write"): 4,
            key_of("bgppeerd_brake_lists_computed_total"): 2,  # w2's own, to see that it has few sessions to lose
            self.durations("write"): 8})
        values = self.scraper.values()
        self.assertEqual(values[key_of("bgppeerd_objects", kind="Node")], 1)
        self.assertEqual(values[key_of("bgppeerd_fleet_revision")], 4)

    def test_secrets(self):
        """Decryptions, and the sessions that wait for a password; and no name or secret in any of it."""
        password = "Zx9-not-in-metrics"
        peer = {"metadata": {"name": "peer-of-secret"}, "spec": {"node": "hidden-node", "peerIP": "192.0.2.1", "asNumber": 65001,
                                                                   "password": {"secretKeyRef": {"name": "hidden-secret", "key": "k"}}}}
        secret = {"metadata": {"name": "hidden-secret"}, "stringData": {"k": password}}
        path = f"{NODES}/hidden-node/peerings"
        self.send(201, "POST", NODES, node("hidden-node"))
        self.send(201, "POST", PEERS, peer)
        self.send(200, "GET", path)
        values = self.scraper.values()
        self.assertEqual(values[key_of("bgppeerd_sessions")], 1)
        self.assertEqual(values[key_of("bgppeerd_sessions_withheld")], 1)
        self.assertEqual(values[key_of("bgppeerd_peering_lists_with_problems")], 1)
        self.send(201, "POST", "/api/v1/namespaces/default/secrets", secret)
        self.send(200, "GET", path)
        moved = self.moved(lambda: self.assertIn(password, self.send(200, "GET", path + "?passwords=true").body.decode()))
        self.assertEqual(moved[key_of("bgppeerd_vault_decryptions_total")], 1)
        self.assertEqual(moved[key_of("bgppeerd_audit_entries_total", event="passwords")], 1)
        answer = self.scraper.request("GET", "/metrics").body.decode()
        for hidden in (password, "hidden", "peer-of-secret", "192.0.2.1", "10.0.0.1"):
            self.assertNotIn(hidden, answer)
        values = self.scraper.values()
        self.assertEqual(values[key_of("bgppeerd_sessions_withheld")], 0)
        self.assertEqual(values[key_of("bgppeerd_peering_lists_with_problems")], 0)
        self.assertEqual(values[key_of("bgppeerd_vault_data_keys")], 1)
        self.assertAlmostEqual(values[key_of("bgppeerd_vault_data_key_created_timestamp_seconds")], time.time(), delta=300)

    def test_what_waits(self):
        for i in range(3):
            self.send(201, "POST", NODES, node(f"n{i}", f"10.0.0.{i + 1}"))
        self.send(201, "POST", f"{GROUP}/bgpconfigurations", {"metadata": {"name": "default"}, "spec": {"nodeToNodeMeshEnabled": False}})
        before = self.scraper.values()
        polls = []
        for i in range(3):
            path = f"{NODES}/n{i}/peerings"
            tag = self.send(200, "GET", path).headers["ETag"]
            poll = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=60)
            self.addCleanup(poll.close)
            poll.request("GET", path + "?wait=250s", headers={"If-None-Match": tag})
            polls.append(poll)
        watch = Watch(self.service, PEERS)
        self.addCleanup(watch.socket.close)
        self.scraper.wait_for("bgppeerd_polls_waiting", 3)
        self.scraper.wait_for("bgppeerd_watches", 1)
        values = self.scraper.values()
        self.assertEqual(values[key_of("bgppeerd_http_requests_in_progress")], 5)  # with the scrape
        self.assertEqual(values[key_of("bgppeerd_http_connections")], 5)
        self.send(201, "POST", PEERS, {"metadata": {"name": "p"}, "spec": {"node": "n1", "peerIP": "192.0.2.1", "asNumber": 65001}})
        self.assertEqual(polls[1].getresponse().status, 200)
        self.assertEqual(watch.seen(1), [("ADDED", "p")])
        self.scraper.wait_for("bgppeerd_polls_waiting", 2)
        values = self.scraper.values()
        self.assertEqual(values[key_of("bgppeerd_polls_waited_total")], 3)
        self.assertEqual(values[key_of("bgppeerd_polls_woken_total")], 1)
        polls[1].close()
        self.scraper.wait_for("bgppeerd_http_connections", 4)
        values = self.scraper.values()
        # The three that asked for the tags; what waited is in no histogram.
        poll_count = key_of("bgppeerd_http_request_duration_seconds_count", work="poll")
        self.assertEqual(values[poll_count] - before[poll_count], 3)

    def test_series_do_not_grow(self):
        """… with paths, names or identities that clients make up, nor with the fleet."""
        def everything(i):
            self.send(201, "POST", NODES, node(f"n{i}", f"10.0.{i // 250}.{i % 250 + 1}"))
            self.send(200, "GET", f"{NODES}/n{i}/peerings")
            self.send(404, "GET", f"/made/up/{i}")
            self.send(404, "GET", f"{PEERS}/p{i}")
            self.send(405, "PUT", f"/livez?{i}")

        everything(0)
        first = self.scraper.families()
        for i in range(1, 50):
            everything(i)
        last = self.scraper.families()
        self.assertEqual({key for family in last.values() for key in family.samples}, {key for family in first.values() for key in family.samples})

    def test_the_process(self):
        self.scraper.wait_for("bgppeerd_http_connections", 1)  # those of tests before are gone
        values = self.scraper.values()
        pid = self.service.process.pid
        self.assertEqual(values[key_of("process_max_fds")], resource.prlimit(pid, resource.RLIMIT_NOFILE)[0])
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
        started = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
        start_key = key_of("process_start_time_seconds")
        self.assertAlmostEqual(values[start_key], started, delta=2)
        self.assertEqual(self.scraper.values()[start_key], values[start_key])
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            virtual, resident = (int(pages) * resource.getpagesize() for pages in file.read().split()[:2])
        self.assertEqual(values[key_of("process_virtual_memory_bytes")], virtual)
        self.assertAlmostEqual(values[key_of("process_resident_memory_bytes")], resident, delta=resident / 2)
        before = values[key_of("process_open_fds")]
        held = [http.client.HTTPConnection("127.0.0.1", self.service.port) for _ in range(20)]
        for connection in held:
            self.addCleanup(connection.close)
            connection.connect()
        self.scraper.wait_for("bgppeerd_http_connections", 21)
        self.assertEqual(self.scraper.value("process_open_fds"), before + 20)
        self.assertGreater(self.scraper.value("process_cpu_seconds_total"), 0)
        self.assertEqual(self.scraper.value("bgppeerd_build_info", **self.build_labels()), 1)

    def build_labels(self):
        version = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout.split()[1]
        labels = dict(next(iter(self.scraper.families()["bgppeerd_build_info"].samples))[1])
        self.assertEqual(labels["version"], version)
        return labels

    def test_failing_commits(self):
        self.send(201, "POST", NODES, node("n"))
        resource.prlimit(self.service.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        filler = {"metadata": {"annotations": {"a": "x" * 100000}}}
        self.assertEqual(self.scraper.request("PATCH", f"{NODES}/n", filler, MERGE).status, 507)
        values = self.scraper.values()
        self.assertEqual(values[key_of("bgppeerd_store_writable")], 0)
        self.assertEqual(values[key_of("bgppeerd_writes_total", result="failed")], 1)
        self.assertEqual(values[key_of("bgppeerd_http_errors_total", code="507")], 1)
        self.assertGreaterEqual(values[key_of("bgppeerd_store_commit_failures_total")], 1)
        resource.prlimit(self.service.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.scraper.wait_for("bgppeerd_store_writable", 1)

    def test_backups(self):
        self.assertNotIn("bgppeerd_backup_last_timestamp_seconds", self.scraper.families())
        self.send(200, "HEAD", f"{OURS}/backup")
        self.assertNotIn("bgppeerd_backup_last_timestamp_seconds", self.scraper.families())
        started = time.time()
        size = len(self.send(200, "GET", f"{OURS}/backup").body)
        self.assertEqual(self.scraper.value("bgppeerd_backups_total"), 1)
        self.assertAlmostEqual(self.scraper.value("bgppeerd_backup_last_timestamp_seconds"), started, delta=60)
        self.assertGreaterEqual(self.scraper.value("bgppeerd_http_response_body_bytes_total"), size)
        self.assertEqual(self.scraper.value("bgppeerd_store_size_bytes", file="database"),
                         os.path.getsize(os.path.join(self.service.data, "bgppeerd.db")))

    def test_body_bytes(self):
        name = "bgppeerd_http_response_body_bytes_total"
        first = self.scraper.request("GET", "/metrics").body
        self.send(200, "HEAD", "/openapi.json")  # sends none
        expected = len(first) + len(self.send(200, "GET", "/openapi.json").body) + len(self.send(404, "GET", "/nowhere").body)
        before = float(parse(first.decode())[name].samples[key_of(name)])
        self.assertEqual(self.scraper.value(name) - before, expected)

    @unittest.skipIf(shutil.which("promtool") is None, "promtool (Debian: prometheus) is not installed")
    def test_promtool_likes_it(self):
        checked = subprocess.run(["promtool", "check", "metrics"], input=self.scraper.request("GET", "/metrics").body, capture_output=True,
                                 timeout=60, check=False)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, b""))


class AccessTest(unittest.TestCase):
    def test_who_may_read_them(self):
        with Service("--max-auth-failures", "3", auth=True) as service:
            def get(token, method="GET"):
                return service.request(method, "/metrics", headers={"Authorization": f"Bearer {token}" if token else None})

            service.request("POST", NODES, node("n"))
            tokens = {role: service.request("POST", f"{OURS}/tokens", {"spec": {"role": role, **({"node": "n"} if role == "node" else {})}})
                      .json()["status"]["token"] for role in ("operator", "viewer", "node")}
            for role in ("viewer", "operator"):
                self.assertEqual(get(tokens[role]).status, 200, role)
            answer = get(service.token)
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
            head = get(tokens["viewer"], "HEAD")
            self.assertEqual((head.status, head.body, head.headers["Content-Type"]), (200, b"", answer.headers["Content-Type"]))
            self.assertEqual(get(tokens["node"]).status, 403)
            statuses = [get(token).status for token in (None, "bpd_guess", "bpd_guess", "bpd_guess", "bpd_guess")]
            self.assertEqual(statuses, [401, 401, 401, 429, 429])
            scraper = Scraper(service)
            try:
                scraper.wait_for("bgppeerd_http_errors_total", 2, code="429")
                values = scraper.values()
            finally:
                scraper.close()
            self.assertEqual(values[key_of("bgppeerd_http_errors_total", code="401")], 3)
            self.assertEqual(values[key_of("bgppeerd_http_errors_total", code="403")], 1)
            self.assertEqual(values[key_of("bgppeerd_audit_entries_total", event="unauthorized")], 3)
            self.assertEqual(values[key_of("bgppeerd_audit_entries_total", event="denied")], 1)
            self.assertEqual(values[key_of("bgppeerd_audit_entries_total", event="token")], 3)
            self.assertEqual(values[key_of("bgppeerd_tokens")], 4)
            review = {"spec": {"resourceAttributes": {"group": "bgppeerd.io", "resource": "metrics", "verb": "get"}}}
            for role, allowed in (("viewer", True), ("node", False)):
                answer = service.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review,
                                         {"Authorization": f"Bearer {tokens[role]}"})
                self.assertEqual(answer.json()["status"]["allowed"], allowed)


class ReadmeTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        """All families, with those that only TLS and a backup bring."""
        with open("service/OPERATIONS.md", encoding="utf-8") as file:
            cls.text = file.read()
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([PROGRAM, "tls", "init", "--dir", f"{folder}/tls"], check=True, capture_output=True, timeout=60)
            service = Service("--tls-cert", f"{folder}/tls/server.crt", "--tls-key", f"{folder}/tls/server.key")
            cls.addClassCleanup(service.close)
            service.start(scheme="http://")
            scraper = Scraper(service)
            scraper.request("GET", f"{OURS}/backup")
            cls.families = scraper.families()
            cls.log = service.log()
            scraper.close()

    def test_certificate(self):
        until = re.search(r"event=tls-certificate .*expires=(\S+)", self.log).group(1)
        expected = time.mktime(time.strptime(until, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
        name = "bgppeerd_tls_certificate_expiry_timestamp_seconds"
        self.assertEqual(float(self.families[name].samples[key_of(name)]), expected)

    def test_table(self):
        """It has every metric, with its type, its labels and its help."""
        rows = re.findall(r"^\| `(bgppeerd_\w+)(?:\{(.*)\})?` \| (\w+) \| (.*) \|$", self.text, re.M)
        described = {name: (labels, kind, text) for name, labels, kind, text in rows}
        self.assertEqual(len(rows), len(described))
        served = {}
        for name, family in self.families.items():
            if name.startswith("bgppeerd_"):
                labels = next(iter(family.samples))[1]
                served[name] = (",".join(label for label, _ in labels if label != "le"), family.type, family.help)
        self.assertEqual(described, served)
        for name in self.families:
            self.assertIn(f"`{name}", self.text)

    def assert_there(self, expression):
        names = re.findall(r"bgppeerd_\w+|process_\w+", expression)
        self.assertTrue(names, expression)
        for name in names:
            self.assertTrue(name in self.families or re.sub("_(bucket|sum|count)$", "", name) in self.families, name)

    @unittest.skipIf(yaml is None, "python3-yaml is not installed")
    def test_alert_rules_name_what_there_is(self):
        with open(f"{MONITORING}/alerts.yaml", encoding="utf-8") as file:
            rules = [rule for group in yaml.safe_load(file)["groups"] for rule in group["rules"]]
        self.assertGreaterEqual(len(rules), 9)
        for rule in rules:
            self.assert_there(rule["expr"])
            for verdict in re.findall(r'verdict=~?"([^"]+)"', rule["expr"]):
                for name in verdict.split("|"):
                    self.assertIn(key_of("bgppeerd_session_verdicts", verdict=name, type="internal"),
                                  self.families["bgppeerd_session_verdicts"].samples)

    def test_the_dashboard_names_what_there_is(self):
        with open(f"{MONITORING}/dashboard.json", encoding="utf-8") as file:
            dashboard = json.load(file)
        expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        self.assertGreaterEqual(len(expressions), 10)
        for expression in expressions:
            self.assert_there(expression)
        self.assertEqual(len({panel["id"] for panel in dashboard["panels"]}), len(dashboard["panels"]))

    @unittest.skipIf(shutil.which("promtool") is None, "promtool (Debian: prometheus) is not installed")
    def test_promtool_likes_the_rules(self):
        for arguments in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
            checked = subprocess.run(["promtool", *arguments], cwd=MONITORING, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)


if __name__ == "__main__":
    unittest.main()
