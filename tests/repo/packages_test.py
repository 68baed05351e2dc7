"""Installing packages starts none of their services: .ci/without-services says no while it runs, and tidies up."""
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import unittest

SCRIPT = os.path.abspath(".ci/without-services")
SECONDS = 60
INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class WithoutServicesTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="bgppeerd-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.policy = os.path.join(self.folder, "policy-rc.d")
        self.units = os.path.join(self.folder, "units")
        self.commands = os.path.join(self.folder, "bin")
        for path in (self.units, self.commands):
            os.mkdir(path)
        self.environment = dict(os.environ, POLICY_RC_D=self.policy, UNIT_DIR=self.units,
                                PATH=f"{self.commands}:{os.environ['PATH']}")

    def write(self, path, text, mode=0o755):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)

    def run_script(self, *command):
        return subprocess.run([SCRIPT, *command], env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              text=True, timeout=SECONDS, check=False)

    def ask_policy(self):
        return subprocess.run([self.policy, "bird", "start"], timeout=SECONDS, check=False).returncode

    def start_waiting(self):
        """The script with a command that has begun and ends when its standard input does."""
        # Who runs tests in the background, or beyond a logout, may have us ignore these; a shell cannot trap what it ignores.
        def heed():
            for number in INTERRUPTIONS:
                signal.signal(number, signal.SIG_DFL)

        process = subprocess.Popen([SCRIPT, "sh", "-c", "echo begun; cat"], env=self.environment, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True, start_new_session=True,
                                   preexec_fn=heed)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stdin.close)
        self.assertEqual(process.stdout.readline(), "begun\n")
        return process

    def test_says_no_meanwhile_and_is_gone_afterwards(self):
        self.assertEqual(self.run_script("sh", "-c", f"{self.policy} bird start; echo $?").stdout, "101\n")
        self.assertEqual(sorted(os.listdir(self.folder)), ["bin", "units"])

    def test_the_command_decides_the_status(self):
        self.assertEqual(self.run_script("sh", "-c", "exit 7").returncode, 7)
        self.assertFalse(os.path.exists(self.policy))

    def test_what_was_there_before_comes_back(self):
        self.write(self.policy, "#!/bin/sh\nexit 42\n", 0o700)
        self.assertEqual(self.run_script("sh", "-c", f"{self.policy} bird start; echo $?").stdout, "101\n")
        self.assertEqual(self.ask_policy(), 42)
        self.assertEqual(stat.S_IMODE(os.stat(self.policy).st_mode), 0o700)

    def test_interrupted(self):
        for signal_number in INTERRUPTIONS:
            with self.subTest(signal=signal_number):
                self.write(self.policy, "#!/bin/sh\nexit 42\n")
                process = self.start_waiting()
                self.assertEqual(self.ask_policy(), 101)
                # Ctrl-C reaches the command as well: that is a signal for the whole group.
                os.killpg(process.pid, signal_number)
                self.assertNotEqual(process.wait(SECONDS), 0)
                self.assertEqual(self.ask_policy(), 42)

    def test_killed(self):
        self.write(self.policy, "#!/bin/sh\nexit 42\n")
        process = self.start_waiting()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(SECONDS)
        self.assertEqual(self.ask_policy(), 42, "what a killed run leaves behind forbids services")
        self.assertEqual(self.run_script("true").returncode, 0)
        self.assertEqual(self.ask_policy(), 42)
        with open(self.policy, encoding="utf-8") as file:
            self.assertEqual(file.read(), "#!/bin/sh\nexit 42\n")

    def test_new_units_are_disabled_and_old_ones_left_alone(self):
        self.write(os.path.join(self.units, "old.service"), "", 0o644)
        calls = os.path.join(self.folder, "calls")
        self.write(os.path.join(self.commands, "systemctl"), f'#!/bin/sh\necho "$@" >>{calls}\n')
        self.assertEqual(self.run_script("touch", os.path.join(self.units, "new.service")).returncode, 0)
        with open(calls, encoding="utf-8") as file:
            self.assertEqual(file.read(), "disable --quiet new.service\n")


if __name__ == "__main__":
    unittest.main()
