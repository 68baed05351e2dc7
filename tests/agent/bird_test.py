#!/usr/bin/env python3
"""The agent between a service and a BIRD that do what they are told, for everything that can go wrong between them.

tests/run: timeout 400
"""
import json
import os
import re
import stat
import time
import unittest

from fakes import NODE, Agent, Host, bird_text, reply, wait_until

ONE = {"192.0.2.10": None}
TWO = {"192.0.2.10": None, "192.0.2.20": None}


def is_root():
    return os.geteuid() == 0


class BirdTest(unittest.TestCase):
    def setUp(self):
        self.host = Host("--confirm-seconds", "1")
        self.addCleanup(self.host.close)
        self.service, self.bird, self.agent = self.host.service, self.host.bird, self.host.agent

    def begin(self, text=None):
        """Everything runs, and the first list is applied."""
        self.service.set(text or bird_text(ONE))
        self.bird.start()
        self.agent.start()
        self.agent.wait_applied(1)

    def test_a_list_reaches_the_daemon(self):
        self.begin()
        self.assertEqual(self.agent.installed(), bird_text(ONE))
        self.assertEqual(self.bird.running, bird_text(ONE))
        changes = [command for command in self.bird.commands if command.startswith("configure")]
        self.assertEqual(changes, [f'configure check "{self.agent.config}.new"', "configure timeout 16", "configure confirm"])
        mode = os.stat(self.agent.config).st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o640)
        self.assertEqual([name for name in os.listdir(self.host.folder) if name.endswith(".new")], [])
        method, path, headers, _ = self.service.polls()[0]
        self.assertEqual(path, f"/apis/projectcalico.org/v3/nodes/{NODE}/peerings?format=bird2&wait=30s")
        self.assertNotIn("If-None-Match", headers)
        self.assertNotIn("Bgppeerd-Min-Revision", headers)
        wait_until(lambda: len(self.service.polls()) > 1, "the next poll")
        self.assertEqual(self.service.polls()[1][2]["If-None-Match"], self.service.etag)
        self.service.set(bird_text(TWO, revision=2))
        self.agent.wait_applied(2)
        wait_until(lambda: len(self.service.polls()) > 2, "the next poll")
        wait_until(lambda: self.service.polls()[-1][2].get("Bgppeerd-Min-Revision") in ("1", "2"), "a poll with the highest revision")
        with open(os.path.join(self.agent.state, "previous"), encoding="utf-8") as file:
            self.assertEqual(file.read(), bird_text(ONE))

    def test_a_restart_asks_for_news_only(self):
        self.begin()
        etag = self.service.etag
        status, _ = self.agent.stop()
        self.assertEqual(status, 0)
        before, commands = len(self.service.polls()), len(self.bird.commands)
        self.agent.start()
        wait_until(lambda: len(self.service.polls()) > before, "a poll")
        headers = self.service.polls()[before][2]
        self.assertEqual((headers["If-None-Match"], headers["Bgppeerd-Min-Revision"]), (etag, "1"))
        self.service.set(bird_text(TWO, revision=2))
        self.agent.wait_applied(2)
        self.assertEqual([command for command in self.bird.commands[commands:] if command == "configure timeout 16"], ["configure timeout 16"])

    def test_a_file_that_somebody_changed_is_written_again(self):
        self.begin()
        self.agent.stop()
        with open(self.agent.config, "a", encoding="utf-8") as file:
            file.write("# by hand\n")
        self.agent.start()
        self.agent.wait_for_log("event=applied", 2)
        self.assertEqual(self.agent.installed(), bird_text(ONE))

    def test_what_was_there_before_is_kept(self):
        with open(self.agent.config, "w", encoding="utf-8") as file:
            file.write("# the host's own\n")
        self.begin()
        self.service.set(bird_text(TWO, revision=2))
        self.agent.wait_applied(2)
        with open(os.path.join(self.agent.state, "original"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "# the host's own\n")
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.agent.state, "original")).st_mode), 0o600)

    def test_a_link_is_followed_and_stays(self):
        real = os.path.join(self.host.folder, "real.conf")
        with open(real, "w", encoding="utf-8") as file:
            file.write("\n")
        os.symlink(real, self.agent.config)
        self.begin()
        self.assertTrue(os.path.islink(self.agent.config))
        with open(real, encoding="utf-8") as file:
            self.assertEqual(file.read(), bird_text(ONE))

    def test_a_refused_configuration_changes_nothing(self):
        self.begin()
        self.bird.refuse = "/etc/bird/bird.conf:7:3 syntax error"
        self.service.set(bird_text(TWO, revision=2))
        self.agent.wait_for_log("event=change-refused")
        self.assertIn("bird.conf:7:3 syntax error", self.agent.log())
        self.assertEqual(self.agent.installed(), bird_text(ONE))
        self.assertEqual(self.bird.running, bird_text(ONE))
        self.wait_for_report(lambda report: "7:3 syntax error" in report["applyError"] and report["list"] == "list1")
        # The next list is tried, and clears the failure.
        self.bird.refuse = None
        self.service.set(bird_text(TWO, revision=3))
        self.agent.wait_applied(3)
        self.wait_for_report(lambda report: report["applyError"] == "" and report["list"] == "list3")

    def test_a_refusal_that_passes_is_tried_again(self):
        """The host's own file in local.d was broken, say."""
        self.begin()
        self.bird.refuse = "/etc/bird/local.d/x.conf:1:1 syntax error"
        self.service.set(bird_text(TWO, revision=2))
        self.agent.wait_for_log("event=change-refused")
        self.bird.refuse = None
        self.agent.wait_applied(2)

    def test_an_untouched_session_that_falls_takes_the_change_back(self):
        self.begin(bird_text(TWO))
        changed = bird_text({"192.0.2.10": {"line": "hold time 9;"}, "192.0.2.20": None}, revision=2)
        self.bird.down_after[changed] = {"192.0.2.20"}
        self.service.set(changed)
        self.agent.wait_for_log("event=change-undone")
        self.assertIn("192.0.2.20, which has not changed, went down", self.agent.log())
        self.assertEqual(self.agent.installed(), bird_text(TWO))
        self.assertEqual(self.bird.running, bird_text(TWO))
        changes = [command for command in self.bird.commands if command.startswith("configure") and "check" not in command]
        self.assertEqual(changes, ["configure timeout 16", "configure confirm", "configure timeout 16", "configure"])
        self.service.set(bird_text(ONE, revision=3))
        self.agent.wait_applied(3)

    def test_a_changed_session_may_fall(self):
        self.begin(bird_text(TWO))
        changed = bird_text({"192.0.2.10": {"line": "hold time 9;"}, "192.0.2.20": None}, revision=2)
        self.bird.down_after[changed] = {"192.0.2.10"}
        self.service.set(changed)
        self.agent.wait_applied(2)
        self.assertEqual(self.agent.installed(), changed)

    def test_a_changed_router_id_may_fell_all(self):
        self.begin(bird_text(TWO))
        changed = bird_text(TWO, revision=2, head="router id 192.0.2.2;")
        self.bird.down_after[changed] = set(TWO)
        self.service.set(changed)
        self.agent.wait_applied(2)

    def test_a_daemon_that_does_not_read_the_file(self):
        self.begin()
        self.bird.read_config = lambda: bird_text(ONE)
        self.service.set(bird_text(TWO, revision=2))
        self.agent.wait_for_log("event=change-undone")
        self.assertIn("does not have the session with 192.0.2.20", self.agent.log())
        self.assertEqual(self.agent.installed(), bird_text(ONE))

    def test_a_daemon_that_needs_time(self):
        self.begin()
        self.bird.busy = 5
        self.service.set(bird_text(TWO, revision=2))
        self.agent.wait_applied(2)
        self.assertEqual(self.bird.busy, 0)

    def test_answers_in_small_pieces(self):
        self.bird.piece = 3
        self.begin()
        self.wait_for_report(lambda report: [session["state"] for session in report["sessions"]] == ["Established"])

    # ---- daemons that do not answer ----

    def test_a_hung_daemon_holds_up_nothing(self):
        self.begin()
        self.bird.hang = True
        polls = len(self.service.polls())
        for revision in range(2, 6):
            self.service.set(bird_text(TWO, revision=revision))
            wait_until(lambda count=polls + revision - 1: len(self.service.polls()) >= count, "polls that go on")
        status, seconds = self.agent.stop()
        self.assertEqual(status, 0)
        self.assertLess(seconds, 5)  # it is told to be within one; the machine may be busy
        self.assertEqual(self.agent.installed(), bird_text(ONE))

    def test_a_daemon_that_hangs_in_the_middle(self):
        self.begin()
        self.bird.silent_after_hello = True
        self.service.set(bird_text(TWO, revision=2))
        self.agent.wait_for_log("event=change-refused")
        self.assertIn("does not answer", self.agent.log())
        self.assertEqual(self.agent.installed(), bird_text(ONE))
        self.bird.silent_after_hello = False
        self.agent.wait_applied(2)

    def test_what_is_not_bird(self):
        self.begin()
        for garbage in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 5000, b"x" * 20000, b"9" * 30 + b"\n", b"8001 no\n", b"0001-never\n" * 10):
            with self.subTest(garbage=garbage[:20]):
                self.bird.garbage = garbage
                failures = self.agent.log().count("event=change-refused")
                revision = 100 + len(garbage)
                self.service.set(bird_text(TWO, revision=revision))
                if b"never" not in garbage:
                    self.agent.wait_for_log("event=change-refused", failures)  # the same text is logged once
                self.bird.garbage = None
                self.agent.wait_applied(revision)
                self.service.set(bird_text(ONE, revision=revision + 1))
                self.agent.wait_applied(revision + 1)

    @unittest.skipUnless(os.path.exists("/usr/sbin/bird"), "bird is not installed")
    def test_a_daemon_that_is_away_finds_the_file(self):
        text = "# bgppeerd node=rack1-host1 resourceVersion=1 etag=list1 format=bird2 renderer=1\nrouter id 192.0.2.1;\nprotocol device 'device1' { }\n"
        self.service.set(text)
        self.agent.start()
        self.agent.wait_for_log("event=daemon-away")
        self.assertEqual(self.agent.installed(), text)
        self.bird.start()
        self.agent.wait_applied(1)
        # And a broken one is refused by bird -p.
        self.bird.stop()
        self.service.set(text.replace("device1'", "device1").replace("resourceVersion=1", "resourceVersion=2"))
        self.agent.wait_for_log("event=change-refused")
        self.assertEqual(self.agent.installed(), text)

    # ---- what the service may do ----

    def test_answers_that_are_no_configuration(self):
        """HTML from a proxy, another node's, another format's, nothing, a NUL, cut off, without ETag: nothing is installed."""
        self.begin()
        for number, body in enumerate((b"<html>log in</html>", bird_text(ONE, node="other").encode(), bird_text(ONE).replace("bird2", "frr").encode(), b"",
                                       bird_text(TWO).encode() + b"\0", bird_text({"not-an-address": None}).encode())):
            with self.subTest(body=body[:40]):
                done = len(self.service.answers)
                self.service.answers.append(lambda handler, body=body, number=number: reply(handler, 200, {"ETag": f'"bad{number}"'}, body))
                self.service.set(bird_text(ONE), etag=f'"again{number}"')  # ends the poll that waits
                wait_until(lambda done=done: len(self.service.answers) <= done, "the answer")
        self.service.answers.append(lambda handler: reply(handler, 200, {}, bird_text(TWO).encode()))
        self.service.set(bird_text(ONE), etag='"again"')
        wait_until(lambda: not self.service.answers, "the answer")
        self.service.set(bird_text(TWO, revision=9))
        self.agent.wait_applied(9)
        self.assertNotIn("html", self.agent.installed())
        self.assertEqual({command for command in self.bird.commands if command.startswith("configure check")}, {f'configure check "{self.agent.config}.new"'})

    def test_errors_are_survived(self):
        self.begin()
        for status in (400, 401, 403, 404, 406, 429, 500, 502, 503, 504):
            self.service.answers.append(lambda handler, status=status: reply(
                handler, status, {"Retry-After": "0"}, b'{"kind":"Status","message":"no \\"reason\\""}'))
        self.service.answers.append(lambda handler: setattr(handler, "close_connection", True))
        self.service.answers.append(lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
        self.service.set(bird_text(ONE), etag='"other"')
        self.agent.wait_for_log("the service answered 400")
        self.assertNotIn("If-None-Match: \n", self.agent.log())
        self.service.answers.clear()
        self.service.set(bird_text(TWO, revision=2))
        self.agent.wait_applied(2)
        self.agent.wait_for_log("event=poll-recovered")

    def test_an_answer_that_comes_too_early_does_not_spin(self):
        """A proxy that takes wait= away, or If-None-Match."""
        self.begin()
        def early(handler):
            self.service.answers.insert(0, early)
            reply(handler, 304, {})
        def whole(handler):
            self.service.answers.insert(0, whole)
            reply(handler, 200, {"ETag": self.service.etag}, self.service.text)
        for habit in (early, whole):
            self.service.answers[:] = [habit]
            self.service.set(bird_text(ONE), etag='"spin"')
            wait_until(lambda: len(self.service.polls()) > 3, "polls")
            before, started = len(self.service.polls()), time.monotonic()
            time.sleep(2)  # nothing can be waited for: there must be few
            rate = (len(self.service.polls()) - before) / (time.monotonic() - started)
            self.assertLess(rate, 5)
        self.service.answers.clear()

    def test_a_service_that_is_away(self):
        self.begin()
        self.service.stop()
        self.agent.wait_for_log("event=poll-failed")
        self.assertEqual(self.agent.installed(), bird_text(ONE))
        self.service.set(bird_text(TWO, revision=2))
        self.service.start()
        self.agent.wait_applied(2)

    def test_another_server_takes_over_and_is_kept(self):
        other = Host()
        self.addCleanup(other.close)
        dead = f"http://127.0.0.1:{other.service.port}"
        other.service.stop()
        self.agent.servers = [dead, self.service.url, dead]
        self.begin()
        wait_until(lambda: len(self.service.polls()) > 1, "the next poll")
        failures = self.agent.log().count("event=poll-failed")
        for revision in range(2, 5):
            self.service.set(bird_text(TWO, revision=revision))
            self.agent.wait_applied(revision)
        self.assertEqual(self.agent.log().count("event=poll-failed"), failures)

    def test_a_token_is_sent_and_read_again(self):
        token = os.path.join(self.host.folder, "token")
        with open(token, "w", encoding="ascii") as file:
            file.write("first\n")
        self.agent.arguments += ("--token-file", token)
        self.begin()
        self.assertEqual(self.service.polls()[0][2]["Authorization"], "Bearer first")
        with open(token, "w", encoding="ascii") as file:
            file.write("second\n")
        self.service.set(bird_text(TWO, revision=2))
        self.agent.wait_applied(2)
        wait_until(lambda: any(request[2].get("Authorization") == "Bearer second" for request in self.service.polls()), "the new token")
        self.assertNotIn("first", self.agent.log())
        self.assertNotIn("second", self.agent.log())

    # ---- the agent's own end ----

    def test_only_one_agent_has_a_state_directory(self):
        self.begin()
        status, _, log = Agent(self.host.folder, [self.service.url]).run("--once")
        self.assertEqual(status, 1)
        self.assertIn("another agent", log)

    def test_killed_at_any_moment(self):
        """Whatever the moment, the next start ends with the newest list, and the file is always a whole one."""
        self.begin()
        texts = {bird_text(ONE)}
        for revision in range(2, 10):
            text = bird_text(TWO if revision % 2 else ONE, revision=revision)
            texts.add(text)
            self.service.set(text)
            time.sleep(0.004 * (revision - 2))
            self.agent.kill()
            self.assertIn(self.agent.installed(), texts)
            self.agent.start()
            # An agent that was killed after its last step has nothing to apply again, and so nothing to log.
            wait_until(lambda: self.agent.remembers(f"list{revision}"), "the newest list is what the agent remembers")
            self.assertEqual((self.agent.installed(), self.bird.running), (text, text))
            changes = [command for command in self.bird.commands if command in ("configure timeout 16", "configure confirm")]
            self.assertEqual(changes[-1], "configure confirm")

    def test_stopped_in_the_middle_of_a_change(self):
        self.agent.arguments = ("--confirm-seconds", "300")
        self.begin(bird_text(TWO))
        changed = bird_text({"192.0.2.10": {"line": "hold time 9;"}, "192.0.2.20": None}, revision=2)
        self.bird.down_after[changed] = {"192.0.2.20"}
        self.service.set(changed)
        wait_until(lambda: self.bird.running == changed, "the change")
        status, _ = self.agent.stop()
        self.assertEqual(status, 0)
        # BIRD keeps what it has instead of going back by itself later, and the next start looks again.
        self.assertEqual(self.bird.commands[-1], "configure confirm")
        self.bird.down_after.clear()
        self.agent.start()
        self.agent.wait_applied(2)

    def test_stopped_before_a_change_is_answered(self):
        self.agent.arguments = ("--confirm-seconds", "300")
        self.begin(bird_text(TWO))
        changed = bird_text({"192.0.2.10": {"line": "hold time 9;"}, "192.0.2.20": None}, revision=2)
        self.bird.late = 3
        self.service.set(changed)
        wait_until(lambda: self.bird.running == changed, "the change")
        status, _ = self.agent.stop()
        self.assertEqual((status, self.bird.commands[-1]), (0, "configure confirm"))
        self.bird.late = 0
        self.agent.start()
        self.agent.wait_applied(2)

    def test_withdraw(self):
        self.agent.arguments += ("--on-exit", "withdraw")
        self.begin()
        status, _ = self.agent.stop()
        self.assertEqual(status, 0)
        self.assertTrue(self.bird.disabled)
        self.assertEqual(self.agent.installed(), bird_text(ONE))
        self.agent.start()
        self.agent.wait_for_log("event=applied", 2)
        self.assertFalse(self.bird.disabled)

    def test_once_and_print(self):
        self.service.set(bird_text(ONE))
        status, output, _ = self.agent.run("--print")
        self.assertEqual((status, output), (0, bird_text(ONE)))
        self.assertFalse(os.path.exists(self.agent.config))
        self.bird.start()
        status, _, log = self.agent.run("--once")
        self.assertEqual(status, 0, log)
        self.assertEqual(self.bird.running, bird_text(ONE))
        self.assertTrue(self.service.reports)
        self.bird.refuse = "x:1:1 syntax error"
        self.service.set(bird_text(TWO, revision=2))
        status, _, log = self.agent.run("--once")
        self.assertEqual(status, 1)
        self.assertIn("x:1:1 syntax error", log)
        self.service.stop()
        self.assertEqual(self.agent.run("--once")[0], 1)

    @unittest.skipUnless(is_root(), "needs a small file system of its own")
    def test_a_full_disk(self):
        mount = os.path.join(self.host.folder, "small")
        os.mkdir(mount)
        if os.system(f"mount -t tmpfs -o size=64k tmpfs {mount} 2>/dev/null") != 0:
            self.skipTest("cannot mount")
        self.addCleanup(os.system, f"umount -l {mount}")
        self.agent.config = self.bird.config = os.path.join(mount, "bird.conf")
        self.begin()
        big = bird_text(ONE, revision=2) + "# " + "x" * 100000 + "\n"
        self.service.set(big)
        self.agent.wait_for_log("event=change-refused")
        self.assertIn("No space left", self.agent.log())
        self.assertEqual(self.agent.installed(), bird_text(ONE))
        self.assertEqual(os.listdir(mount), ["bird.conf"])
        self.service.set(bird_text(TWO, revision=3))
        self.agent.wait_applied(3)

    # ---- reports ----

    def wait_for_report(self, condition):
        def newest():
            return self.service.reports and condition(json.loads(self.service.reports[-1]))
        wait_until(newest, f"such a report; the last: {self.service.reports[-1:]}")
        return json.loads(self.service.reports[-1])

    def test_reports(self):
        self.begin(bird_text(TWO))
        self.bird.last_error["192.0.2.20"] = "Received: Administrative shutdown"
        report = self.wait_for_report(lambda report: len(report["sessions"]) == 2 and "lastError" in report["sessions"][1])
        self.assertEqual(self.service.requests[-1][1].split("?")[0], f"/apis/projectcalico.org/v3/nodes/{NODE}/peerings/status")
        self.assertEqual((report["kind"], report["list"], report["agent"]["daemon"]), ("PeeringStatus", "list1", "BIRD 2.0.12"))
        session = report["sessions"][1]
        self.assertEqual({key: session[key] for key in ("peerIP", "port", "state", "transitions", "received", "sent", "holdTimeSeconds")},
                         {"peerIP": "192.0.2.20", "port": 179, "state": "Established", "transitions": 0, "received": 3, "sent": 2, "holdTimeSeconds": 60})
        self.assertEqual((session["lastError"]["code"], session["lastError"]["from"]), ("Cease/AdministrativeShutdown", "Remote"))
        self.bird.down = {"192.0.2.20"}
        report = self.wait_for_report(lambda report: report["sessions"][1]["state"] == "Active")
        self.assertEqual(report["sessions"][1]["transitions"], 1)
        sequences = [json.loads(body)["agent"]["sequence"] for body in self.service.reports]
        self.assertEqual(sequences, sorted(set(sequences)))
        self.assertEqual(len({json.loads(body)["agent"]["boot"] for body in self.service.reports}), 1)

    def test_a_service_without_reports(self):
        for status in (404, 405):
            self.service.report_answer = (status, {})
        self.begin()
        self.agent.wait_for_log("event=report-failed")
        for revision in range(2, 5):
            self.service.set(bird_text(TWO if revision % 2 else ONE, revision=revision))
            self.agent.wait_applied(revision)
        self.assertEqual(len(self.service.reports), 1)

    def test_a_service_that_wants_fewer_reports(self):
        self.service.report_answer = (429, {"Retry-After": "300"})
        self.begin()
        self.agent.wait_for_log("event=report-failed")
        self.bird.down = {"192.0.2.10"}
        commands = len(self.bird.commands)
        wait_until(lambda: len(self.bird.commands) > commands + 3, "looks at the sessions")
        self.assertEqual(len(self.service.reports), 1)

    def test_a_daemon_that_dies_is_reported(self):
        self.begin()
        self.wait_for_report(lambda report: report["sessions"][0]["state"] == "Established")
        self.bird.stop()
        self.wait_for_report(lambda report: {(session["state"], session.get("lastError", {}).get("code")) for session in report["sessions"]}
                             == {("Idle", "Local/DaemonNotRunning")})
        self.bird.start()
        self.wait_for_report(lambda report: report["sessions"][0]["state"] == "Established")

    # ---- what it costs ----

    def test_nothing_secret_is_logged_or_readable(self):
        secret = "documented-Secret"
        self.agent.arguments += ("--log-level", "debug")
        self.begin(bird_text({"192.0.2.10": {"line": f'password "{secret}";', "password": "yes"}}))
        self.wait_for_report(lambda report: report["sessions"])
        self.bird.refuse = "bird.conf:2:1 syntax error"
        self.service.set(bird_text({"192.0.2.10": {"line": f'password "{secret}2";'}}, revision=2))
        self.agent.wait_for_log("event=change-refused")
        self.assertNotIn(secret, self.agent.log())
        self.assertFalse(any(secret.encode() in body for body in self.service.reports))
        for folder, _, names in os.walk(self.host.folder):
            for name in names:
                path = os.path.join(folder, name)
                if name not in ("log",) and os.path.isfile(path):
                    with open(path, "rb") as file:
                        if secret.encode() in file.read():
                            self.assertEqual(os.stat(path).st_mode & 0o037, 0, path)

    def test_memory(self):
        self.begin(bird_text({f"192.0.2.{number}": None for number in range(1, 9)}))
        self.wait_for_report(lambda report: len(report["sessions"]) == 8)
        with open(f"/proc/{self.agent.process.pid}/exe", "rb") as file:
            if b"__asan_init" in file.read():
                self.skipTest("instrumented")
        with open(f"/proc/{self.agent.process.pid}/status", encoding="ascii") as file:
            status = file.read()
        own = int(re.search(r"RssAnon:\s+(\d+)", status)[1])
        self.assertLess(own, 10 * 1024)


class UsageTest(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)

    def test_mistakes(self):
        for arguments, words in ((("--server", "bgppeerd.example"), "is no URL"), (("--sever", "x"), "did you mean --server"),
                                 (("--daemon", "quagga"), "is not one of bird"), (("--daemon", "command"), "belong together"),
                                 (("--wait-seconds", "0"), "from 1 to 300"), (("--key", "x"), "--cert"),
                                 (("--config", "relative.conf"), "absolute path")):
            status, _, log = self.host.agent.run(*arguments)
            self.assertEqual(status, 2, arguments)
            self.assertIn(words, log)

    def test_variables(self):
        self.host.service.set(bird_text(ONE))
        self.host.agent.servers = []
        self.host.agent.environment = {"BGPPEER_AGENT_SERVER": self.host.service.url, "BGPPEER_AGENT_PRINT": "yes"}
        self.assertEqual(self.host.agent.run()[:2], (0, bird_text(ONE)))


if __name__ == "__main__":
    unittest.main()
