"""The man pages: made from the tables of options, installed, and without a complaint of groff."""
import os
import re
import subprocess
import tempfile
import unittest

PROGRAM = os.environ.get("BGPPEERD", os.path.abspath("build/bgppeerd"))
AGENT = os.path.join(os.path.dirname(PROGRAM), "bgppeer-agent")


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def plain(manual):
    """What a reader sees of the source, without fonts and escapes."""
    return re.sub(r"\\f[BIR]|\\&", "", manual).replace("\\-", "-")


def sections(manual):
    """The options of each command."""
    return {part.split()[1]: part for part in re.split(r"(?m)^\.S[SH] ", manual) if part.startswith("bgppeerd ")}


class ManualTest(unittest.TestCase):
    def options_of(self, text):
        found = re.findall(r"(?m)^  (--[a-z-]+)", text)
        self.assertGreater(len(found), 0)
        return found

    def test_every_option_of_every_command(self):
        manual = plain(output(PROGRAM, "manual"))
        parts = sections(manual)
        commands = re.findall(r"(?m)^  (\w+) {2,}", output(PROGRAM, "help").split("Commands:")[1].split("Exit status")[0])
        commands = [name for name in commands if name not in ("help", "version")]
        self.assertEqual(sorted(commands), sorted(parts))
        self.assertIn("preview", commands)
        for command in commands:
            self.assertRegex(manual, rf"(?m)^{command}$")
            for option in self.options_of(output(PROGRAM, "help", command)):
                self.assertRegex(parts[command], rf"(?m)^{option}(\W|$)", command)
        for status in range(5):
            self.assertRegex(manual, rf"(?m)^\.TP\n{status}$")

    def test_every_option_of_the_agent(self):
        manual = plain(output(AGENT, "--manual"))
        for option in self.options_of(output(AGENT, "--help")):
            self.assertRegex(manual, rf"(?m)^{option}(\W|$)")

    def test_groff_has_no_complaints(self):
        for command in ((PROGRAM, "manual"), (AGENT, "--manual")):
            done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-P-c"], input=output(*command), capture_output=True, text=True, check=False,
                                  timeout=120, env={**os.environ, "LC_ALL": "C.UTF-8"})
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("--server", re.sub(".\x08", "", done.stdout))  # bold is printed twice

    def test_texts_that_look_like_requests(self):
        """A line never begins with a dot or a quote that the tables did not mean as a request."""
        for command in ((PROGRAM, "manual"), (AGENT, "--manual")):
            for line in output(*command).splitlines():
                if line[:1] in (".", "'"):
                    self.assertRegex(line, r"^\.(TH|SH|SS|TP|B|I|BR|RI|IR)( |$)")

    def test_they_are_installed(self):
        build = os.path.dirname(PROGRAM)
        with tempfile.TemporaryDirectory() as folder:
            text = output("make", "-n", "install", f"BUILD={build}", f"DESTDIR={folder}", "AUTO_DEPS=no")
        self.assertRegex(text, r"install -m 644 \S*/man/bgppeerd\.8 \S*/man/bgppeer-agent\.8 \S*/share/man/man8")


if __name__ == "__main__":
    unittest.main()
