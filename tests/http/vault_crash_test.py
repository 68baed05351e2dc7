# tests/run: timeout 240
"""kill -9 at random moments of both rotations of the running service, while Secrets are written: every acknowledged value
is there and decrypts after each restart. The seed is printed; SEED repeats a run. (tests/fault/vault_crash_test.c does
the same at every single step.)"""
import http.client
import os
import random
import threading
import time
import unittest

from vault_fleet import SECRETS, VAULT, Fleet

KILLS = 50
SECRETS_COUNT = 600


class Writer(threading.Thread):
    """Replaces values until the service dies; remembers what was acknowledged, and the one that was under way."""

    def __init__(self, fleet, values, kill):
        super().__init__()
        self.fleet, self.values, self.kill = fleet, values, kill
        self.unsure = None

    def run(self):
        try:
            for count in range(10**6):
                number = count % self.fleet.count
                value = f"value {self.kill} {count}"
                self.unsure = (number, value)
                self.fleet.must("PUT", f"{SECRETS}/s{number}",
                                {"metadata": {"name": f"s{number}"}, "stringData": {"a": value}})
                self.values[number] = value
                self.unsure = None
                time.sleep(0.002)
        except (OSError, http.client.HTTPException):
            pass


class KillTest(unittest.TestCase):
    def measure(self, fleet, path):
        """Seconds from the answer to a rotation's end."""
        answer = fleet.must("POST", f"{VAULT}/{path}")
        started = time.monotonic()
        while fleet.vault()["operation"]["state"] == "Running":
            pass
        self.assertEqual(fleet.wait_for_operation(answer)["state"], "Succeeded")
        return time.monotonic() - started

    def wait_for_one_key(self, fleet):
        for _ in range(1200):
            status = fleet.vault()
            if len(status["dataKeys"]) == 1:
                return status
            time.sleep(0.05)
        raise AssertionError("the rotation is not finished by itself")

    def test_kill_during_rotations(self):
        seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**9))
        print(f"SEED={seed}", flush=True)
        moments = random.Random(seed)
        fleet = Fleet("--log-level", "warn", count=SECRETS_COUNT)
        self.addCleanup(fleet.close)
        fleet.start()
        fleet.fill()
        values = fleet.expected()
        seconds = {path: self.measure(fleet, path) for path in ("rotations", "rootkeychanges")}
        unfinished = 0
        for kill in range(KILLS):
            writer = Writer(fleet, values, kill)
            writer.start()
            time.sleep(moments.uniform(0.0, 0.02))
            path = ("rotations", "rootkeychanges")[kill % 2]
            pause = moments.uniform(0.0, seconds[path])
            try:
                self.assertEqual(fleet.request("POST", f"{VAULT}/{path}").status, 202)
            except (OSError, http.client.HTTPException):
                self.fail("the service ended by itself")
            time.sleep(pause)
            fleet.kill()
            writer.join()
            fleet.start()
            stored = fleet.passwords()
            if writer.unsure is not None and stored[writer.unsure[0]] == writer.unsure[1]:
                values[writer.unsure[0]] = writer.unsure[1]
            self.assertEqual(stored, values, f"kill {kill}, SEED={seed}")
            status = fleet.vault()
            self.assertEqual(status["unreadableValues"], 0)
            if "pendingRootKey" in status:
                self.assertEqual(fleet.change("POST", "rootkeychanges")["state"], "Succeeded")
                unfinished += 1
            # Sometimes the service has the time to finish by itself, sometimes the next change comes in between.
            if kill % 3 == 0:
                self.wait_for_one_key(fleet)
        unfinished += fleet.log().count("event=data-key-rotation-resumed")
        print(f"{unfinished} of {KILLS} kills left a rotation unfinished; a whole one takes {seconds}", flush=True)
        self.assertGreater(unfinished, 0, "every kill came too late")
        # What was begun is brought to its end: a root key's change by asking again, a rotation by itself.
        if "pendingRootKey" in fleet.vault():
            self.assertEqual(fleet.change("POST", "rootkeychanges")["state"], "Succeeded")
        status = self.wait_for_one_key(fleet)
        self.assertEqual([key["values"] for key in status["dataKeys"]], [SECRETS_COUNT])
        self.assertNotIn("pendingRootKey", status)
        self.assertEqual(fleet.passwords(), values)
        self.assertEqual(fleet.stop(), 0)


if __name__ == "__main__":
    unittest.main()
