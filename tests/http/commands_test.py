"""The commands for people: what they ask of a running service, what they print, and how they end."""
import http.server
import json
import os
import pty
import re
import select
import subprocess
import tempfile
import threading
import unittest

import yaml
from foreign import NODES, calicoctl_shape, cluster, crd_shape, migration_shape, v3_shape
from service import PROGRAM, Service

V3 = "/apis/projectcalico.org/v3/"
OK, FAILED, USAGE, DISRUPTIVE, UNREACHABLE = range(5)
SECONDS = 120

RESTART = """\
kind: ChangeSet
apiVersion: bgppeerd.io/v1
spec:
  changes:
  - {op: patch, kind: Node, name: rack1-host1, patch: {spec: {bgp: {asNumber: 64999}}}}
  - {op: delete, kind: BGPPeer, name: rack1-host2-tor}
"""
ONE_MORE = """\
kind: BGPPeer
apiVersion: projectcalico.org/v3
metadata: {name: one-more}
spec: {node: rack1-host1, peerIP: 192.0.2.1, asNumber: 65000, filters: [only-pods]}
"""


def environment(**more):
    """Without the settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BGPPEERD_") and name != "NO_COLOR"}
    kept.update(HOME="/nonexistent", XDG_CONFIG_HOME="/nonexistent", TERM="xterm")
    return {**kept, **more}


def run(*arguments, text=None, env=None):
    return subprocess.run([PROGRAM, *arguments], input=text, capture_output=True, text=True, timeout=SECONDS, check=False, env=env or environment())


class CommandCase(unittest.TestCase):
    """With a service that has the two racks of api/examples."""
    @classmethod
    def setUpClass(cls):
        cls.service = Service()
        cls.addClassCleanup(cls.service.close)
        cls.service.start()
        for answer in cls.service.apply_examples().values():
            assert answer.status == 201, answer.body

    def ask(self, *arguments, text=None, status=OK, **variables):
        done = run(*arguments, text=text, env=environment(BGPPEERD_SERVER=self.service.url, **variables))
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done


class PreviewTest(CommandCase):
    def test_what_restarts_comes_first(self):
        done = self.ask("preview", "-", text=RESTART, status=DISRUPTIVE)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "! 4 sessions will restart on 2 nodes, 1 session will be removed; 3 nodes get another list")
        self.assertEqual(lines[1], "! warning: node rack1-host1 would lose its last internal session")
        self.assertIn("  ~ 192.168.1.254  restart  localASNumber 64512 -> 64999", lines)
        self.assertIn("  - 192.168.1.254  AS 63400  external  by BGPPeer rack1-host2-tor", lines)
        self.assertIn("  - BGPPeer  rack1-host2-tor  deleted", lines)
        self.assertEqual(done.stderr, "")

    def test_what_disturbs_nobody_is_no_failure(self):
        done = self.ask("preview", "-", text=ONE_MORE)
        self.assertEqual(done.stdout.splitlines()[0], "1 session will be added; 1 node gets another list")
        self.assertIn("  + 192.0.2.1  AS 65000  external  by BGPPeer one-more", done.stdout)

    def test_documents_for_programs_are_the_whole_answer(self):
        answer = self.service.request("POST", "/apis/bgppeerd.io/v1/previews", RESTART, {"Content-Type": "application/yaml"}).json()
        for output, read in (("json", json.loads), ("yaml", yaml.safe_load)):
            done = self.ask("preview", "-", "-o", output, text=RESTART, status=DISRUPTIVE)
            self.assertEqual(read(done.stdout), answer)

    def test_several_files(self):
        with tempfile.TemporaryDirectory() as folder:
            names = [os.path.join(folder, name) for name in ("a.yaml", "b.json")]
            peer = yaml.safe_load(ONE_MORE)
            peer["metadata"]["name"] = "another"
            peer["spec"]["peerIP"] = "192.0.2.2"
            for name, text in zip(names, (ONE_MORE, json.dumps(peer))):
                with open(name, "w", encoding="utf-8") as file:
                    file.write(text)
            done = self.ask("preview", *names)
            self.assertTrue(done.stdout.startswith("2 sessions will be added"), done.stdout)

    def test_one_node(self):
        done = self.ask("preview", "--node", "rack1-host2", "-", text=RESTART, status=DISRUPTIVE)
        self.assertTrue(done.stdout.startswith("! 4 sessions"), done.stdout)
        self.assertIn("\nrack1-host2\n", done.stdout)
        self.assertNotIn("\nrack1-host1\n", done.stdout)


class RefusalTest(CommandCase):
    def test_every_mistake_is_a_line(self):
        done = self.ask("preview", "-", text=RESTART.replace("op: patch", "op: patc").replace("op: delete", "op: drop"), status=FAILED)
        lines = done.stderr.splitlines()
        self.assertEqual(lines[0], "bgppeerd: refused (422 Invalid): for more than one reason")
        self.assertRegex(lines[1], r'^  spec\.changes\[0\]\.op: "patc" is not one of .* did you mean "patch"\?$')
        self.assertRegex(lines[2], r'^  spec\.changes\[1\]\.op: "drop" is not one of ')
        self.assertEqual(len(lines), 3)

    def test_one_mistake_is_said_once(self):
        done = self.ask("preview", "-", text=RESTART.replace("op: patch", "op: patc"), status=FAILED)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn('did you mean "patch"?', done.stderr)

    def test_mistakes_of_json_are_those_of_json(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write('{"kind": "BGPPeer",\n "metadata": {]}')
            file.flush()
            self.assertIn("JSON", self.ask("preview", file.name, status=FAILED).stderr)

    def test_usage(self):
        for arguments in (["preview"], ["preview", "/nonexistent"], ["list"], ["why"], ["list", "a", "b"], ["why", "a", "b", "c"],
                          ["preview", "-", "--server", "bgp.example.net"], ["preview", "-", "--key", "k"], ["preview", "-", "-o", "xml"],
                          ["apply", "-", "--wait=soon"], ["apply", "-", "--max-disruptive", "few"], ["export", "--kinds", "Nod"],
                          ["export", "--kinds", "Secret", "-o", "json"], ["import"], ["import", "calico"], ["changes", "--limit", "0"],
                          ["changes", "1", "--kind", "Node"], ["diff"], ["undo"], ["undo", "1", "--to", "2"], ["undo", "1", "--max-nodes", "few"],
                          ["preview", "-", "--token-file", "/nonexistent"]):
            done = self.ask(*arguments, text="", status=USAGE)
            self.assertEqual((done.stdout, done.stderr.count("\n")), ("", 1), arguments)

    def test_a_service_that_is_not_there(self):
        done = self.ask("list", "rack1-host1", "--server", "http://127.0.0.1:1", status=UNREACHABLE)
        self.assertRegex(done.stderr, "^bgppeerd: no answer from http://127.0.0.1:1/")

    def test_variables_for_one_call_only(self):
        """What makes a single call dangerous, or harmless, is not left in the environment."""
        self.ask("apply", "-", text=ONE_MORE.replace("one-more", "kept"), BGPPEERD_DRY_RUN="true", BGPPEERD_MAX_NODES="0")
        self.assertEqual(self.service.request("GET", V3 + "bgppeers/kept").status, 200)
        self.service.request("DELETE", V3 + "bgppeers/kept")


class ApplyTest(CommandCase):
    def exists(self, name):
        return self.service.request("GET", V3 + "bgppeers/" + name).status == 200

    def test_dry_run(self):
        done = self.ask("apply", "--dry-run", "-", text=ONE_MORE)
        self.assertIn("1 session will be added", done.stdout)
        self.assertIn("nothing is stored", done.stdout)
        self.assertFalse(self.exists("one-more"))

    def test_limits(self):
        text = ONE_MORE + "---\n" + ONE_MORE.replace("one-more", "elsewhere").replace("rack1-host1", "rack1-host2")
        done = self.ask("apply", "--max-nodes", "1", "-", text=text, status=FAILED)
        self.assertIn("2 nodes would get another list, and --max-nodes allows 1; nothing is changed", done.stderr)
        done = self.ask("apply", "--max-disruptive", "4", "-", text=RESTART, status=FAILED)
        self.assertIn("5 sessions would restart or be removed, and --max-disruptive allows 4; nothing is changed", done.stderr)
        self.assertFalse(self.exists("one-more"))
        self.assertTrue(self.exists("rack1-host2-tor"))
        self.ask("apply", "--max-nodes", "2", "--max-disruptive", "0", "-", text=text)
        self.assertTrue(self.exists("elsewhere"))
        for name in ("one-more", "elsewhere"):
            self.service.request("DELETE", V3 + "bgppeers/" + name)

    def test_reason_and_changes(self):
        self.ask("apply", "--reason", "a collector for the lab", "-", text=ONE_MORE.replace("one-more", "lab"))
        done = self.ask("changes", "--limit", "1")
        lines = done.stdout.splitlines()
        self.assertRegex(lines[0], "^CHANGE +TIME +BY +WHAT +REASON$")
        self.assertRegex(lines[1], r"^\d+ +\S+Z +anonymous +create BGPPeer/lab +a collector for the lab$")
        self.service.request("DELETE", V3 + "bgppeers/lab")
        done = self.ask("changes", "--kind", "BGPPeer", "--name", "lab", "-o", "json")
        self.assertEqual([item["objects"][0]["op"] for item in json.loads(done.stdout)["items"]], ["delete", "create"])
        done = self.ask("changes", "--kind", "BGPPer", status=FAILED)
        self.assertIn("BGPPer is not one of Node", done.stderr)

    def test_changes_go_on_over_pages(self):
        found = json.loads(self.ask("changes", "--limit", "100000", "-o", "json").stdout)
        self.assertNotIn("continue", found["metadata"])
        self.assertEqual(found["items"][-1]["txn"], "1")

    def test_waiting_for_nodes(self):
        """A node that an agent reports for is behind until it has fetched its list and says that it runs it."""
        path = V3 + "nodes/rack2-host2/peerings"
        report = {"apiVersion": "bgppeerd.io/v1", "kind": "PeeringStatus", "agent": {"version": "t", "daemon": "t", "boot": "b", "sequence": 1}, "sessions": []}
        etag = self.service.request("GET", path).headers["ETag"].strip('"')
        answer = self.service.request("PUT", path + "/status", {**report, "list": etag})
        self.assertEqual(answer.status, 200, answer.body)
        peer = ONE_MORE.replace("one-more", "waited").replace("rack1-host1", "rack2-host2")
        done = self.ask("apply", "--wait=1s", "-", text=peer, status=FAILED)
        self.assertIn("1 are behind", done.stdout)
        self.assertIn("\n  - rack2-host2\n", done.stdout)
        self.assertTrue(self.exists("waited"))

    def test_warnings_of_the_service(self):
        done = self.ask("apply", "--dry-run", "-", text=ONE_MORE.replace("rack1-host1", "nobody"))
        self.assertRegex(done.stderr, r'^bgppeerd: warning: .*there is no Node "nobody" yet\n$')


class ListTest(CommandCase):
    def test_list(self):
        lines = self.ask("list", "rack1-host1").stdout.splitlines()
        self.assertEqual(lines[0], "rack1-host1: 3 sessions, AS 64512, router ID 192.168.1.11")
        self.assertRegex(lines[1], "^PEER +AS +TYPE +FROM +OF NODE +WHY$")
        self.assertRegex(lines[4], r"^192\.168\.2\.11 +64512 +internal +192\.168\.1\.11 +rack2-host1 +by BGPPeer reflectors$")
        other = self.ask("list", "rack1-host2").stdout
        self.assertIn('maxRestartTimeSeconds=120 keepaliveTimeSeconds=20 filters=["only-pods"]', other)
        wanted = self.service.request("GET", V3 + "nodes/rack1-host1/peerings")
        self.assertEqual(json.loads(self.ask("list", "rack1-host1", "-ojson").stdout), wanted.json())

    def test_formats(self):
        wanted = self.service.request("GET", V3 + "nodes/rack1-host1/peerings?format=frr").body.decode()
        self.assertEqual(self.ask("list", "rack1-host1", "--format", "frr").stdout, wanted)

    def test_names_are_no_paths(self):
        self.assertIn('an encoded "/"', self.ask("list", "../bgppeers", status=FAILED).stderr)
        self.assertIn('nodes.projectcalico.org "x?y=z#&%2" not found', self.ask("list", "x?y=z#&%2", status=FAILED).stderr)

    def test_why(self):
        self.assertIn("192.168.2.11", self.ask("why", "rack1-host1").stdout)
        lines = self.ask("why", "rack1-host1", "rack2-host2").stdout.splitlines()
        self.assertTrue(lines[0].startswith('! node "rack1-host1" has no session with node "rack2-host2"'))
        i = lines.index("  BGPPeer reflectors (NodeSelector): NoMatch")
        self.assertEqual(lines[i + 1:i + 4], ["    - from this node: does not hold, because", "      - peerSelector has(route-reflector)  on rack2-host2",
                                              "        - has(route-reflector)   label route-reflector is not there"])
        lines = self.ask("why", "rack1-host1", "192.168.1.254").stdout.splitlines()
        i = lines.index("  BGPPeer rack1-host1-tor (Node): Session")
        self.assertEqual(lines[i + 1:i + 4], ["    + from this node: holds", "      + node rack1-host1", "      + peerIP 192.168.1.254"])


class HistoryTest(CommandCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.before = cls.lists()
        cls.txn = cls.newest() + 1
        done = run("apply", "--reason", "renumber", "--server", cls.service.url, "-", text=RESTART)
        assert done.returncode == OK, done.stderr
        cls.after = cls.lists()

    @classmethod
    def lists(cls):
        names = ("rack1-host1", "rack1-host2", "rack2-host1", "rack2-host2")
        return [cls.service.request("GET", f"{V3}nodes/{name}/peerings").headers["ETag"] for name in names]

    @classmethod
    def newest(cls):
        return int(cls.service.request("GET", "/apis/bgppeerd.io/v1/changes").json()["metadata"]["resourceVersion"])

    def test_one_change(self):
        lines = self.ask("changes", str(self.txn)).stdout.splitlines()
        self.assertRegex(lines[0], rf"^change {self.txn}, \S+Z, by anonymous$")
        self.assertEqual(lines[1:3], ["reason: renumber", "! 4 sessions restarted on 2 nodes, 1 session removed; 3 nodes got another list"])
        i = lines.index("  ~ Node rack1-host1")
        self.assertEqual(lines[i + 1], "      spec.bgp.asNumber: - -> 64999")
        self.assertIn("  - BGPPeer rack1-host2-tor", lines)
        self.assertIn("  - 192.168.1.254  AS 63400  external  by BGPPeer rack1-host2-tor", lines)
        self.assertIn("not found", self.ask("changes", "99999", status=FAILED).stderr)

    def test_diff(self):
        then, now = str(self.txn - 1), str(self.txn + 1)
        lines = self.ask("diff", then, now).stdout.splitlines()
        self.assertEqual(lines[0], "! 4 sessions restarted on 2 nodes, 1 session removed; 3 nodes got another list")
        self.assertIn('      {"spec":{"bgp":{"asNumber":64999}}}', lines)
        self.assertEqual(self.ask("diff", now, now).stdout, "no session changed\nno object differs\n")
        self.assertNotIn("AS 63400", self.ask("diff", then, now, "--view", "objects").stdout)
        self.assertNotIn("BGPPeer rack1-host2-tor\n  ~", self.ask("diff", then, now, "--view", "sessions").stdout)
        self.assertNotIn("rack1-host2\n", self.ask("diff", then, now, "--view", "sessions", "--node", "rack1-host1").stdout)
        self.assertEqual(json.loads(self.ask("diff", then, now, "-o", "json").stdout)["kind"], "Diff")
        self.assertIn("(400 ", self.ask("diff", "99999", status=FAILED).stderr)

    def test_undo(self):
        done = self.ask("undo", str(self.txn), "--dry-run", status=DISRUPTIVE)
        self.assertTrue(done.stdout.startswith("! 4 sessions will restart on 2 nodes, 1 session will be added; "), done.stdout)
        self.assertIn("  + BGPPeer  rack1-host2-tor  created\n", done.stdout)
        self.assertTrue(done.stdout.endswith("nothing is stored\n"), done.stdout)
        done = self.ask("undo", str(self.txn), "--max-disruptive", "3", status=FAILED)
        self.assertIn("TooDisruptive", done.stderr)
        self.assertEqual(self.lists(), self.after)
        self.ask("undo", str(self.txn), "--only", "bgppeers")
        self.assertEqual(self.service.request("GET", V3 + "bgppeers/rack1-host2-tor").status, 200)
        patch = self.service.request("PATCH", V3 + "nodes/rack1-host1", '{"spec": {"bgp": {"asNumber": 64998}}}', {"Content-Type": "application/merge-patch+json"})
        self.assertEqual(patch.status, 200, patch.body)
        done = self.ask("undo", str(self.txn), status=FAILED)
        self.assertRegex(done.stderr, r'Node "rack1-host1": it has been changed since')
        self.ask("undo", "--to", str(self.txn - 1), "--only", "rack1-host1", "--reason", "all of it")
        self.assertEqual(self.lists(), self.before)
        self.assertIn("all of it", self.ask("changes", "--limit", "1").stdout)
        self.ask("undo", "--to", str(self.txn + 1))
        self.assertEqual(self.lists(), self.after)


class BrakeTest(unittest.TestCase):
    def test_what_the_brake_refuses_is_forced(self):
        with Service("--max-disruptive-sessions", "1", "--max-disruptive-percent", "1") as service:
            for answer in service.apply_examples().values():
                self.assertEqual(answer.status, 201, answer.body)
            run("apply", "--server", service.url, "-", text=ONE_MORE)
            refused = run("apply", "--server", service.url, "-", text=RESTART)
            self.assertEqual(refused.returncode, FAILED)
            self.assertIn("refused (409 TooDisruptive): ", refused.stderr)
            self.assertIn("force", refused.stderr)
            for arguments in (("apply", "-"), ("undo", "13")):
                self.assertEqual(run(*arguments, "--server", service.url, text=RESTART).returncode, FAILED, arguments)
                done = run(*arguments, "--force", "disruptive", "--server", service.url, text=RESTART)
                self.assertEqual(done.returncode, OK, done.stderr)
            done = run("import", "--plan", "--force", "nonsense", "--server", service.url, "-", text=ONE_MORE)
            self.assertIn("nonsense", done.stderr)


class SettingsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service(auth=True)
        cls.addClassCleanup(cls.service.close)
        cls.service.start()

    def setUp(self):
        self.folder = tempfile.mkdtemp(dir=self.service.folder)
        os.mkdir(os.path.join(self.folder, "bgppeerd"))
        self.config = os.path.join(self.folder, "bgppeerd", "client.conf")
        with open(os.path.join(self.folder, "bgppeerd", "token"), "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(self.service.token + "\n")

    def ask(self, config, *arguments, status=OK, **variables):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(config)
        done = run("changes", *arguments, env=environment(XDG_CONFIG_HOME=self.folder, **variables))
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def test_a_file_of_settings(self):
        """Files in it are beside it; the environment wins over it, and arguments over both."""
        text = f"# where\nserver = {self.service.url}/\n\n token-file =token\noutput = json\n"
        self.assertEqual(json.loads(self.ask(text).stdout)["kind"], "ChangeList")
        self.assertEqual(yaml.safe_load(self.ask(text, BGPPEERD_OUTPUT="yaml").stdout)["kind"], "ChangeList")
        self.assertNotIn("kind", self.ask(text, "-o", "text", BGPPEERD_OUTPUT="yaml").stdout)
        self.ask(text, "--server", "http://127.0.0.1:1", status=UNREACHABLE)
        self.ask(text, status=UNREACHABLE, BGPPEERD_SERVER="http://127.0.0.1:1")

    def test_another_file(self):
        self.ask("", "--server", self.service.url, status=FAILED)
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(f"server={self.service.url}\ntoken-file={self.folder}/bgppeerd/token\n")
            file.flush()
            self.ask("nonsense", "--config", file.name)
            self.ask("nonsense", BGPPEERD_CONFIG=file.name)
        self.ask("", "--config", "/nonexistent", status=USAGE)

    def test_settings_at_home(self):
        home = os.path.join(self.folder, "home")
        os.makedirs(os.path.join(home, ".config", "bgppeerd"))
        os.link(os.path.join(self.folder, "bgppeerd", "token"), os.path.join(home, "token"))
        with open(os.path.join(home, ".config", "bgppeerd", "client.conf"), "w", encoding="ascii") as file:
            file.write(f"server = {self.service.url}\ntoken-file = ~/token\n")
        env = environment(HOME=home)
        del env["XDG_CONFIG_HOME"]
        self.assertEqual(run("changes", env=env).returncode, OK)

    def test_slips(self):
        for text, told in (("sever = x", 'line 1: there is no setting "sever"; did you mean "server"?'), ("\nserver x", "line 2: \"server x\" is not a setting"),
                           ("config = x", 'there is no setting "config"'), ("output = xml", '"xml" is not one of text, json, yaml'),
                           ("server =", "an empty value")):
            self.assertIn(f"{self.config}", self.ask(text, status=USAGE).stderr)
            self.assertIn(told, self.ask(text, status=USAGE).stderr)

    def test_who_asks(self):
        done = self.ask(f"server = {self.service.url}", status=FAILED)
        self.assertIn("name a file with a token by --token-file, the variable BGPPEERD_TOKEN_FILE", done.stderr)
        token = os.path.join(self.folder, "bgppeerd", "token")
        text = f"server = {self.service.url}\ntoken-file = token\n"
        self.assertEqual(self.ask(text).stderr, "")
        os.chmod(token, 0o644)
        self.assertRegex(self.ask(text).stderr, "^bgppeerd: warning: everybody on this machine may read the token in ")
        with open(token, "w", encoding="ascii") as file:
            file.write("bpd_short\n")
        self.assertIn("does not hold a token", self.ask(text, status=USAGE).stderr)


class ImportTest(unittest.TestCase):
    """What is imported in one command is what its bare resources give one by one."""
    @classmethod
    def setUpClass(cls):
        with Service() as service:
            for one in cluster():
                answer = service.request("POST", f"{V3}{one['kind'].lower()}s", one)
                assert answer.status == 201, answer.body
            cls.wanted = cls.lists(service)
            cls.export = run("export", "--server", service.url).stdout

    @staticmethod
    def lists(service):
        return {f"n{i:03}": service.request("GET", f"{V3}nodes/n{i:03}/peerings").headers["ETag"] for i in range(NODES)}

    def check(self, text, skipped=0):
        with Service() as service:
            plan = run("import", "--plan", "-", "--server", service.url, text=text)
            self.assertEqual(plan.returncode, OK, plan.stderr)
            self.assertEqual(service.request("GET", V3 + "nodes").json()["items"], [])
            done = run("import", "-", "--server", service.url, text=text)
            self.assertEqual(done.returncode, OK, done.stderr)
            first = f"{NODES + 13 + skipped} documents: {NODES + 13} created" + (f", {skipped} skipped" if skipped else "")
            self.assertEqual((plan.stdout.splitlines()[0], done.stdout.splitlines()[0]), (first, first))
            self.assertEqual(len(re.findall("^  [+] .* created", done.stdout, re.M)), NODES + 13)
            self.assertEqual(self.lists(service), self.wanted)
            again = run("export", "--server", service.url)
            return again.stdout

    def test_kubectl_custom_resources(self):
        self.check(crd_shape())

    def test_kubectl_v3(self):
        self.check(v3_shape())

    def test_calicoctl(self):
        self.check(calicoctl_shape())

    def test_datastore_migration(self):
        self.check(migration_shape(), 3)

    def test_import_of_an_export_is_the_identity(self):
        self.assertEqual(len(list(yaml.safe_load_all(self.export))), NODES + 13)
        for given in ("uid", "resourceVersion", "creationTimestamp", "generation", "status"):
            self.assertNotIn(f"{given}:", self.export)
        self.assertEqual(self.check(self.export), self.export)


class ExportTest(CommandCase):
    AWKWARD = {"yes": "no", "a": "1e3", "b": "0x1F", "c": "null", "d": "", "e": " x ", "f": "a: b #c", "g": "12:30", "h": "2027-01-31", "i": "1.5",
               "j": "two\nlines\n", "k": "\u00e4\u20ac\U0001f600", "l": "'\"\\", "m": "~", "n": "-1", "o": "192.0.2.1/24", "p": "- x", "q": "\x1b[31m\u202e"}

    def test_texts_stay_texts(self):
        node = {"kind": "Node", "apiVersion": "projectcalico.org/v3", "metadata": {"name": "awkward", "annotations": self.AWKWARD}, "spec": {}}
        self.assertEqual(self.service.request("POST", V3 + "nodes", node).status, 201)
        self.addCleanup(self.service.request, "DELETE", V3 + "nodes/awkward")
        for output in ("yaml", "json"):
            text = self.ask("export", "-o", output, "--kinds", "Node").stdout
            documents = list(yaml.safe_load_all(text)) if output == "yaml" else json.loads(text)["items"]
            found = [one["metadata"]["annotations"] for one in documents if one["metadata"]["name"] == "awkward"]
            self.assertEqual(found, [self.AWKWARD])
        with Service() as other:
            done = run("import", "-", "--server", other.url, text=self.ask("export").stdout)
            self.assertEqual(done.returncode, OK, done.stderr)
            self.assertEqual(run("export", "--server", other.url).stdout, self.ask("export").stdout)

    def test_kinds(self):
        documents = list(yaml.safe_load_all(self.ask("export", "--kinds", "bgpfilters,node").stdout))
        self.assertEqual({one["kind"] for one in documents}, {"Node", "BGPFilter"})
        names = [one["metadata"]["name"] for one in documents if one["kind"] == "Node"]
        self.assertEqual(names, sorted(names))

    def test_secrets_stay_where_they_are(self):
        secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "tor"}, "stringData": {"rack1": "correct-horse", "rack2": "battery"}}
        self.assertEqual(self.service.request("POST", "/api/v1/namespaces/default/secrets", secret).status, 201)
        self.assertNotIn("Secret default/tor", self.ask("export").stdout)
        text = self.ask("export", "--kinds", "Secret").stdout
        self.assertIn("# Secret default/tor has the keys: rack1, rack2\n", text)
        self.assertEqual([one for one in yaml.safe_load_all(text) if one is not None], [])
        for word in ("correct-horse", "battery", "Y29ycmVjdC1ob3JzZQ"):
            self.assertNotIn(word, text)

    def test_bad_documents(self):
        text = "kind: BGPeer\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n---\n" + ONE_MORE.replace("one-more", "good")
        done = self.ask("import", "-", text=text, status=FAILED)
        self.assertIn("  document 1 (BGPeer x): ", done.stderr)
        self.assertEqual(self.service.request("GET", V3 + "bgppeers/good").status, 404)
        self.assertIn("! 2 documents: 1 created, 1 bad", self.ask("import", "--plan", "-", text=text, status=FAILED).stdout)
        done = self.ask("import", "--skip-bad", "-", text=text)
        self.assertRegex(done.stdout, r"(?m)^  ! 1 +BGPeer +x +bad +.*did you mean BGPPeer")
        self.assertEqual(self.service.request("GET", V3 + "bgppeers/good").status, 200)
        self.service.request("DELETE", V3 + "bgppeers/good")


class TerminalTest(CommandCase):
    @staticmethod
    def on_terminal(arguments, text=None, wait_for=None, then=None, **variables):
        """Run with a terminal as standard output and error. What it had written when it ended; and `then` is called as soon as it
        has written what `wait_for` finds."""
        master, slave = pty.openpty()
        with subprocess.Popen([PROGRAM, *arguments], stdin=subprocess.PIPE, stdout=slave, stderr=slave, env=environment(**variables)) as process:
            os.close(slave)
            process.stdin.write((text or "").encode())
            process.stdin.close()
            seen = b""
            while True:
                if not select.select([master], [], [], SECONDS)[0]:
                    process.kill()
                    raise AssertionError(f"nothing more comes: {seen!r}")
                try:
                    piece = os.read(master, 65536)
                except OSError:  # the other side is closed
                    piece = b""
                if not piece:
                    break
                seen += piece
                if then is not None and re.search(wait_for, seen):
                    then()
                    then = None
        os.close(master)
        return seen.decode(), process.returncode

    def test_colour_on_a_terminal_only(self):
        server = {"BGPPEERD_SERVER": self.service.url}
        text, status = self.on_terminal(["preview", "-"], RESTART, **server)
        self.assertEqual(status, DISRUPTIVE)
        self.assertIn("\x1b[31m- 192.168.1.254", text)
        self.assertIn("\x1b[33m~ 192.168.1.254", text)
        for more in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            self.assertNotIn("\x1b", self.on_terminal(["preview", "-"], RESTART, **server, **more)[0])
        self.assertNotIn("\x1b", self.ask("preview", "-", text=RESTART, status=DISRUPTIVE).stdout)

    def test_names_cannot_steer_a_terminal(self):
        evil = "\x1b]0;owned\x07\u009b31m\u202e"
        shown = r"\x1b]0;owned\x07\xc2\x9b31m\xe2\x80\xae"
        node = {"kind": "Node", "apiVersion": "projectcalico.org/v3", "metadata": {"name": "evil", "annotations": {"note": evil}}, "spec": {}}
        self.assertEqual(self.service.request("POST", V3 + "nodes", node).status, 201)
        self.addCleanup(self.service.request, "DELETE", V3 + "nodes/evil")
        for output in ("json", "yaml"):
            text, status = self.on_terminal(["export", "--kinds", "Node", "-o", output], BGPPEERD_SERVER=self.service.url)
            self.assertEqual(status, OK)
            self.assertNotRegex(text, "[\x1b\x07\u009b\u202e]")
        text = "kind: ChangeSet\napiVersion: bgppeerd.io/v1\nspec: {changes: [{op: " + json.dumps(evil) + "}]}"
        done = self.ask("preview", "-", text=text, status=FAILED)
        self.assertNotRegex(done.stdout + done.stderr, "[\x1b\x07\u009b\u202e]")
        answer = {"kind": "Status", "message": evil}
        with SlowServer(503, answer) as server:
            server.release()
            done = run("list", "x", "--server", server.url)
        self.assertEqual((done.returncode, done.stderr), (FAILED, f"bgppeerd: the service failed (503): {shown}\n"))

    def test_progress_on_a_terminal_only(self):
        line = rb"\rbgppeerd: asking why, \d+ s "
        with SlowServer(200, {"items": []}) as server:
            text, status = self.on_terminal(["why", "x", "--server", server.url], wait_for=line, then=server.release)
        self.assertEqual(status, OK)
        self.assertRegex(text, r"asking why, \d+ s \r\x1b\[K")
        with SlowServer(200, {"items": []}) as server:
            server.release()
            self.assertEqual(run("why", "x", "--server", server.url).stderr, "")


class SlowServer:
    """Answers every request the same when it is released."""
    def __init__(self, status, answer):
        released = threading.Event()
        self.release = released.set

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                released.wait(SECONDS)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.release()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class HelpTest(unittest.TestCase):
    def test_exit_statuses_are_in_every_help(self):
        for command in ("preview", "apply", "list", "why", "changes", "diff", "undo", "import", "export"):
            text = run("help", command).stdout
            self.assertRegex(text, r"(?s)Exit status:\n  0  .*\n  1  .*\n  2  .*\n  3  .*\n  4  ")
            self.assertRegex(text, "(?m)^  --output, -o FORMAT$")


if __name__ == "__main__":
    unittest.main()
