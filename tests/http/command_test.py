"""The command line's rough edges: slips, operands, files that are closed or full, settings nobody has."""
import json
import os
import re
import resource
import subprocess
import tempfile
import unittest

from process_test import run
from service import PROGRAM, Service


class SlipTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.data = os.path.join(self.folder.name, "data")

    def refused(self, *arguments, status=2, **more):
        done = run(*arguments, **more)
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, "one sentence: " + done.stderr)
        return done.stderr

    def test_what_was_meant_is_suggested(self):
        for arguments, words in ((("serve", "--lisen", "127.0.0.1:0"), "--lisen; did you mean --listen;"), (("serve", "--lisen=x"), "did you mean --listen;"),
                                 (("serve", "-listen", "x"), "-listen; did you mean --listen;"), (("serve", "--datadir", "x"), "did you mean --data-dir;"),
                                 (("token", "create", "--rol", "admin"), "did you mean --role;"), (("srve",), 'did you mean "serve"'),
                                 (("help", "tokne"), 'did you mean "token"')):
            self.assertIn(words, self.refused(*arguments))
        for arguments in (("serve", "--nonsense"), ("frobnicate",), ("serve", "-x")):
            self.assertNotIn("did you mean", self.refused(*arguments))

    def test_an_option_is_no_value(self):
        done = subprocess.run([os.path.abspath(PROGRAM), "serve", "--listen", "127.0.0.1:0", "--data-dir", "--no-auth"], capture_output=True, text=True,
                              cwd=self.folder.name, timeout=20, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("--data-dir needs a value", done.stderr)
        self.assertIn("--data-dir=--no-auth", done.stderr)
        self.assertEqual(os.listdir(self.folder.name), [])
        # What only looks like one is taken.
        self.assertIn("/nowhere", self.refused("token", "create", "--role", "viewer", "--description", "--x", "--data-dir", "/nowhere", status=1))

    def test_version_and_too_much(self):
        self.assertEqual(run("serve", "--version").stdout, run("version").stdout)
        for arguments in (("version", "x"), ("--version", "x"), ("help", "serve", "x")):
            self.assertIn('"x" is one too many', self.refused(*arguments))

    def test_one_address_twice(self):
        for pair in (("127.0.0.1:8080", "127.0.0.1:8080"), ("[::1]:8080", "http://[0::1]:8080"), ("127.0.0.1:8080", "127.0.0.1:08080")):
            words = self.refused("serve", "--no-auth", "--data-dir", self.data, "--listen", pair[0], "--listen", pair[1])
            self.assertIn(f"--listen {pair[1]} names the same address as --listen {pair[0]}", words)
        self.assertFalse(os.path.exists(self.data), "nothing was touched")

    def test_lists_in_variables_are_read_whole(self):
        """What stands behind a space is not left out."""
        words = self.refused("serve", "--no-auth", "--data-dir", self.data, environment={"BGPPEERD_LISTEN": "127.0.0.1:0 127.0.0.2:0"})
        self.assertIn("127.0.0.1:0 127.0.0.2:0", words)
        self.assertIn("127.0.0.1:x", self.refused("serve", "--no-auth", "--data-dir", self.data,
                                                  environment={"BGPPEERD_LISTEN": " 127.0.0.2:0 ,  127.0.0.1:x  "}))

    def test_namespaces(self):
        for name in ("Default", "a b", "-a", "a" * 64, "a/b", "a.b"):
            self.assertIn("--secret-namespace", self.refused("serve", "--data-dir", self.data, "--secret-namespace", name))
        self.assertFalse(os.path.exists(self.data), "nothing was touched")

    def test_options_of_another_action(self):
        for arguments in (("list", "--role", "viewer"), ("revoke", "0123456789abcdef", "--node", "n"), ("list", "--expires", "1d"),
                          ("list", "--description=x")):
            self.assertIn("belongs to token create", self.refused("token", *arguments))

    def test_a_mistyped_directory_stays_missing(self):
        """… whatever is to be done with it: a token made there would open nothing."""
        for arguments in (("token", "list"), ("token", "create", "--role", "admin"), ("token", "revoke", "0123456789abcdef"), ("vault", "status"),
                          ("backup", os.path.join(self.folder.name, "b"))):
            words = self.refused(*arguments, "--data-dir", self.data, status=1)
            self.assertIn(f"no database in {self.data}", words)
            self.assertFalse(os.path.exists(self.data), arguments)

    def test_data_directories_that_are_none(self):
        file = os.path.join(self.folder.name, "file")
        with open(file, "w", encoding="ascii"):
            pass
        for path, words in ((file, "is not a directory"), (file + "/below", "Not a directory"), ("", "--data-dir")):
            done = run("serve", "--no-auth", "--listen", "127.0.0.1:0", "--data-dir", path)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(words, done.stderr)


class OperandTest(unittest.TestCase):
    """A file or an id may stand before or behind the options."""

    def test_backup_and_revoke(self):
        with Service(auth=True) as service:
            first, second = (os.path.join(service.folder, name) for name in ("first", "second"))
            for arguments in (("backup", first, "--data-dir", service.data), ("backup", "--data-dir", service.data, second)):
                done = run(*arguments)
                self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue(os.path.exists(first) and os.path.exists(second))
            done = run("backup", first, "--data-dir", service.data, second)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f'"{second}" is one too many', done.stderr)
            for order in (lambda identity, options: (identity, *options), lambda identity, options: (*options, identity)):
                token = run("token", "create", "--role", "viewer", "--data-dir", service.data).stdout
                done = run("token", "revoke", *order(token[4:20], ("--data-dir", service.data)))
                self.assertEqual(done.returncode, 0, done.stderr)
        for arguments in (("backup",), ("backup", ""), ("restore", "--data-dir", "x"), ("token", "list", "x"), ("token", "revoke", "--data-dir", "x"),
                          ("backup", "-"), ("backup", "--")):
            done = run(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)

    def test_a_service_that_does_not_say_where_it_listens(self):
        with Service(auth=True) as service:
            service.wait_for_log("event=ready")  # which is written behind the file
            os.remove(os.path.join(service.data, "listen"))
            for arguments in (("token", "list"), ("vault", "status"), ("backup", os.path.join(service.folder, "b"))):
                done = run(*arguments, "--data-dir", service.data)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn("may be starting", done.stderr)


class OutputTest(unittest.TestCase):
    def test_output_that_is_lost_is_a_failure(self):
        commands = [("help",), ("version",), ("help", "serve"), ("token", "--help")]
        with Service(auth=True) as service, open("/dev/full", "w", encoding="ascii") as full:
            commands += [("token", "list", "--data-dir", service.data), ("vault", "status", "--data-dir", service.data)]
            for command in commands:
                done = subprocess.run([PROGRAM, *command], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
                self.assertEqual(done.returncode, 1, command)
                self.assertIn("standard output: No space left", done.stderr)
        closed = subprocess.run(["sh", "-c", f"exec '{PROGRAM}' version >&-"], stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        self.assertEqual(closed.returncode, 1)
        self.assertIn("standard output", closed.stderr)

    def test_closed_files_are_not_replaced_by_ours(self):
        """A log line written into whatever got number 2 would be seen by a client, or be in a file of the data directory."""
        for closed in ("2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-", "0<&- 2>&-"):
            with self.subTest(closed=closed), tempfile.TemporaryDirectory() as folder:
                starter = os.path.join(folder, "starter")
                with open(starter, "w", encoding="ascii") as file:
                    file.write(f"#!/bin/sh\nexec '{PROGRAM}' \"$@\" {closed}\n")
                os.chmod(starter, 0o700)
                service = Service("--log-level", "debug", "--threads", "1")
                self.addCleanup(service.close)
                service.program = starter
                service.start()
                for _ in range(5):
                    answer = service.request("GET", "/livez")
                    self.assertEqual((answer.status, answer.body), (200, b"ok\n"))
                pid = service.process.pid
                self.assertEqual(service.stop(), 0)
                for name in os.listdir(service.data):
                    with open(os.path.join(service.data, name), "rb") as file:
                        content = file.read()
                    self.assertNotIn(b"event=", content, name)
                    if name == "lock":
                        self.assertEqual(content.strip(), str(pid).encode())


class LogTest(unittest.TestCase):
    def log_of(self, *arguments, environment=None, limit=None):
        """The log of a service that was started with these, and ended."""
        with tempfile.TemporaryDirectory() as folder:
            process = subprocess.Popen([PROGRAM, "serve", "--no-auth", "--listen", "127.0.0.1:0", "--data-dir", os.path.join(folder, "d"), *arguments],
                                       stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}, preexec_fn=limit)
            lines = []
            try:
                while not lines or "ready" not in lines[-1]:
                    lines.append(process.stderr.readline())
                    self.assertNotEqual(lines[-1], "", lines)
            finally:
                process.terminate()
                lines.append(process.communicate(timeout=60)[1])
            self.assertEqual(process.returncode, 0)
            return "".join(lines)

    def test_variables_that_nobody_has(self):
        log = self.log_of(environment={"BGPPEERD_LISTN": "secret-value", "BGPPEERD_QQQQ": "x", "BGPPEERD_ROLE": "viewer", "BGPPEERD_DAYS": "3",
                                       "BGPPEERD_LOG_LEVEL": "info"})
        warned = re.findall(r"level=warn event=unknown-variable name=(\S+) text=\"([^\"]*)\"", log)
        self.assertEqual(sorted(warned), [("BGPPEERD_LISTN", "no setting has this variable; is it meant for --listen?"),
                                          ("BGPPEERD_QQQQ", "no setting has this variable")])
        self.assertNotIn("secret-value", log)

    def test_too_few_open_files(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (500, 500))

        self.assertRegex(self.log_of(limit=limit), "level=warn event=open-files-limit limit=500 wanted=16448 ")
        self.assertNotIn("open-files-limit", self.log_of("--max-connections", "400", limit=limit))

    def test_a_directory_that_everybody_can_write(self):
        with tempfile.TemporaryDirectory() as folder:
            for mode, warned in ((0o777, True), (0o1777, True), (0o770, False)):
                os.chmod(folder, mode)
                log = self.log_of("--data-dir", folder)
                self.assertEqual("level=warn event=data-dir " in log, warned, log)

    def test_a_failure_is_a_line_of_the_log_format(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, 'odd "name"\n\u2028\x7f\udcff')
            with open(file, "w", encoding="ascii"):
                pass
            for log_format in ("json", "text"):
                done = subprocess.run([PROGRAM, "serve", "--no-auth", "--listen", "127.0.0.1:0", "--data-dir", file, "--log-format", log_format],
                                      capture_output=True, timeout=60, check=False)
                self.assertEqual(done.returncode, 1)
                last = done.stderr.splitlines()[-1]
                if log_format == "json":
                    event = json.loads(last)
                    self.assertEqual((event["level"], event["event"]), ("error", "failed"))
                    self.assertIn('odd "name"\n', event["error"])
                    for line in done.stderr.splitlines():
                        json.loads(line)
                else:
                    self.assertIn(b"bgppeerd: ", done.stderr)


if __name__ == "__main__":
    unittest.main()
