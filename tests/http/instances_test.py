# tests/run: timeout 600
"""Several instances over one etcd, over HTTP: what is written on one is seen, watched and revoked on the other."""
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

from etcd import INSTALLED, SKIP, Etcd
from service import PROGRAM, Service
from wire import GROUP

PEERS = f"{GROUP}/bgppeers"
NODES = f"{GROUP}/nodes"
SECRETS = "/api/v1/namespaces/default/secrets"
VAULT = "/apis/bgppeerd.io/v1/vault"
TOKENS = "/apis/bgppeerd.io/v1/tokens"


def key_file(folder, digit="5"):
    path = os.path.join(folder, f"root{digit}.key")
    with open(path, "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(f"{digit}0a1b2c3d4e5f607" * 4 + "\n")
    return path


def wait_for(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not in {seconds} s: {what}")
        time.sleep(0.01)
    return result


def peer(name, number=64512):
    return {"metadata": {"name": name}, "spec": {"peerIP": "192.0.2.1", "asNumber": number}}


@unittest.skipUnless(INSTALLED, SKIP)
class InstancesTest(unittest.TestCase):
    def setUp(self):
        self.etcd = self.enterContext(Etcd())
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.key = key_file(self.folder.name)

    def instance(self, *arguments, auth=False, data=None):
        service = Service("--store", self.etcd.address, "--vault-key-file", self.key, *arguments, auth=auth, data=data)
        self.addCleanup(service.close)
        service.start()
        return service

    def pair(self, **options):
        return self.instance(**options), self.instance(**options)

    def create(self, service, path, body):
        answer = service.request("POST", path, body)
        self.assertEqual(answer.status, 201, answer.body)
        return answer.json()

    def sees(self, service, path, revision):
        """Wait until this instance has the object in this version."""
        def look():
            answer = service.request("GET", path)
            return answer.status == 200 and answer.json()["metadata"]["resourceVersion"] == revision and answer
        return wait_for(look, f"{path} at {revision}")

    def test_what_one_writes_the_other_has(self):
        a, b = self.pair()
        made = self.create(a, PEERS, peer("x"))
        self.assertEqual(self.sees(b, f"{PEERS}/x", made["metadata"]["resourceVersion"]).json(), made)
        changed = b.request("PUT", f"{PEERS}/x", {**made, "spec": {**made["spec"], "asNumber": 64513}})
        self.assertEqual(changed.status, 200, changed.body)
        self.sees(a, f"{PEERS}/x", changed.json()["metadata"]["resourceVersion"])
        # The old version is a conflict everywhere, because all have the same numbers.
        for service in (a, b):
            late = service.request("PUT", f"{PEERS}/x", {**made, "spec": {**made["spec"], "asNumber": 64514}})
            self.assertEqual(late.status, 409, late.body)
        self.assertEqual(a.request("GET", PEERS).body, b.request("GET", PEERS).body)
        self.assertEqual(b.request("DELETE", f"{PEERS}/x").status, 200)
        wait_for(lambda: a.request("GET", f"{PEERS}/x").status == 404, "the deletion")

    def test_writers_on_both_lose_nothing(self):
        a, b = self.pair()
        failures = []

        def write(service, letter):
            for number in range(60):
                answer = service.request("POST", PEERS, peer(f"{letter}{number}"))
                if answer.status != 201:
                    failures.append((answer.status, answer.body))
        threads = [threading.Thread(target=write, args=(service, f"{letter}{turn}-"))
                   for service, letter in ((a, "a"), (b, "b")) for turn in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        wait_for(lambda: all(len(service.request("GET", PEERS).json()["items"]) == 240 for service in (a, b)), "240 peers")
        names = {json.dumps(item) for item in a.request("GET", PEERS).json()["items"]}
        self.assertEqual(names, {json.dumps(item) for item in b.request("GET", PEERS).json()["items"]})

    def test_a_watch_goes_on_at_the_other_instance(self):
        a, b = self.pair()
        first = self.create(a, PEERS, peer("one"))["metadata"]["resourceVersion"]
        self.create(a, PEERS, peer("two"))
        last = self.create(b, PEERS, peer("three"))["metadata"]["resourceVersion"]
        for service in (a, b):
            self.sees(service, f"{PEERS}/three", last)
            answer = service.request("GET", f"{PEERS}?watch=true&resourceVersion={first}&timeoutSeconds=1")
            names = [json.loads(line)["object"]["metadata"]["name"] for line in answer.body.splitlines()]
            self.assertEqual(names, ["two", "three"])

    def test_a_parked_poll_is_answered_for_a_change_on_the_other(self):
        a, b = self.pair()
        node = {"metadata": {"name": "n1"}, "spec": {"bgp": {"ipv4Address": "10.0.0.1/24"}}}
        revision = self.create(a, NODES, node)["metadata"]["resourceVersion"]
        self.sees(b, f"{NODES}/n1", revision)
        path = f"{NODES}/n1/peerings"
        lists = [service.request("GET", path) for service in (a, b)]
        self.assertEqual(lists[0].headers["ETag"], lists[1].headers["ETag"])
        answers = []
        poll = threading.Thread(target=lambda: answers.append(b.request(
            "GET", f"{path}?wait=50s", headers={"If-None-Match": lists[0].headers["ETag"]})))
        poll.start()
        b.wait_until_waiting(1)
        self.create(a, PEERS, peer("x"))
        poll.join()
        self.assertEqual(answers[0].status, 200)
        self.assertIn(b"192.0.2.1", answers[0].body)
        wait_for(lambda: a.request("GET", path).headers["ETag"] == answers[0].headers["ETag"], "equal entity tags")

    def test_passwords_are_read_everywhere_and_survive_a_rotation(self):
        a, b = self.pair()
        secret = {"metadata": {"name": "pw"}, "stringData": {"k": "first"}}
        self.create(a, SECRETS, secret)
        spec = {"peerIP": "192.0.2.1", "asNumber": 64512, "password": {"secretKeyRef": {"name": "pw", "key": "k"}}}
        self.create(a, PEERS, {"metadata": {"name": "x"}, "spec": spec})
        node = {"metadata": {"name": "n1"}, "spec": {"bgp": {"ipv4Address": "10.0.0.1/24"}}}
        self.create(a, NODES, node)
        shown = f"{NODES}/n1/peerings?passwords=true"

        def both_show(text):
            wait_for(lambda: all(text in service.request("GET", shown).body for service in (a, b)), text)
        both_show(b"first")
        rotation = a.request("POST", f"{VAULT}/rotations", {})
        self.assertEqual(rotation.status, 202, rotation.body)
        # While that is under way, and afterwards, the other one seals under the key that is in force.
        for text in ("second", "third"):
            answer = b.request("PUT", f"{SECRETS}/pw", {"metadata": {"name": "pw"}, "stringData": {"k": text}})
            self.assertEqual(answer.status, 200, answer.body)
            both_show(text.encode())
        a.stop()
        b.stop()
        a.start()
        b.start()
        both_show(b"third")

    def test_a_revoked_token_is_refused_everywhere(self):
        a = self.instance(auth=True)
        data = os.path.join(self.folder.name, "second")
        os.mkdir(data, 0o700)
        shutil.copy(os.path.join(a.data, "admin.token"), data)  # the fleet has one, which the first instance made
        b = self.instance(auth=True, data=data)
        made = a.request("POST", TOKENS, {"spec": {"role": "viewer"}})
        self.assertEqual(made.status, 201, made.body)
        token = made.json()["status"]["token"]
        name = made.json()["metadata"]["name"]
        bearer = {"Authorization": f"Bearer {token}"}
        wait_for(lambda: b.request("GET", PEERS, headers=bearer).status == 200, "the token on the other instance")
        self.assertEqual(a.request("DELETE", f"{TOKENS}/{name}").status, 200)
        since = time.monotonic()
        bearer = {"Authorization": f"Bearer {token}"}
        wait_for(lambda: b.request("GET", PEERS, headers=bearer).status == 401, "the revocation on the other instance")
        print(f"revoked on the other instance after {(time.monotonic() - since) * 1000:.0f} ms")

    def test_two_that_start_for_the_first_time_together_are_one_fleet(self):
        services = [Service("--store", self.etcd.address, "--vault-key-file", self.key) for _ in range(3)]
        threads = [threading.Thread(target=service.start) for service in services]
        for service in services:
            self.addCleanup(service.close)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.create(services[0], SECRETS, {"metadata": {"name": "pw"}, "stringData": {"k": "first"}})
        wait_for(lambda: all(service.request("GET", f"{SECRETS}/pw").status == 200 for service in services), "the Secret")
        shown = [service.request("GET", VAULT).json()["status"]["dataKeys"] for service in services]
        self.assertEqual(shown[0][0]["values"], 1)
        self.assertEqual(shown[1:], [shown[0], shown[0]])

    def test_reads_go_on_without_etcd_and_writes_come_back(self):
        a, b = self.pair()
        revision = self.create(a, PEERS, peer("x"))["metadata"]["resourceVersion"]
        self.sees(b, f"{PEERS}/x", revision)
        self.etcd.stop()
        wait_for(lambda: a.request("GET", "/readyz").status == 503, "/readyz")
        self.assertIn(b"etcd has not answered", a.request("GET", "/readyz").body)
        self.assertEqual(a.request("GET", f"{PEERS}/x").status, 200)
        refused = a.request("POST", PEERS, peer("y"))
        self.assertEqual(refused.status, 503, refused.body)
        self.assertIn("nothing was written", refused.json()["message"])
        self.etcd.start()
        for service in (a, b):
            wait_for(lambda service=service: service.request("GET", "/readyz").status == 200, "/readyz")
        revision = self.create(b, PEERS, peer("y"))["metadata"]["resourceVersion"]
        self.sees(a, f"{PEERS}/y", revision)

    def test_one_that_missed_more_than_the_log_keeps_loads_anew(self):
        a = self.instance("--keep-changes", "1000", "--max-history-bytes", "1")
        b = self.instance("--keep-changes", "1000", "--max-history-bytes", "1")
        self.create(a, PEERS, peer("x"))
        os.kill(b.process.pid, 19)  # SIGSTOP
        for _ in range(25):
            for number in range(100):
                answer = a.request("PUT", f"{PEERS}/x", peer("x", 64513 + number))
                self.assertEqual(answer.status, 200, answer.body)
        revision = a.request("GET", f"{PEERS}/x").json()["metadata"]["resourceVersion"]
        os.kill(b.process.pid, 18)  # SIGCONT
        self.sees(b, f"{PEERS}/x", revision)
        b.wait_for_log("loaded-again")

    def test_a_backup_over_etcd_is_a_database(self):
        a = self.instance(auth=True)
        self.create(a, PEERS, peer("x"))
        target = os.path.join(self.folder.name, "backup.db")
        done = subprocess.run([PROGRAM, "backup", "--data-dir", a.data, "--store", self.etcd.address, target],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        restored = os.path.join(self.folder.name, "restored")
        done = subprocess.run([PROGRAM, "restore", "--data-dir", restored, target], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        with Service("--vault-key-file", self.key, data=restored) as one:
            self.assertEqual(one.request("GET", f"{PEERS}/x").status, 200)


@unittest.skipUnless(INSTALLED, SKIP)
class RefusedStartTest(unittest.TestCase):
    """What cannot work is said in one sentence at the start, and nothing is written."""

    def start(self, *arguments):
        with tempfile.TemporaryDirectory() as data:
            done = subprocess.run([PROGRAM, "serve", "--no-auth", "--listen", "127.0.0.1:0", "--data-dir", data, *arguments],
                                  capture_output=True, text=True, timeout=60, check=False)
        self.assertNotEqual(done.returncode, 0)
        return done.stderr

    def test_what_it_says(self):
        with Etcd() as etcd, tempfile.TemporaryDirectory() as folder:
            key = key_file(folder)
            self.assertIn("--vault-key-file", self.start("--store", etcd.address))
            self.assertNotIn("vault", etcd.control("get", "/bgppeerd/settings", "--prefix", "--keys-only"))
            with Service("--store", etcd.address, "--vault-key-file", key):
                pass
            self.assertIn("wrong root key", self.start("--store", etcd.address, "--vault-key-file", key_file(folder, "7")))
            etcd.control("put", "/else/key", "value")
            self.assertIn("somebody else's", self.start("--store", etcd.address, "--store-prefix", "/else/", "--vault-key-file", key))
            self.assertIn("write it as /bgppeerd/", self.start("--store", etcd.address, "--store-prefix", "else", "--vault-key-file", key))
            etcd.control("put", "/later/format", "bgppeerd fleet, format 2")
            self.assertIn("format 2", self.start("--store", etcd.address, "--store-prefix", "/later/", "--vault-key-file", key))
            self.assertIn("use https", self.start("--store", "etcd:http://192.0.2.1:2379", "--vault-key-file", key))

    def test_what_it_says_of_users(self):
        with Etcd() as etcd, tempfile.TemporaryDirectory() as folder:
            key = key_file(folder)
            for number, text in (("1", "right"), ("2", "wrong")):
                with open(os.path.join(folder, f"password{number}"), "w", encoding="ascii",
                          opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                    file.write(text + "\n")
            password, wrong = os.path.join(folder, "password1"), os.path.join(folder, "password2")
            for command in (("user", "add", "root:secret"), ("role", "add", "bgppeerd"), ("user", "add", "bgppeerd:right"),
                            ("role", "grant-permission", "bgppeerd", "--prefix=true", "readwrite", "/bgppeerd/"),
                            ("user", "grant-role", "bgppeerd", "bgppeerd"), ("user", "grant-role", "root", "root"),
                            ("auth", "enable")):
                etcd.control(*command)
            arguments = ("--store", etcd.address, "--vault-key-file", key)
            user = ("--store-user", "bgppeerd", "--store-password-file")
            self.assertIn("--store-user", self.start(*arguments))
            self.assertIn("does not accept", self.start(*arguments, *user, wrong))
            self.assertIn("may not read", self.start(*arguments, *user, password, "--store-prefix", "/other/"))
            with Service(*arguments, *user, password) as service:
                self.assertEqual(service.request("POST", PEERS, peer("x")).status, 201)
                # A member that was started again has forgotten its tokens.
                etcd.stop()
                etcd.start()
                wait_for(lambda: service.request("GET", "/readyz").status == 200, "/readyz")
                self.assertEqual(service.request("POST", PEERS, peer("y")).status, 201)


@unittest.skipUnless(INSTALLED, SKIP)
class FullTest(unittest.TestCase):
    def test_a_full_etcd_is_said(self):
        with Etcd(arguments=("--quota-backend-bytes", str(8 << 20))) as etcd, tempfile.TemporaryDirectory() as folder:
            with Service("--store", etcd.address, "--vault-key-file", key_file(folder)) as service:
                body = peer("large")
                body["metadata"]["annotations"] = {"a": "x" * 200000}
                self.assertEqual(service.request("POST", PEERS, body).status, 201)
                statuses = [service.request("PUT", f"{PEERS}/large", {**body, "spec": {**body["spec"], "asNumber": 64512 + number}}).status
                            for number in range(60)]
                self.assertEqual(set(statuses[:5]) - {200, 201}, set())
                self.assertEqual(statuses[-1], 507)
                self.assertIn(b"quota", service.request("GET", "/readyz").body)
                self.assertEqual(service.request("GET", f"{PEERS}/large").status, 200)


if __name__ == "__main__":
    unittest.main()
