"""A data directory that no longer holds what was acknowledged: the service refuses to start in one sentence and names the
ways out, both of which work; files that are moved or replaced while it runs stop the writes, not the reads."""
import os
import shutil
import sqlite3
import subprocess
import time
import unittest

from service import PROGRAM, Service
from wire import GROUP

NODES = f"{GROUP}/nodes"
LIST = f"{GROUP}/nodes/n0/peerings"
AUDIT = "/apis/bgppeerd.io/v1/audit"
FIXTURE = "tests/fixtures/v1/vault-key"


class RollbackTest(unittest.TestCase):
    def setUp(self):
        self.service = Service("--log-level", "info", auth=True)
        self.addCleanup(self.service.close)
        self.service.start()

    def path(self, name):
        return os.path.join(self.service.data, name)

    def create(self, first, count):
        for i in range(first, first + count):
            answer = self.service.request("POST", NODES, {"metadata": {"name": f"n{i}"}, "spec": {"bgp": {"ipv4Address": f"10.0.0.{i + 1}/24"}}})
            self.assertEqual(answer.status, 201, answer.body)

    def names(self):
        return sorted(item["metadata"]["name"] for item in self.service.request("GET", NODES).json()["items"])

    def version(self):
        return int(self.service.request("GET", NODES).json()["metadata"]["resourceVersion"])

    def run_serve(self, *arguments):
        return subprocess.run([PROGRAM, "serve", "--listen", "127.0.0.1:0", "--data-dir", self.service.data, *arguments],
                              capture_output=True, text=True, timeout=60, check=False)

    def assert_refused(self, says):
        before = self.files()
        ended = self.run_serve()
        self.assertEqual(ended.returncode, 1, ended.stderr)
        self.assertIn(says, ended.stderr)
        for way in ("bgppeerd restore FILE", "--accept-rollback"):
            self.assertIn(way, ended.stderr)
        self.assertEqual(self.files(), before, "a refusal changes nothing")

    def files(self):
        found = {}
        for name in sorted(os.listdir(self.service.data)):
            if name not in ("lock", "bgppeerd.db-shm"):
                with open(self.path(name), "rb") as file:
                    found[name] = file.read()
        return found

    def start_accepting(self):
        self.service.arguments.append("--accept-rollback")
        self.service.start()
        self.service.arguments.remove("--accept-rollback")

    def check_accepted(self, acknowledged):
        """It says so, everywhere, and versions go on behind all that was acknowledged."""
        self.start_accepting()
        self.service.wait_for_log("event=rollback-accepted")
        entries = self.service.request("GET", AUDIT).json()["items"]
        self.assertIn("accept-rollback", [entry["verb"] for entry in entries])
        self.assertGreater(self.version(), acknowledged)
        answer = self.service.request("GET", f"{NODES}?watch=true&resourceVersion={acknowledged}&timeoutSeconds=1")
        self.assertIn("410", answer.body.decode(), "who watches lists again")
        self.create(200, 1)
        self.assertEqual(self.service.stop(), 0)
        self.service.start()
        self.assertIn("n200", self.names())

    def test_a_bit_in_the_log(self):
        self.create(0, 60)
        acknowledged = self.version()
        self.service.kill()
        with open(self.path("bgppeerd.db-wal"), "r+b") as log:
            size = os.path.getsize(log.name)
            log.seek(size // 3)
            byte = log.read(1)[0]
            log.seek(size // 3)
            log.write(bytes([byte ^ 4]))
        self.assert_refused("is damaged")
        self.check_accepted(acknowledged)

    def test_the_database_is_gone(self):
        self.create(0, 3)
        acknowledged = self.version()
        self.assertEqual(self.service.stop(), 0)
        os.rename(self.path("bgppeerd.db"), self.path("aside"))
        self.assert_refused("is missing")
        os.rename(self.path("high-water"), self.path("mark"))
        self.assert_refused("admin.token")
        os.rename(self.path("admin.token"), self.path("token"))
        self.assert_refused("vault.key")
        os.rename(self.path("mark"), self.path("high-water"))
        self.check_accepted(acknowledged)

    def test_a_directory_that_only_holds_its_lock_is_new(self):
        self.assertEqual(self.service.stop(), 0)
        for name in os.listdir(self.service.data):
            if name != "lock":
                os.remove(self.path(name))
        self.service.start()
        self.assertEqual(self.names(), [])

    def test_an_older_copy_and_a_restore(self):
        self.create(0, 3)
        backup = os.path.join(self.service.folder, "backup")
        made = subprocess.run([PROGRAM, "backup", backup, "--data-dir", self.service.data], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.create(3, 3)
        acknowledged = self.version()
        self.assertEqual(self.service.stop(), 0)
        shutil.copy(backup, self.path("bgppeerd.db"))
        self.assert_refused("older copy")
        restored = subprocess.run([PROGRAM, "restore", backup, "--data-dir", self.service.data], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(restored.returncode, 0, restored.stderr)
        self.service.start()
        self.assertEqual(self.names(), ["n0", "n1", "n2"])
        self.assertGreater(self.version(), acknowledged)
        self.assertNotIn("rollback-accepted", self.service.log())

    def test_a_database_of_before_the_mark(self):
        """An upgrade needs nothing; the same file put in place of a newer one is an older copy."""
        self.assertEqual(self.service.stop(), 0)
        shutil.rmtree(self.service.data)
        shutil.copytree(FIXTURE, self.service.data)
        for name in os.listdir(self.service.data):
            os.chmod(self.path(name), 0o600)
        self.service.auth, self.service.token = False, None
        self.service.arguments.append("--no-auth")
        self.service.start()
        before = self.service.request("GET", NODES).json()
        self.assertTrue(os.path.exists(self.path("high-water")))
        self.assertEqual(self.service.stop(), 0)
        shutil.copy(os.path.join(FIXTURE, "bgppeerd.db"), self.path("bgppeerd.db"))
        self.assert_refused("older copy")
        self.start_accepting()
        self.assertEqual([item["spec"] for item in self.service.request("GET", NODES).json()["items"]], [item["spec"] for item in before["items"]])

    def test_an_option_that_is_left_behind(self):
        self.assertEqual(self.service.stop(), 0)
        self.start_accepting()
        self.service.wait_for_log("event=rollback-not-needed")

    def test_an_altered_object(self):
        self.create(0, 3)
        acknowledged = self.version()
        self.assertEqual(self.service.stop(), 0)
        with sqlite3.connect(self.path("bgppeerd.db")) as database:
            database.execute("UPDATE object SET body = replace(body, '10.0.0.2', '10.0.0.9')")
        database.close()
        self.assert_refused("not those that were written")
        self.check_accepted(acknowledged)

    # ---- while it runs ----

    def wait_for_ready(self, status):
        end = time.monotonic() + 30
        while (answer := self.service.request("GET", "/readyz")).status != status:
            self.assertLess(time.monotonic(), end, answer.body)
            time.sleep(0.05)
        return answer.body.decode()

    def check_lost(self, names, says):
        """Noticed before anybody writes; nothing is acknowledged; reads and polls go on."""
        self.assertIn(says, self.wait_for_ready(503))
        answer = self.service.request("POST", NODES, {"metadata": {"name": "lost"}})
        self.assertEqual(answer.status, 503, answer.body)
        self.assertIn(says, answer.json()["message"])
        self.assertEqual(self.names(), names)
        tag = self.service.request("GET", LIST).headers["ETag"]
        self.assertEqual(self.service.request("GET", LIST + "?wait=100ms", None, {"If-None-Match": tag}).status, 304)

    def test_files_that_are_moved_or_deleted(self):
        self.create(0, 3)
        names = self.names()
        for name in ("bgppeerd.db", "bgppeerd.db-wal"):
            for replacement in (None, "copy"):
                with self.subTest(name=name, replacement=replacement):
                    aside = os.path.join(self.service.folder, "aside")
                    os.rename(self.path(name), aside)
                    if replacement is not None:
                        shutil.copy(aside, self.path(name))
                    self.check_lost(names, "moved, deleted or replaced")
                    os.rename(aside, self.path(name))
                    self.wait_for_ready(200)
        self.create(10, 1)
        os.remove(self.path("bgppeerd.db-wal"))
        self.check_lost(self.names(), "moved, deleted or replaced")


if __name__ == "__main__":
    unittest.main()
