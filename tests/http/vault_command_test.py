# tests/run: timeout 180
"""`bgppeerd vault`, `backup` and `restore`, on a running and on a stopped service."""
import os
import pty
import re
import sqlite3
import subprocess
import threading
import unittest

from service import PROGRAM
from vault_fleet import SECRETS, Fleet, read_bytes, run, write_private
from wire import GROUP


class CommandCase(unittest.TestCase):
    count = 10
    auth = True

    def setUp(self):
        self.fleet = Fleet(count=self.count, auth=self.auth)
        self.addCleanup(self.fleet.close)
        self.fleet.start()
        self.fleet.fill()

    def path(self, name):
        return os.path.join(self.fleet.folder, name)

    def done(self, *arguments):
        """The command's standard output; it must succeed."""
        result = self.fleet.command(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def on_terminal(self, *arguments, answer=b""):
        """(status, what is shown) on a terminal, where a question is answered so."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen([PROGRAM, *arguments, "--data-dir", self.fleet.data], stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
                if shown.endswith(b"[y/N] "):
                    os.write(ours, answer)
        except OSError:
            pass  # the other end is closed
        os.close(ours)
        return process.wait(60), shown.decode()

    def fails(self, *arguments, status=1):
        """Its one sentence."""
        result = self.fleet.command(*arguments)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertTrue(result.stderr.startswith("bgppeerd: "))
        return result.stderr

    def check_passwords(self):
        self.assertEqual(self.fleet.passwords(), self.fleet.expected())


class VaultCommandTest(CommandCase):
    def change_everything(self):
        """The same commands, whoever does the work; ends with two rotations and a new root key in place."""
        text = self.done("vault", "status")
        fingerprint = re.search("Root key: +([0-9a-f]{16}), for 0 min", text).group(1)
        self.assertRegex(text, r"(?m)^Values: +10$")
        self.assertRegex(text, r"(?m)^\d+ +\d{4}-\d\d-\d\dT\S+Z +0 min +10 +active$")
        self.assertIn("is active and holds 10 values", self.done("vault", "rotate-data-key"))
        self.assertIn("new root key: ", self.done("vault", "change-root-key", "--yes"))
        changed = re.search("Root key: +([0-9a-f]{16})", self.done("vault", "status")).group(1)
        self.assertNotEqual(changed, fingerprint)
        key = write_private(self.path("new.key"), os.urandom(32))
        self.assertIn("either key opens", self.done("vault", "change-root-key", "--new-key-file", key))
        self.assertIn("New root key:", self.done("vault", "status"))
        self.assertIn("unfinished", self.fails("vault", "rotate-data-key"))
        self.assertIn(changed, self.done("vault", "cancel-root-key-change"))
        self.assertNotIn("New root key:", self.done("vault", "status"))
        self.assertIn("no change", self.fails("vault", "cancel-root-key-change"))
        self.assertIn("is active and holds 10 values", self.done("vault", "rotate-data-key"))

    def test_running(self):
        self.change_everything()
        self.check_passwords()

    def test_stopped(self):
        self.assertEqual(self.fleet.stop(), 0)
        self.change_everything()
        self.fleet.start()
        self.check_passwords()
        self.assertEqual([key["values"] for key in self.fleet.vault()["dataKeys"]], [10])

    def test_after_a_kill(self):
        """The data directory says where the service listened, and nobody does: it is stopped."""
        self.fleet.kill()
        self.assertTrue(os.path.exists(os.path.join(self.fleet.data, "listen")))
        self.assertIn("is active", self.done("vault", "rotate-data-key"))

    def test_relative_paths_are_the_callers(self):
        write_private(self.path("relative.key"), os.urandom(32))
        result = subprocess.run([PROGRAM, "vault", "change-root-key", "--new-key-file", "relative.key", "--data-dir",
                                 self.fleet.data], capture_output=True, text=True, check=False, cwd=self.fleet.folder,
                                timeout=60)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("pendingRootKey", self.fleet.vault())

    def test_refusals(self):
        self.assertIn("no database", self.assert_refused("vault", "status", "--data-dir", self.path("none")))
        self.assertFalse(os.path.exists(self.path("none")))
        for arguments in (("vault",), ("vault", "explode"), ("vault", "status", "--new-key-file", "x"),
                          ("vault", "change-root-key", "--new-key-file", "x", "--new-passphrase-file", "y"),
                          ("backup",), ("restore",), ("backup", "--data-dir")):
            self.assert_refused(*arguments, status=2)
        token = write_private(self.path("token"), b"bpd_" + b"x" * 60 + b"\n")
        self.assertIn("401", self.fails("vault", "status", "--token-file", token))
        wrong = write_private(self.path("wrong.key"), os.urandom(32))
        self.assertEqual(self.fleet.stop(), 0)
        before = read_bytes(self.fleet.database())
        self.assertIn("wrong root key", self.fails("vault", "rotate-data-key", "--vault-key-file", wrong, status=2))
        self.assertEqual(read_bytes(self.fleet.database()), before)

    def assert_refused(self, *arguments, status=1):
        result = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1)
        return result.stderr


class ProgressTest(CommandCase):
    count = 400

    def test_progress(self):
        status, shown = self.on_terminal("vault", "rotate-data-key")
        self.assertEqual(status, 0)
        self.assertIn("holds 400 values", shown)
        self.assertEqual(self.fleet.stop(), 0)
        status, shown = self.on_terminal("vault", "rotate-data-key")
        self.assertEqual(status, 0)
        self.assertRegex(shown, r"\rsealing again: \d+ of 400 Secrets \(\d+ %\)\r")
        self.assertIn("400 of 400 Secrets (100 %)\r\n", shown)
        self.assertNotIn("\r", self.done("vault", "rotate-data-key"))


class ConfirmationTest(CommandCase):
    """Replacing the key file cannot be taken back."""

    def ask(self, answer, *more):
        """(status, what is shown) when the question is answered so."""
        return self.on_terminal("vault", "change-root-key", *more, answer=answer)

    def check(self):
        key_file = os.path.join(self.fleet.data, "vault.key")
        key = read_bytes(key_file)
        for answer in (b"n\n", b"\n", b"yesterday\n", b"\x04"):
            status, shown = self.ask(answer)
            self.assertEqual(status, 1, shown)
            self.assertIn("Backups made before need", shown)
            self.assertIn("nothing was changed", shown)
            self.assertEqual(read_bytes(key_file), key, answer)
        # A script is not asked, and says that it means it.
        self.assertIn("--yes", self.fails("vault", "change-root-key", status=2))
        self.assertEqual(read_bytes(key_file), key)
        for answer in (b"y\n", b"YES\n"):
            status, shown = self.ask(answer)
            self.assertEqual(status, 0, shown)
            self.assertIn("new root key: ", shown)
            self.assertNotEqual(read_bytes(key_file), key)
            key = read_bytes(key_file)
        status, shown = self.ask(b"", "--yes")
        self.assertEqual(status, 0, shown)
        self.assertNotIn("[y/N]", shown)
        # Nothing is replaced: nothing to ask.
        status, shown = self.ask(b"", "--new-key-file", write_private(self.path("new.key"), os.urandom(32)))
        self.assertEqual(status, 0, shown)
        self.assertNotIn("[y/N]", shown)
        self.done("vault", "cancel-root-key-change")

    def test_running(self):
        self.check()
        self.check_passwords()

    def test_stopped(self):
        self.assertEqual(self.fleet.stop(), 0)
        self.check()
        self.fleet.start()
        self.check_passwords()


class BackupTest(CommandCase):
    def fingerprint(self):
        return self.fleet.vault()["rootKey"]["fingerprint"]

    def test_of_a_running_service_under_writes(self):
        stop = threading.Event()

        def write():
            count = 0
            while not stop.is_set():
                count += 1
                self.fleet.must("POST", SECRETS, {"metadata": {"name": f"w{count}"}, "stringData": {"k": "v"}})

        writer = threading.Thread(target=write)
        writer.start()
        try:
            texts = [self.done("backup", self.path(f"backup{i}")) for i in range(5)]
        finally:
            stop.set()
            writer.join()
        for i, text in enumerate(texts):
            self.assertIn(f"it needs root key {self.fingerprint()}, which is not in it", text)
            self.assertEqual(os.stat(self.path(f"backup{i}")).st_mode & 0o777, 0o600)
            with sqlite3.connect(self.path(f"backup{i}")) as database:
                self.assertEqual(database.execute("PRAGMA integrity_check").fetchone(), ("ok",))
            database.close()
        self.assertEqual([name for name in os.listdir(self.fleet.data) if "backup" in name], [])
        self.assertEqual([name for name in os.listdir(self.fleet.folder) if name.startswith("backup0.")], [])

    def test_never_over_something(self):
        self.done("backup", self.path("backup"))
        kept = read_bytes(self.path("backup"))
        self.assertIn("exists", self.fails("backup", self.path("backup")))
        self.assertIn("No such file", self.fails("backup", self.path("none/backup")))
        self.assertEqual(self.fleet.stop(), 0)
        self.assertIn("exists", self.fails("backup", self.path("backup")))
        self.assertEqual(read_bytes(self.path("backup")), kept)
        self.assertIn("10 encrypted values", self.done("backup", self.path("stopped")))

    def test_restore(self):
        for backup, running in (("live", True), ("stopped", False)):
            if not running:
                self.assertEqual(self.fleet.stop(), 0)
            self.done("backup", self.path(backup))
            if not running:
                self.fleet.start()
            self.assertIn("in use by process", self.fails("restore", self.path(backup)))
            self.fleet.must("PUT", f"{SECRETS}/s0", {"metadata": {"name": "s0"}, "stringData": {"a": "later"}})
            seen = self.fleet.request("GET", f"{GROUP}/bgppeers?limit=1").json()["metadata"]["resourceVersion"]
            self.fleet.kill()  # with a log that must not get into what is restored
            self.assertGreater(os.path.getsize(self.fleet.database() + "-wal"), 0)
            text = self.done("restore", self.path(backup))
            self.assertIn("the root key at hand opens it", text)
            kept = re.search("is now (.*)", text).group(1)
            self.assertRegex(kept, r"/bgppeerd\.db\.before-restore-\d{8}T\d{6}Z(-\d)?$")
            self.fleet.start()
            self.check_passwords()
            # Whoever was watching is told to begin anew.
            self.assertEqual(self.fleet.request("GET", f"{GROUP}/bgppeers?watch=1&resourceVersion={seen}").status, 410)
            # And back: what was put aside is whole, its log included.
            self.assertEqual(self.fleet.stop(), 0)
            self.done("restore", kept)
            self.fleet.start()
            self.assertEqual(self.fleet.passwords()[0], "later")
            self.fleet.must("PUT", f"{SECRETS}/s0", {"metadata": {"name": "s0"},
                                                     "stringData": {"a": self.fleet.expected()[0]}})

    def test_restore_says_which_key(self):
        self.done("backup", self.path("backup"))
        old = self.fingerprint()
        self.done("vault", "change-root-key", "--yes")
        self.assertEqual(self.fleet.stop(), 0)
        text = self.done("restore", self.path("backup"))
        self.assertIn(f"it needs root key {old}", text)
        self.assertIn("the service will not start yet: wrong root key", text)

    def test_restore_on_a_new_machine(self):
        self.done("backup", self.path("backup"))
        key = write_private(self.path("kept.key"), read_bytes(os.path.join(self.fleet.data, "vault.key")))
        other = Fleet("--vault-key-file", key)
        self.addCleanup(other.close)
        result = run("--data-dir", other.data, "--vault-key-file", key, command=("restore", self.path("backup")))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("the root key at hand opens it", result.stdout)
        self.assertNotIn("before-restore", result.stdout)
        other.start()
        self.assertEqual(other.passwords(), other.expected())

    def test_damaged_backups_change_nothing(self):
        self.done("backup", self.path("backup"))
        self.assertEqual(self.fleet.stop(), 0)
        whole = read_bytes(self.path("backup"))
        before = read_bytes(self.fleet.database())
        names = sorted(os.listdir(self.fleet.data))
        middle = len(whole) // 2
        for damaged in (b"", b"x" * 5000, whole[:-4096], whole[:50], whole[:middle] + b"\xff" * 2000 + whole[middle + 2000:]):
            write_private(self.path("damaged"), damaged)
            self.fails("restore", self.path("damaged"))
            self.assertEqual(read_bytes(self.fleet.database()), before)
            self.assertEqual(sorted(os.listdir(self.fleet.data)), names)
        self.fails("restore", self.path("missing"))
        self.fleet.start()
        self.check_passwords()

    def test_a_damaged_database_can_be_replaced(self):
        self.done("backup", self.path("backup"))
        self.fleet.kill()
        write_private(self.fleet.database(), b"not a database" * 100)
        text = self.done("restore", self.path("backup"))
        kept = re.search("is now (.*)", text).group(1)
        self.assertTrue(read_bytes(kept).startswith(b"not a database"))
        self.assertTrue(os.path.exists(kept + "-wal"))
        self.fleet.start()
        self.check_passwords()


if __name__ == "__main__":
    unittest.main()
