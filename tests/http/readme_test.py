"""The documents' console sessions, run as written against a fresh service, print what the documents say.

Conventions for README.md, and for the other documents, whose readers have done README.md's quick start:
  * Every block that opens with ```console is run, all of them in order in one shell, in the repository's
    top directory, against one fresh service. Blocks that must not be run (`make run`, an installation)
    open with ```sh.
  * A line that begins with "$ " is a command; lines after it that begin with "> " continue it. All
    lines up to the next command, or the end of the block, are its output: standard output and error.
  * "…" stands for anything within a line (uids, timestamps, resourceVersions). A line of nothing but "…"
    stands for any number of lines.
  * http://127.0.0.1:8080 is replaced by the address of the test's service, build/bgppeerd by the program
    under test, and data/ and "--data-dir data" by its data directory; nothing else is changed.
"""
import os
import re
import subprocess
import unittest

from service import PROGRAM, Service

README = "README.md"
QUICK_START = "## Quick start"
OTHERS = ("api/README.md", "service/OPERATIONS.md", "service/README.md", "service/NEWS.md", "tests/README.md", "tests/bench/README.md")
ADDRESS = "127.0.0.1:8080"
MARK = "--- end of command, status"


def console_blocks(text):
    return re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S)


def parse_block(block):
    """[(command, expected output lines)] of one block."""
    steps = []
    for line in block.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], []))
        elif not steps:
            raise ValueError(f"output before the first command: {line}")
        elif line.startswith("> ") and not steps[-1][1]:
            steps[-1] = (steps[-1][0] + "\n" + line[2:], [])
        else:
            steps[-1][1].append(line)
    return steps


def pattern_of(lines):
    """A regular expression for the expected lines."""
    parts = []
    for line in lines:
        if line.strip() == "…":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append("[^\n]*?".join(re.escape(piece) for piece in line.split("…")) + r"\n")
    return "".join(parts)


def run_session(commands):
    """Run the commands in one shell; each one's (output, status)."""
    script = "".join(f"{command}\nprintf '\\n{MARK} %s\\n' $?\n" for command in commands)
    done = subprocess.run(["bash", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, timeout=100)
    pieces = re.split(rf"\n{re.escape(MARK)} (\d+)\n", done.stdout)
    return [(pieces[i], int(pieces[i + 1])) for i in range(0, len(pieces) - 1, 2)]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def steps_of(text):
    return [step for block in console_blocks(text) for step in parse_block(block)]


class ReadmeTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.text = read(README)
        self.steps = steps_of(self.text)

    def test_every_command_prints_what_the_readme_says(self):
        self.run_steps(self.steps)

    def test_every_command_of_the_other_documents_does(self):
        """After those of the quick start, whose output is not looked at again."""
        quick = steps_of(self.text[self.text.index(QUICK_START):].split("\n## ")[0])
        for path in OTHERS:
            steps = steps_of(read(path))
            if steps:
                with self.subTest(document=path):
                    self.run_steps([(command, ["…"]) for command, _ in quick] + steps)

    def run_steps(self, steps):
        service = Service(auth=True)
        self.addCleanup(service.close)
        service.start()

        def localize(text):
            text = text.replace(ADDRESS, f"127.0.0.1:{service.port}").replace("build/bgppeerd", PROGRAM)
            return text.replace("data/", service.data + "/").replace("--data-dir data", f"--data-dir {service.data}")

        results = run_session([localize(command) for command, _ in steps])
        self.assertEqual(len(results), len(steps), "the shell ended early")
        for (command, expected), (output, _) in zip(steps, results):
            with self.subTest(command=command):
                # A final newline is not visible in a README: both sides get exactly one.
                lines = [localize(line).rstrip() for line in expected]
                actual = "".join(line.rstrip() + "\n" for line in output.rstrip("\n").splitlines())
                if not re.fullmatch(pattern_of(lines), actual):
                    self.assertEqual("\n".join(lines) + "\n", actual, f"$ {command}")

    def test_the_quick_start_shows_the_main_job(self):
        commands = [command for command, _ in self.steps]
        self.assertGreaterEqual(len(commands), 3)
        self.assertTrue(any("api/examples" in command for command in commands), "the examples are not used")
        outputs = [line for command, lines in self.steps if "rack1-host1/peerings" in command for line in lines]
        self.assertTrue(any("63400" in line for line in outputs), "rack1-host1's list is not shown")
        self.assertTrue(any("304" in line for line in outputs), "no poll is answered 304")

    def test_both_commands_are_there(self):
        for command in ("make run", "make test"):
            self.assertIn(command, self.text)

    def test_every_flag_and_variable_is_there(self):
        help_text = subprocess.run([PROGRAM, "help", "serve"], stdout=subprocess.PIPE, text=True, check=True).stdout
        flags = re.findall(r"^  (--[a-z-]+)", help_text, re.M)
        variables = re.findall(r"Environment: (BGPPEERD_[A-Z_]+)", help_text)
        self.assertGreater(len(flags), 10)
        self.assertEqual(len(flags), len(variables))
        for flag, variable in zip(flags, variables):
            self.assertRegex(read("service/OPERATIONS.md"), rf"\| `{flag}[ `].*`{variable}`")

    def test_links_lead_somewhere(self):
        for path in (README, *OTHERS):
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(path)):
                self.assertTrue(os.path.exists(os.path.join(os.path.dirname(path), target)), f"{path} links to {target}")

    def test_the_readme_is_short(self):
        self.assertLessEqual(len(self.text.splitlines()), 250)
        for path in OTHERS:
            if path.count("/") == 1 and not path.endswith("NEWS.md"):
                self.assertIn(f"]({path})", self.text)


class ConventionsTest(unittest.TestCase):
    """The test's own reading of the conventions."""

    def test_parsing(self):
        text = "x\n```console\n$ a \\\n> b\nout\n$ c\n```\n```sh\n$ no\n```\n"
        self.assertEqual([parse_block(block) for block in console_blocks(text)], [[("a \\\nb", ["out"]), ("c", [])]])

    def test_matching(self):
        def matches(lines, text):
            return re.fullmatch(pattern_of(lines), text) is not None
        self.assertTrue(matches(['{"uid": "…"}'], '{"uid": "abc"}\n'))
        self.assertFalse(matches(['{"uid": "…"}'], '{"uid": "abc"\n}\n'))
        self.assertTrue(matches(["a", "…", "b"], "a\n1\n2\nb\n"))
        self.assertTrue(matches(["a", "…", "b"], "a\nb\n"))
        self.assertFalse(matches(["a", "b"], "a\nb\nc\n"))
        self.assertFalse(matches(["a.c"], "abc\n"))
        self.assertTrue(matches([], ""))

    def test_running(self):
        self.assertEqual(run_session(["x=5", "echo $x; echo e >&2", "false", "printf a"]),
                         [("", 0), ("5\ne\n", 0), ("", 1), ("a", 0)])


if __name__ == "__main__":
    unittest.main()
