"""Tokens carry a mark under the root key: whoever can write the database, but does not have that key, gets in with none of
planted, altered, moved or copied rows; tokens of before there were marks go on working, once."""
import base64
import contextlib
import hashlib
import os
import shutil
import sqlite3
import struct
import subprocess
import unittest

from service import PROGRAM, Service
from wire import GROUP

NODES = f"{GROUP}/nodes"
TOKENS = "/apis/bgppeerd.io/v1/tokens"
FIXTURE = "tests/fixtures/v1/vault-key"
ADMIN = 1


def plain_row(secret, role=ADMIN):
    """A token's row as it was before there were marks."""
    digest = hashlib.blake2b(secret.encode(), digest_size=32).digest()
    return struct.pack("<BBqqq", 1, role, 1700000000000, 0, 0) + digest + b"\0\0"


def new_secret():
    return base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")


class TokenMarksTest(unittest.TestCase):
    def setUp(self):
        self.service = Service("--log-level", "info", auth=True)
        self.addCleanup(self.service.close)

    @contextlib.contextmanager
    def database(self):
        with contextlib.closing(sqlite3.connect(os.path.join(self.service.data, "bgppeerd.db"))) as database:
            yield database
            database.commit()

    def plant(self, token_id, row):
        with self.database() as database:
            database.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (f"token/{token_id}", row))

    def rows(self):
        with self.database() as database:
            return dict(database.execute("SELECT name, value FROM setting WHERE name LIKE 'token/%'").fetchall())

    def status(self, token):
        return self.service.request("GET", NODES, None, {"Authorization": f"Bearer {token}"}).status

    def test_planted_and_altered_rows(self):
        self.service.start()
        admin = self.service.token
        answer = self.service.request("POST", TOKENS, {"spec": {"role": "viewer"}})
        self.assertEqual(answer.status, 201, answer.body)
        viewer = answer.json()["status"]["token"]
        self.assertEqual(self.service.stop(), 0)
        rows = self.rows()
        viewer_name = f"token/{viewer.split('_')[1]}"
        admin_name = f"token/{admin.split('_')[1]}"
        secret = new_secret()
        digest = hashlib.blake2b(secret.encode(), digest_size=32).digest()
        marked = rows[admin_name]
        # Without a mark; with one of another row; under another name; the viewer made an admin.
        self.plant("00112233aabbccd0", plain_row(secret))
        self.plant("00112233aabbccd1", marked[:26] + digest + marked[58:])
        self.plant("00112233aabbccd2", marked)
        raised = rows[viewer_name]
        self.plant(viewer_name.split("/")[1], raised[:1] + bytes([ADMIN]) + raised[2:])
        with self.database() as database:
            database.execute("DELETE FROM setting WHERE name = 'no such row'")
        self.service.start()
        for number in range(3):
            text = admin.split("_")[2] if number == 2 else secret
            self.assertEqual(self.status(f"bpd_00112233aabbccd{number}_{text}"), 401)
        self.assertEqual(self.status(viewer), 401)
        self.assertEqual(self.status(admin), 200)
        self.service.wait_for_log("event=token-unreadable", count=4)
        self.assertEqual(self.service.log().count("event=token-unreadable"), 4)

    def test_tokens_of_before(self):
        """They get their marks at the first start; from then on one without is planted. Also over a restart and after the
        admin's own row is gone."""
        shutil.copytree(FIXTURE, self.service.data)
        for name in os.listdir(self.service.data):
            os.chmod(os.path.join(self.service.data, name), 0o600)
        old, planted = new_secret(), new_secret()
        self.plant("00112233aabbccdd", plain_row(old))
        with open(os.path.join(self.service.data, "admin.token"), "w", encoding="ascii") as file:
            file.write(f"bpd_00112233aabbccdd_{old}\n")
        self.service.start()
        self.assertEqual(self.status(f"bpd_00112233aabbccdd_{old}"), 200)
        self.service.wait_for_log("event=tokens-marked")
        self.assertEqual(self.service.stop(), 0)
        self.assertEqual({row[0] for row in self.rows().values()}, {2})
        with self.database() as database:
            database.execute("DELETE FROM setting WHERE name LIKE 'token/%'")
        self.plant("00112233aabbccee", plain_row(planted))
        self.service.start()
        self.assertEqual(self.status(f"bpd_00112233aabbccee_{planted}"), 401)

    def run_token(self, *arguments):
        return subprocess.run([PROGRAM, "token", *arguments, "--data-dir", self.service.data], capture_output=True, text=True, timeout=60, check=False)

    def test_a_stopped_service(self):
        self.service.start()
        self.assertEqual(self.service.stop(), 0)
        key = os.path.join(self.service.data, "vault.key")
        elsewhere = os.path.join(self.service.folder, "elsewhere.key")
        made = self.run_token("create", "--role", "viewer")
        self.assertEqual(made.returncode, 0, made.stderr)
        shutil.move(key, elsewhere)
        refused = self.run_token("create", "--role", "viewer")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("root key", refused.stderr)
        with_key = self.run_token("create", "--role", "viewer", "--vault-key-file", elsewhere)
        self.assertEqual(with_key.returncode, 0, with_key.stderr)
        self.assertEqual(self.run_token("list").returncode, 0, "reading needs no key")
        shutil.move(elsewhere, key)
        self.service.start()
        for token in (made, with_key):
            self.assertEqual(self.status(token.stdout.strip()), 200)

    def test_a_bit_in_the_root_key(self):
        """Never a start with another key."""
        self.service.start()
        self.assertEqual(self.service.stop(), 0)
        key = os.path.join(self.service.data, "vault.key")
        with open(key, "rb") as file:
            good = file.read()
        for bit in range(0, len(good) * 8, len(good) * 8 // 6 or 1):
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            with open(key, "wb") as file:
                file.write(bad)
            ended = subprocess.run([PROGRAM, "serve", "--listen", "127.0.0.1:0", "--data-dir", self.service.data],
                                   capture_output=True, text=True, timeout=60, check=False)
            self.assertIn(ended.returncode, (1, 2), ended.stderr)
            self.assertIn("key", ended.stderr)
        with open(key, "wb") as file:
            file.write(good)
        self.service.start()

    def test_a_backup_and_another_root_key(self):
        """Marks are the database's own: they go with a backup, and stay when the root key changes."""
        self.service.start()
        admin = self.service.token
        self.assertEqual(self.service.stop(), 0)
        backup = os.path.join(self.service.folder, "backup")
        for command in (("vault", "change-root-key", "--yes"), ("backup", backup), ("restore", backup)):
            done = subprocess.run([PROGRAM, *command, "--data-dir", self.service.data], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.service.start()
        self.assertEqual(self.status(admin), 200)
        self.assertNotIn("token-unreadable", self.service.log())


if __name__ == "__main__":
    unittest.main()
