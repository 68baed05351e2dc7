# tests/run: timeout 240
"""kill -9 at random moments under concurrent writers: every acknowledged write is there after the restart, no
unacknowledged one is half there, and the service starts every time. The seed is printed; SEED repeats a run."""
import json
import os
import random
import threading
import time
import unittest

from service import Service
from wire import GROUP, Wire

PEERS = f"{GROUP}/bgppeers"
KILLS = 100
WRITERS = 6


def spec(number):
    """Two fields that belong together: a half-applied write would show."""
    return {"peerIP": "192.0.2.1", "asNumber": number, "filters": [f"f{number}"]}


class Writer:
    """Creates, replaces and deletes objects of its own, and remembers what it was told about each."""

    def __init__(self, number, seed):
        self.number = number
        self.random = random.Random(seed)
        self.sure = {}      # name: number in the last acknowledged spec; absent: acknowledged as deleted, or never made
        self.unsure = None  # (name, number or None): the write that was under way when the service died
        self.count = 0
        self.failure = None

    def run(self, service):
        self.unsure = None
        try:
            with Wire(service) as wire:
                while True:
                    self.write(wire)
        except (EOFError, OSError):
            pass
        except Exception as failure:  # a wrong answer; the test's thread reports it
            self.failure = failure

    def write(self, wire):
        name = f"w{self.number}-{self.random.randrange(8)}"
        self.count += 1
        value = None if name in self.sure and self.random.random() < 0.3 else self.count
        if value is None:
            method, path, body, expected = "DELETE", f"{PEERS}/{name}", "", 200
        elif name in self.sure:
            method, path, expected = "PUT", f"{PEERS}/{name}", 200
            body = json.dumps({"metadata": {"name": name}, "spec": spec(value)})
        else:
            method, path, expected = "POST", PEERS, 201
            body = json.dumps({"metadata": {"name": name}, "spec": spec(value)})
        self.unsure = (name, value)
        wire.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}")
        status, _, text = wire.read_answer()
        if status != expected:
            raise AssertionError(f"{method} {name}: {status} {text[:300]}")
        if value is None:
            del self.sure[name]
        else:
            self.sure[name] = value
        self.unsure = None

    def settle(self, stored):
        """Compare with what is stored; what was under way counts from now on as it turned out."""
        mine = {name: value for name, value in stored.items() if name.startswith(f"w{self.number}-")}
        if self.unsure is not None and mine.get(self.unsure[0]) != self.sure.get(self.unsure[0]):
            name, value = self.unsure
            if mine.get(name) != value:
                raise AssertionError(f"{name} is {mine.get(name)}, neither {self.sure.get(name)} nor {value}")
            if value is None:
                del self.sure[name]
            else:
                self.sure[name] = value
        if mine != self.sure:
            raise AssertionError(f"acknowledged {self.sure}, stored {mine}")


class CrashTest(unittest.TestCase):
    def read(self, service):
        stored = {}
        answer = service.request("GET", PEERS).json()
        for item in answer["items"]:
            number = item["spec"]["asNumber"]
            self.assertEqual(item["spec"], spec(number))
            self.assertLessEqual(int(item["metadata"]["resourceVersion"]), int(answer["metadata"]["resourceVersion"]))
            stored[item["metadata"]["name"]] = number
        return stored, int(answer["metadata"]["resourceVersion"])

    def wait_for_writes(self, writers, moments):
        """Until a random number of writes and a little more; on any machine, they are in the middle of it."""
        wanted = sum(writer.count for writer in writers) + moments.randrange(10 * WRITERS)
        end = time.monotonic() + 30
        while sum(writer.count for writer in writers) < wanted and time.monotonic() < end:
            time.sleep(0.0005)
        time.sleep(moments.uniform(0.0, 0.005))

    def test_kill_at_random_moments(self):
        seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**9))
        print(f"SEED={seed}", flush=True)
        moments = random.Random(seed)
        writers = [Writer(number, seed + number) for number in range(WRITERS)]
        newest, writes = 0, 0
        with Service("--log-level", "warn") as service:
            for kill in range(KILLS):
                threads = [threading.Thread(target=writer.run, args=(service,)) for writer in writers]
                for thread in threads:
                    thread.start()
                self.wait_for_writes(writers, moments)
                service.kill()
                for thread in threads:
                    thread.join()
                service.start()
                stored, version = self.read(service)
                self.assertGreaterEqual(version, newest, "versions never go back")
                newest = version
                for writer in writers:
                    if writer.failure:
                        raise AssertionError(f"kill {kill}, SEED={seed}") from writer.failure
                    writer.settle(stored)
            writes = sum(writer.count for writer in writers)
            self.assertEqual(service.stop(), 0)
        self.assertGreater(writes, KILLS * WRITERS, "the writers hardly wrote")


if __name__ == "__main__":
    unittest.main()
