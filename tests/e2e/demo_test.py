"""The demo comes up, what it says to look at can be looked at, and nothing of it is left afterwards.

tests/run: alone
tests/run: timeout 600
"""
import os
import re
import signal
import subprocess
import tempfile
import unittest

from lib import fleet, sandbox, wait

SECONDS = 300
REASON = sandbox.reason_against()


def children(pid):
    """All processes that this one has started, and theirs."""
    found = []
    for child in subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], stdout=subprocess.PIPE, text=True, check=False).stdout.split():
        found += [int(child), *children(child)]
    return found


@unittest.skipIf(REASON is not None, REASON or "")
class DemoTest(unittest.TestCase):
    def start(self):
        self.output = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.addCleanup(self.output.close)
        process = subprocess.Popen(["tests/e2e/demo"], stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT,
                                   env=dict(os.environ, BUILD=fleet.BUILD), start_new_session=True,
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.addCleanup(self.end, process)
        wait.until(lambda: "Ctrl-C ends" in self.text() or process.poll() is not None, lambda: f"the demo is up: {self.text()}", SECONDS)
        self.assertIsNone(process.poll(), self.text())
        return process

    def end(self, process):
        if process.poll() is None:
            process.kill()
        process.wait()

    def text(self):
        self.output.seek(0)
        return self.output.read()

    def paste(self, command):
        done = subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, env=dict(os.environ, BUILD=fleet.BUILD), timeout=SECONDS, check=False)
        return done.returncode, done.stdout

    def wait_gone(self, processes):
        wait.until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in processes), "all processes of the demo have ended")

    def test_what_it_says_to_look_at(self):
        process = self.start()
        commands = re.findall(r"^    (tests/e2e/enter (?:.*\\\n)?.*)$", self.text(), re.M)
        self.assertEqual(len(commands), 8)
        for command in commands:
            with self.subTest(command=command):
                status, output = self.paste(command)
                self.assertEqual(status, 0, output)
        _, output = self.paste("tests/e2e/enter rack1-host1 birdc show protocols")
        self.assertEqual(output.count("Established"), 3, output)
        self.assertEqual(self.paste("tests/e2e/enter nowhere true")[0], 1)
        running = children(process.pid)
        self.assertGreater(len(running), 20)
        os.killpg(process.pid, signal.SIGINT)
        self.assertEqual(process.wait(SECONDS), 0, self.text())
        self.wait_gone(running)
        status, output = self.paste("tests/e2e/enter rack1-host1 true")
        self.assertEqual((status, output), (1, "no demo is running: make demo\n"))

    def test_killed(self):
        """Without a chance to tidy up, nothing goes on."""
        process = self.start()
        running = children(process.pid)
        process.kill()
        process.wait()
        self.wait_gone(running)


if __name__ == "__main__":
    unittest.main()
