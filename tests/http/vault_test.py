# tests/run: timeout 240
"""The vault on the real service: status, changes of keys over the API, who may, what a wrong key and altered rows do."""
import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time
import unittest

from service import PROGRAM
from vault_fleet import LIST, SECRETS, VAULT, Fleet, password_of, read_bytes, write_private
from wire import GROUP, Wire

OWNED = f"{GROUP}/nodes/n/peerings"


class VaultCase(unittest.TestCase):
    count = 10
    arguments = ()
    auth = False

    def setUp(self):
        self.fleet = Fleet(*self.arguments, count=self.count, auth=self.auth)
        self.addCleanup(self.fleet.close)
        self.fleet.start()
        self.fleet.fill()

    def restart(self, *arguments):
        if self.fleet.process is not None:
            self.assertEqual(self.fleet.stop(), 0, self.fleet.log())
        self.fleet.arguments = ["--no-auth", *arguments]
        self.fleet.start()

    def refuse_to_start(self, *arguments):
        """The one sentence; nothing in the data directory is another afterwards."""
        before = {name: read_bytes(os.path.join(self.fleet.data, name)) for name in os.listdir(self.fleet.data)}
        done = subprocess.run([PROGRAM, "serve", "--listen", "127.0.0.1:0", "--no-auth", "--data-dir", self.fleet.data,
                               *arguments], capture_output=True, text=True, check=False, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        after = {name: read_bytes(os.path.join(self.fleet.data, name)) for name in os.listdir(self.fleet.data)}
        before.pop("lock", None)
        after.pop("lock", None)
        self.assertEqual(after, before)
        lines = [line for line in done.stderr.splitlines() if line.startswith("bgppeerd: ")]
        self.assertEqual(len(lines), 1, done.stderr)
        return done.returncode, lines[0]


class StatusTest(VaultCase):
    def test_status_has_no_material(self):
        answer = self.fleet.must("GET", VAULT)
        status = answer.json()["status"]
        self.assertRegex(status["rootKey"]["fingerprint"], "^[0-9a-f]{16}$")
        self.assertEqual([(key["id"], key["active"], key["values"]) for key in status["dataKeys"]], [(1, True, 10)])
        self.assertEqual((status["values"], status["unreadableValues"]), (10, 0))
        self.assertIn("lies beside the data", status["warning"])
        key = read_bytes(os.path.join(self.fleet.data, "vault.key")).strip()
        self.assertEqual(len(key), 64)
        for part in (key[:16], key[-16:]):
            self.assertNotIn(part, answer.body)

    def test_a_poll_answered_304_decrypts_nothing(self):
        etag = self.fleet.must("GET", LIST).headers["ETag"]
        before = self.fleet.vault()["decryptions"]
        for _ in range(50):
            self.assertEqual(self.fleet.request("GET", LIST, None, {"If-None-Match": etag}).status, 304)
        self.assertEqual(self.fleet.request("GET", f"{LIST}&wait=1s", None, {"If-None-Match": etag}).status, 304)
        self.fleet.must("GET", OWNED)
        self.assertEqual(self.fleet.vault()["decryptions"], before)
        self.fleet.must("GET", LIST)
        self.assertEqual(self.fleet.vault()["decryptions"], before + 10)

    def test_bad_requests(self):
        for path, body, code in (("rotations", {"kind": "RootKeyChange"}, 400), ("rotations", {"why": 1}, 400),
                                 ("rotations", "{", 400), ("rootkeychanges", {"spec": {"keyfile": "/x"}}, 400),
                                 ("rootkeychanges", {"spec": {"keyFile": "x"}}, 422),
                                 ("rootkeychanges", {"spec": {"keyFile": "/x", "passphraseFile": "/y"}}, 422)):
            headers = {"Content-Type": "application/json"}
            answer = self.fleet.request("POST", f"{VAULT}/{path}", body, headers)
            self.assertEqual(answer.status, code, answer.body)
        self.assertNotIn("operation", self.fleet.vault())

    def test_what_fails_later_is_told(self):
        for spec, words in (({"keyFile": "/nowhere/key"}, "/nowhere/key"), ({"keyFile": PROGRAM}, "mode"),
                            ({"keyFile": os.path.join(self.fleet.data, "vault.key")}, "in use already")):
            operation = self.fleet.change("POST", "rootkeychanges", {"kind": "RootKeyChange", "spec": spec})
            self.assertEqual(operation["state"], "Failed")
            self.assertIn(words, operation["message"])
        self.assertEqual(self.fleet.change("DELETE", "rootkeychanges")["state"], "Failed")
        self.assertEqual(self.fleet.passwords(), self.fleet.expected())


class AccessTest(VaultCase):
    auth = True

    def test_admins_only(self):
        tokens = {role: self.fleet.must("POST", "/apis/bgppeerd.io/v1/tokens", {"spec": {"role": role, **more}})
                  .json()["status"]["token"]
                  for role, more in (("operator", {}), ("viewer", {}), ("node", {"node": "n"}))}
        for method, path in (("GET", VAULT), ("POST", f"{VAULT}/rotations"), ("POST", f"{VAULT}/rootkeychanges"),
                             ("DELETE", f"{VAULT}/rootkeychanges"), ("GET", "/apis/bgppeerd.io/v1/backup")):
            self.assertEqual(self.fleet.request(method, path, None, {"Authorization": None}).status, 401)
            for token in tokens.values():
                answer = self.fleet.request(method, path, None, {"Authorization": f"Bearer {token}"})
                self.assertEqual(answer.status, 403, answer.body)
        self.assertNotIn("operation", self.fleet.vault())
        self.assertEqual(self.fleet.change("POST", "rotations")["state"], "Succeeded")
        trail = self.fleet.must("GET", "/apis/bgppeerd.io/v1/audit?event=vault").json()["items"]
        self.assertEqual([(entry["verb"], entry["name"]) for entry in trail], [("create", "DataKeyRotation")])


class RotationTest(VaultCase):
    count = 300

    def test_data_key(self):
        etag = self.fleet.must("GET", LIST).headers["ETag"]
        with Wire(self.fleet) as poll:
            poll.send(f"GET {LIST}&wait=30s HTTP/1.1\r\nHost: x\r\nIf-None-Match: {etag}\r\n\r\n")
            operation = self.fleet.change("POST", "rotations", {"kind": "DataKeyRotation"})
            self.assertEqual((operation["state"], operation["done"], operation["total"]), ("Succeeded", 300, 300))
            status = self.fleet.vault()
            self.assertEqual([(key["id"], key["values"]) for key in status["dataKeys"]], [(2, 300)])
            # Nobody is woken: what nodes get is the same.
            self.assertEqual(self.fleet.must("GET", LIST).headers["ETag"], etag)
            poll.socket.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                poll.read_until(b"\r\n")
        self.assertEqual(self.fleet.passwords(), self.fleet.expected())
        self.restart()
        self.assertEqual(self.fleet.passwords(), self.fleet.expected())

    def test_writes_go_on_meanwhile(self):
        answer = self.fleet.must("POST", f"{VAULT}/rotations")
        for number in range(40):
            body = {"metadata": {"name": f"s{number}"}, "stringData": {"a": f"new {number}"}}
            self.fleet.must("PUT", f"{SECRETS}/s{number}", body)
            self.fleet.must("POST", SECRETS, {"metadata": {"name": f"more{number}"}, "stringData": {"b": "x"}})
        self.assertEqual(self.fleet.wait_for_operation(answer)["state"], "Succeeded")
        status = self.fleet.vault()
        self.assertEqual([(key["id"], key["values"]) for key in status["dataKeys"]], [(2, 340)])
        wanted = {**self.fleet.expected(), **{number: f"new {number}" for number in range(40)}}
        self.assertEqual(self.fleet.passwords(), wanted)
        self.restart()
        self.assertEqual(self.fleet.passwords(), wanted)

    def test_one_at_a_time(self):
        answer = self.fleet.must("POST", f"{VAULT}/rotations")
        second = self.fleet.request("POST", f"{VAULT}/rotations")
        if second.status == 202:
            self.skipTest("the first rotation was over at once")
        self.assertEqual(second.status, 409)
        self.assertIn("is running", second.json()["message"])
        self.assertEqual(self.fleet.wait_for_operation(answer)["state"], "Succeeded")

    def test_a_stop_does_not_wait_for_a_rotation(self):
        self.fleet.must("POST", f"{VAULT}/rotations")
        started = time.monotonic()
        self.assertEqual(self.fleet.stop(), 0, self.fleet.log()[-6000:])
        self.assertLess(time.monotonic() - started, 5)
        self.fleet.start()
        self.assertEqual(self.fleet.passwords(), self.fleet.expected())
        self.assertEqual(self.fleet.change("POST", "rotations")["state"], "Succeeded")
        self.assertEqual(len(self.fleet.vault()["dataKeys"]), 1)


class RootKeyTest(VaultCase):
    def test_in_place(self):
        path = os.path.join(self.fleet.data, "vault.key")
        old = read_bytes(path)
        before = self.fleet.vault()["rootKey"]["fingerprint"]
        operation = self.fleet.change("POST", "rootkeychanges", {"kind": "RootKeyChange"})
        self.assertEqual(operation["state"], "Succeeded")
        self.assertNotEqual(self.fleet.vault()["rootKey"]["fingerprint"], before)
        self.assertNotEqual(read_bytes(path), old)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(self.fleet.passwords(), self.fleet.expected())
        self.restart()
        self.assertEqual(self.fleet.passwords(), self.fleet.expected())
        self.assertEqual(self.fleet.stop(), 0)
        status, text = self.refuse_to_start("--vault-key-file", write_private(f"{self.fleet.folder}/old.key", old))
        self.assertEqual(status, 2)
        self.assertIn(before, text)

    def test_hand_over(self):
        key = write_private(f"{self.fleet.folder}/new.key", os.urandom(32))
        body = {"kind": "RootKeyChange", "spec": {"keyFile": key}}
        operation = self.fleet.change("POST", "rootkeychanges", body)
        self.assertEqual(operation["state"], "Succeeded")
        self.assertIn("restart", operation["message"])
        status = self.fleet.vault()
        self.assertIn("unfinished", status["warning"])
        self.assertEqual(self.fleet.change("POST", "rotations")["state"], "Failed")
        self.assertEqual(self.fleet.change("DELETE", "rootkeychanges")["state"], "Succeeded")
        self.assertNotIn("pendingRootKey", self.fleet.vault())
        self.assertNotIn("unfinished", self.fleet.vault()["warning"])
        # Again; the old key opens it once more, then the new one takes over, and the old one is refused.
        self.assertEqual(self.fleet.change("POST", "rootkeychanges", body)["state"], "Succeeded")
        pending = self.fleet.vault()["pendingRootKey"]["fingerprint"]
        self.assertEqual(pending, status["pendingRootKey"]["fingerprint"])
        self.restart()
        self.assertEqual(self.fleet.passwords(), self.fleet.expected())
        self.restart("--vault-key-file", key)
        self.assertEqual(self.fleet.passwords(), self.fleet.expected())
        self.assertEqual(self.fleet.vault()["rootKey"]["fingerprint"], pending)
        self.assertNotIn("pendingRootKey", self.fleet.vault())
        self.assertEqual(self.fleet.stop(), 0)
        self.assertEqual(self.refuse_to_start()[0], 2)

    def test_to_a_passphrase(self):
        passphrase = write_private(f"{self.fleet.folder}/passphrase", b"correct horse battery staple\n")
        operation = self.fleet.change("POST", "rootkeychanges", {"spec": {"passphraseFile": passphrase}})
        self.assertEqual(operation["state"], "Succeeded")
        self.restart("--vault-passphrase-file", passphrase)
        self.assertEqual(self.fleet.passwords(), self.fleet.expected())
        self.assertEqual(self.fleet.stop(), 0)
        wrong = write_private(f"{self.fleet.folder}/wrong", b"incorrect horse battery staple\n")
        self.assertEqual(self.refuse_to_start("--vault-passphrase-file", wrong)[0], 2)

    def test_wrong_and_missing_root_key(self):
        self.assertEqual(self.fleet.stop(), 0)
        fingerprint_needed = re.compile("[0-9a-f]{16}")
        wrong = write_private(f"{self.fleet.folder}/wrong.key", os.urandom(32))
        status, text = self.refuse_to_start("--vault-key-file", wrong)
        self.assertEqual(status, 2)
        self.assertIn("wrong root key", text)
        self.assertEqual(len(fingerprint_needed.findall(text)), 2)
        key = os.path.join(self.fleet.data, "vault.key")
        os.rename(key, f"{self.fleet.folder}/kept.key")
        status, text = self.refuse_to_start()
        self.assertEqual(status, 2)
        self.assertRegex(text, fingerprint_needed)
        self.assertFalse(os.path.exists(key))
        shutil.copy(f"{self.fleet.folder}/kept.key", key)
        os.chmod(key, 0o640)
        self.assertIn("0600", self.refuse_to_start()[1])
        os.chmod(key, 0o600)
        self.fleet.start()
        self.assertEqual(self.fleet.passwords(), self.fleet.expected())


class AlteredRowsTest(VaultCase):
    """One start finds many rows altered, each in its own way."""
    count = 150

    def alter(self, number, column, change):
        with sqlite3.connect(self.fleet.database()) as database:
            name = f"default/s{number}"
            value, = database.execute(f"SELECT {column} FROM sealed WHERE object = ?", (name,)).fetchone()
            database.execute(f"UPDATE sealed SET {column} = ? WHERE object = ?", (change(value), name))
        database.close()

    def check(self, altered):
        """Only the sessions of the altered values are withheld; the log names each of them once."""
        self.fleet.start()
        log = self.fleet.log()
        sessions = self.fleet.sessions()
        problems = {problem["peerIP"]: problem["reason"] for problem in self.fleet.must("GET", LIST).json()["problems"]}
        self.assertEqual(len(problems), len(altered))
        for number, entry in sessions.items():
            if number in altered:
                self.assertNotIn("password", entry)
                self.assertTrue(entry["withheld"])
                self.assertEqual(problems[entry["peerIP"]], "VaultError")
                found = re.findall(rf"^.*event=secret-unreadable.* secret=s{number} .*$", log, re.M)
                self.assertEqual(len(found), 1, found)
            else:
                self.assertEqual(entry["password"], password_of(number))
                self.assertNotIn("withheld", entry)
        self.assertEqual(len(sessions), self.count)
        self.assertEqual(self.fleet.vault()["unreadableValues"], len(altered))

    def test_each_byte(self):
        self.assertEqual(self.fleet.stop(), 0)
        ciphertext = len(password_of(7).encode()) + 16
        ways = [("nonce", i) for i in range(24)] + [("ciphertext", i) for i in range(ciphertext)]
        for number, (column, place) in enumerate(ways):
            def flip(value, at=place):
                at = min(at, len(value) - 1)
                return value[:at] + bytes([value[at] ^ (1 << number % 8)]) + value[at + 1:]
            self.alter(number, column, flip)
        others = [("version", lambda value: value + 1), ("key_id", lambda value: value + 1),
                  ("nonce", lambda value: value[:-1]), ("nonce", lambda value: b""), ("nonce", lambda value: value + b"x"),
                  ("ciphertext", lambda value: value[:-1]), ("ciphertext", lambda value: value[:16]),
                  ("ciphertext", lambda value: value[:15]), ("ciphertext", lambda value: b""),
                  ("ciphertext", lambda value: value + b"\0"), ("item", lambda value: "b")]
        for number, (column, change) in enumerate(others, len(ways)):
            self.alter(number, column, change)
        self.assertLess(len(ways) + len(others), self.count - 10)
        self.check(set(range(len(ways) + len(others))))
        # What is written again can be read again.
        self.fleet.must("PUT", f"{SECRETS}/s0", {"metadata": {"name": "s0"}, "stringData": {"a": password_of(0)}})
        self.assertEqual(self.fleet.passwords()[0], password_of(0))
        # Rotating leaves the others as they are, and does not lose the key that they name.
        self.assertEqual(self.fleet.change("POST", "rotations")["state"], "Succeeded")
        self.assertEqual(self.fleet.vault()["unreadableValues"], len(ways) + len(others) - 1)

    def test_swapped_rows(self):
        self.assertEqual(self.fleet.stop(), 0)
        with sqlite3.connect(self.fleet.database()) as database:
            rows = dict(database.execute("SELECT object, ciphertext FROM sealed").fetchall())
            nonces = dict(database.execute("SELECT object, nonce FROM sealed").fetchall())
            keys = [key for key, in database.execute("SELECT DISTINCT key_id FROM sealed")]
            for one, other in (("default/s0", "default/s1"), ("default/s1", "default/s0")):
                database.execute("UPDATE sealed SET ciphertext = ?, nonce = ? WHERE object = ?",
                                 (rows[other], nonces[other], one))
            # The same value elsewhere: its place is bound to it.
            version, = database.execute("SELECT version FROM sealed WHERE object = 'default/s2'").fetchone()
            database.execute("UPDATE sealed SET ciphertext = ?, nonce = ?, version = ? WHERE object = 'default/s3'",
                             (rows["default/s2"], nonces["default/s2"], version))
            database.execute("DELETE FROM sealed WHERE object = 'default/s4'")
        database.close()
        self.assertEqual(keys, [1])
        self.check({0, 1, 3, 4})

    def test_damaged_keys(self):
        self.assertEqual(self.fleet.stop(), 0)
        kept = read_bytes(self.fleet.database())
        with sqlite3.connect(self.fleet.database()) as database:
            names = [name for name, in database.execute("SELECT name FROM setting WHERE name LIKE 'vault/%'")]
        database.close()
        self.assertEqual(len(names), 3)
        for name in names:
            for change in (lambda value: value[:-1] + bytes([value[-1] ^ 1]), lambda value: value[:-1], None):
                with sqlite3.connect(self.fleet.database()) as database:
                    if change is None:
                        database.execute("DELETE FROM setting WHERE name = ?", (name,))
                    else:
                        value, = database.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
                        database.execute("UPDATE setting SET value = ? WHERE name = ?", (change(value), name))
                database.close()
                self.refuse_to_start()
                write_private(self.fleet.database(), kept)
        self.fleet.start()
        self.assertEqual(self.fleet.passwords(), self.fleet.expected())


class SpeedTest(VaultCase):
    count = 1000

    def test_a_thousand_passwords_for_one_list(self):
        times = {"with": [], "without": []}
        for _ in range(20):
            for name, path in (("with", LIST), ("without", OWNED)):
                identifier = f"{name}-{len(times[name])}"
                answer = self.fleet.must("GET", path, None, {"X-Request-Id": identifier})
                self.assertEqual(len(answer.json()["items"]), 1000)
                times[name].append(identifier)
        for identifiers in times.values():
            for identifier in identifiers:
                self.fleet.wait_for_log(f"id={identifier} ")
        log = self.fleet.log()
        took = {name: statistics.median(int(re.search(rf"id={identifier} .* us=(\d+)", log).group(1)) / 1000
                                        for identifier in identifiers) for name, identifiers in times.items()}
        print(f"a list of 1000 sessions with their passwords: {took['with']:.2f} ms (median of 20; unchanged and without "
              f"them, from the cache: {took['without']:.2f} ms)", flush=True)
        # Instrumented builds are slower, and so are busy machines; an order of magnitude is a mistake.
        self.assertLess(took["with"], 250)


class FixtureTest(unittest.TestCase):
    """Databases written by earlier versions; tests/fixtures/make wrote them."""

    def test_every_version_is_read(self):
        found = 0
        for version in sorted(os.listdir("tests/fixtures")):
            folder = os.path.join("tests/fixtures", version)
            if not re.fullmatch(r"v\d+", version):
                continue
            for source, option in (("vault.key", "--vault-key-file"), ("passphrase", "--vault-passphrase-file")):
                with self.subTest(version=version, source=source):
                    self.read(os.path.join(folder, source.replace(".", "-")), source, option)
                found += 1
        self.assertGreaterEqual(found, 2)

    def read(self, folder, source, option):
        with tempfile.TemporaryDirectory() as place:
            secret = write_private(os.path.join(place, source), read_bytes(os.path.join(folder, source)))
            fleet = Fleet(option, secret)
            self.addCleanup(fleet.close)
            os.mkdir(fleet.data, 0o700)
            write_private(fleet.database(), read_bytes(os.path.join(folder, "bgppeerd.db")))
            fleet.start()
            self.assertEqual(fleet.passwords(), fleet.expected())
            self.assertEqual(fleet.vault()["unreadableValues"], 0)

            def fingerprints():
                return {number: entry["passwordFingerprint"] for number, entry in fleet.sessions().items()}

            shown = fingerprints()
            with open(os.path.join(folder, "fingerprints"), encoding="ascii") as file:
                of_old = set(file.read().split())
            # The first version's were equal for equal values anywhere, and are shown no more; the later ones stay.
            self.assertEqual(set(shown.values()) & of_old, set() if os.path.basename(os.path.dirname(folder)) == "v1" else of_old)
            self.assertEqual(len(set(shown.values())), len(shown))
            secrets = fleet.request("GET", "/api/v1/secrets").json()["items"]
            listed = {value["fingerprint"] for secret in secrets
                      for value in json.loads(secret["metadata"]["annotations"]["bgppeerd.io/values"]).values()}
            self.assertLessEqual(set(shown.values()), listed)
            self.assertEqual(fleet.change("POST", "rotations")["state"], "Succeeded")
            self.assertEqual(fleet.passwords(), fleet.expected())
            self.assertEqual(fingerprints(), shown)
            self.assertEqual(fleet.stop(), 0)
            fleet.start()
            self.assertEqual(fingerprints(), shown)
            self.assertEqual(fleet.stop(), 0)


if __name__ == "__main__":
    unittest.main()
