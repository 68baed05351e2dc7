"""tests/run counts what really happened: crashes, time-outs and programs without tests are failures."""
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

RUNNER = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "run"))

PASSES = """\
echo '[==========] selector: Running 3 test(s).'
echo '[ RUN      ] a'; echo '[       OK ] a'
echo '[ RUN      ] b'; echo '[       OK ] b'
echo '[ RUN      ] c'; echo '[  SKIPPED ] c'
echo '[  PASSED  ] 2 test(s).' >&2
"""
FAILS = """\
echo '[==========] Running 2 test(s).'
echo '[ RUN      ] a'; echo '[       OK ] a'
echo '[ RUN      ] b'; echo 'the reason is here' >&2; echo '[  FAILED  ] b'
echo '[  FAILED  ] b' >&2
exit 1
"""
CRASHES = """\
echo '[==========] Running 3 test(s).'
echo '[ RUN      ] a'; echo '[       OK ] a'
echo '[ RUN      ] b'
kill -SEGV $$
"""
PYTHON = """\
import unittest
class T(unittest.TestCase):
    def test_a(self): pass
    def test_b(self): self.fail("no")
    @unittest.skip("not today")
    def test_c(self): pass
    @unittest.expectedFailure
    def test_d(self): pass
if __name__ == "__main__":
    unittest.main()
"""


class RunnerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = folder.name
        os.makedirs(f"{self.tree}/tests")
        shutil.copy(RUNNER, f"{self.tree}/tests/run")

    def plant(self, name, script, comment=""):
        """A cmocka-like test program: a source and a script in the place of what it would compile to."""
        for path, text in ((f"tests/{name}.c", f"/* {comment} */\n"), (f"build/tests/{name}", f"#!/bin/sh\n{script}\n")):
            path = f"{self.tree}/{path}"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(path, 0o755)

    def plant_python(self, name, text):
        path = f"{self.tree}/tests/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def run_all(self, *words):
        done = subprocess.run([sys.executable, f"{self.tree}/tests/run", *words], capture_output=True, text=True,
                              check=False, timeout=60)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout

    def test_nothing_ran(self):
        status, out = self.run_all()
        self.assertEqual((status, out), (1, "0 passed, 0 failed, 0 skipped\n"))

    def test_success(self):
        self.plant("unit/selector_test", PASSES)
        status, out = self.run_all()
        self.assertEqual(status, 0, out)
        self.assertEqual(out.splitlines()[-1], "2 passed, 0 failed, 1 skipped")
        self.assertIn("unit/selector_test", out)
        self.assertNotIn("RUN", out)

    def test_failure_shows_the_output(self):
        self.plant("unit/selector_test", PASSES)
        self.plant("unit/ip_test", FAILS)
        status, out = self.run_all()
        self.assertEqual(status, 1)
        self.assertEqual(out.splitlines()[-1], "3 passed, 1 failed, 1 skipped")
        self.assertIn("Failed: unit/ip_test", out)
        self.assertIn("the reason is here", out)

    def test_a_crash_fails_all_cases_without_a_result(self):
        self.plant("unit/ip_test", CRASHES)
        status, out = self.run_all()
        self.assertEqual(status, 1)
        self.assertEqual(out.splitlines()[-1], "1 passed, 2 failed, 0 skipped")
        self.assertIn("killed by SIGSEGV", out)

    def test_an_exit_status_counts_even_when_all_cases_passed(self):
        self.plant("unit/leak_test", PASSES + "exit 23")
        status, out = self.run_all()
        self.assertEqual(status, 1)
        self.assertEqual(out.splitlines()[-1], "2 passed, 1 failed, 1 skipped")
        self.assertIn("exit status 23", out)

    def test_a_program_that_tests_nothing_fails(self):
        self.plant("unit/empty_test", "exit 0")
        status, out = self.run_all()
        self.assertEqual(status, 1)
        self.assertIn("ran no test", out)

    def test_python(self):
        self.plant_python("http/a_test.py", PYTHON)
        status, out = self.run_all()
        self.assertEqual(status, 1)
        self.assertEqual(out.splitlines()[-1], "1 passed, 2 failed, 1 skipped")
        self.assertIn("skipped: not today", out)

    def test_expected_failures_are_passes(self):
        self.plant_python("http/a_test.py", PYTHON.replace("def test_d(self): pass", "def test_d(self): self.fail()")
                          .replace('self.fail("no")', "pass"))
        status, out = self.run_all()
        self.assertEqual(status, 0, out)
        self.assertEqual(out.splitlines()[-1], "3 passed, 0 failed, 1 skipped")

    def test_python_that_does_not_load(self):
        self.plant_python("http/a_test.py", "import no_such_module_anywhere\n")
        status, out = self.run_all()
        self.assertEqual(status, 1)
        self.assertEqual(out.splitlines()[-1], "0 passed, 1 failed, 0 skipped")

    def test_counts_of_other_programs(self):
        self.plant("fuzz/yaml_fuzz", "echo noise; echo '17 passed, 0 failed, 0 skipped'")
        status, out = self.run_all()
        self.assertEqual(status, 0, out)
        self.assertEqual(out.splitlines()[-1], "17 passed, 0 failed, 0 skipped")

    def test_time_out(self):
        self.plant("unit/slow_test", "echo '[==========] Running 1 test(s).'\nsleep 60 & wait", "tests/run: timeout 1")
        started = time.monotonic()
        status, out = self.run_all()
        self.assertLess(time.monotonic() - started, 30)
        self.assertEqual(status, 1)
        self.assertIn("no end after 1 s", out)

    def test_what_a_test_leaves_running_is_ended(self):
        self.plant("unit/messy_test", PASSES + f"sleep 300 & echo $! >{self.tree}/left")
        self.run_all()
        with open(f"{self.tree}/left", encoding="utf-8") as file:
            left = file.read().strip()
        for _ in range(100):
            try:
                with open(f"/proc/{left}/stat", encoding="utf-8") as file:
                    if file.read().split()[2] == "Z":
                        return
            except FileNotFoundError:
                return
            time.sleep(0.05)
        self.fail(f"process {left} is still there")

    def test_words_choose(self):
        self.plant("unit/selector_test", PASSES)
        self.plant("unit/ip_test", FAILS)
        status, out = self.run_all("selector")
        self.assertEqual(status, 0, out)
        self.assertNotIn("ip_test", out)

    def test_end_to_end_tests_must_be_named(self):
        self.plant("unit/ip_test", PASSES)
        self.plant_python("e2e/daemons_test.py", PYTHON)
        for words, names in (((), ["unit/ip_test"]), (("daemons", "unit/"), ["unit/ip_test"]), (("e2e/",), ["e2e/daemons_test.py"]),
                             (("e2e/daemons", "ip_"), ["e2e/daemons_test.py", "unit/ip_test"])):
            _, out = self.run_all(*words)
            self.assertEqual(sorted(line.split()[0] for line in out.splitlines() if " s  " in line), names)

    def test_a_left_over_program_without_a_source_is_not_run(self):
        self.plant("unit/selector_test", PASSES)
        self.plant("unit/old_test", FAILS)
        os.remove(f"{self.tree}/tests/unit/old_test.c")
        status, _ = self.run_all()
        self.assertEqual(status, 0)

    def test_programs_that_want_to_be_alone_are(self):
        busy = f"mkdir {self.tree}/busy || exit 9; sleep 0.3; rmdir {self.tree}/busy\n"
        for name in ("one", "two", "three"):
            self.plant(f"unit/{name}_test", busy + PASSES, "tests/run: alone")
        status, out = self.run_all()
        self.assertEqual(status, 0, out)


class PackagesTest(unittest.TestCase):
    """.ci/packages, with stand-ins for apt-get and sudo."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.bin = folder.name
        self.log = f"{self.bin}/log"
        # Only what the script itself needs: everything else is missing.
        for tool in ("sh", "env", "touch", "chmod", "cat"):
            os.symlink(shutil.which(tool), f"{self.bin}/{tool}")
        self.stub("id", "echo 0")

    def stub(self, name, script):
        path = f"{self.bin}/{name}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{script}\n")
        os.chmod(path, 0o755)

    def ask(self, *pairs, **environment):
        return subprocess.run([".ci/packages", *pairs], env={"PATH": self.bin, **environment}, capture_output=True,
                              text=True, check=False, timeout=60)

    def calls(self):
        try:
            with open(self.log, encoding="utf-8") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def plant_apt(self, brings=()):
        made = "".join(f"touch {self.bin}/{name}; chmod +x {self.bin}/{name}\n" for name in brings)
        self.stub("apt-get", f'echo "$*" >>{self.log}\ncase "$*" in *install*)\n{made}:;; esac')

    def test_nothing_is_missing(self):
        self.plant_apt()
        self.stub("gcc", "")
        done = self.ask("gcc=gcc", f"libc6-dev=file:{self.bin}/sh")
        self.assertEqual((done.returncode, done.stdout + done.stderr, self.calls()), (0, "", []))

    def test_missing_ones_are_installed_and_named(self):
        self.plant_apt(["gcc", "curl"])
        done = self.ask("gcc=gcc", "curl=curl", "dash=sh")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr.strip(), "Missing: gcc curl. Installing them with apt-get.")
        self.assertEqual([call.split()[-1] for call in self.calls()], ["update", "curl"])
        self.assertIn("install --no-install-recommends -y gcc curl", self.calls()[1])

    def test_an_install_that_brings_nothing_fails(self):
        self.plant_apt()
        done = self.ask("gcc=gcc")
        self.assertEqual(done.returncode, 1)
        self.assertIn("still fails", done.stderr)

    def test_auto_deps_no_prints_the_line(self):
        self.plant_apt(["gcc"])
        done = self.ask("gcc=gcc", "libjansson-dev=pc:jansson", AUTO_DEPS="no")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.calls(), [])
        self.assertIn("\n    apt-get update && apt-get install --no-install-recommends -y gcc libjansson-dev\n", done.stderr)

    def test_without_root_and_sudo_the_line_is_printed_with_sudo(self):
        self.plant_apt(["gcc"])
        self.stub("id", "echo 1000")
        self.stub("sudo", "exit 1")
        done = self.ask("gcc=gcc")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.calls(), [])
        self.assertIn("    sudo apt-get update && sudo apt-get install --no-install-recommends -y gcc\n", done.stderr)

    def test_sudo_without_a_password_is_used(self):
        self.plant_apt(["gcc"])
        self.stub("id", "echo 1000")
        self.stub("sudo", f'echo "sudo $*" >>{self.log}; [ "$1" = -n ] && shift; "$@"')
        self.stub("true", "exit 0")
        done = self.ask("gcc=gcc")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(any(call.startswith("sudo env") for call in self.calls()), self.calls())


if __name__ == "__main__":
    unittest.main()
