"""The agent and each real daemon, on what only a real daemon can show: what it refuses, what it opens, what it keeps.

tests/run: alone
tests/run: timeout 400
"""
import json
import os
import signal

from lib import case, kernel, wait
from lib.daemons import KINDS, Bird

PASSWORD = "documented-Pass"
HUB, SECOND = "192.0.2.1", "192.0.2.2"
HOST = "192.0.2.11"
HERE = os.path.dirname(os.path.abspath(__file__))
AGENT = os.environ.get("BGPPEER_AGENT", os.path.abspath("build/bgppeer-agent"))
SERVE = os.path.join(HERE, "..", "agent", "serve_file.py")


def hub_configuration(address):
    return f"""
router id {address};
timeformat protocol iso long ms;
protocol device {{ }}
protocol static {{ ipv4; route 198.51.100.0/24 blackhole; }}
protocol bgp 'n.host' {{
  local {address} as 64496; neighbor {HOST} as 64500; multihop 255;
  connect delay time 1; connect retry time 1; error wait time 1, 2; password "{PASSWORD}";
  ipv4 {{ import all; export all; }};
}}
"""


class Scene:
    """A host with one daemon and the agent, and two others that it can peer with."""

    def __init__(self, lab, kind):
        self.lab = lab
        self.host = lab.host("host")
        lab.plug(self.host, "eth0", f"{HOST}/24")
        self.peers = {}
        for address in (HUB, SECOND):
            peer = lab.host("peer" + address[-1])
            lab.plug(peer, "eth0", f"{address}/24")
            self.peers[address] = Bird(peer).start(hub_configuration(address))
        self.daemon = KINDS[kind](self.host)
        self.file = self.host.path("/run/list")
        self.host.start("service", "python3", SERVE, "/run/list")
        self.agent = None

    def serve(self, text):
        with open(self.file + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(self.file + ".new", self.file)

    def start_agent(self, *arguments):
        self.agent = self.host.start("agent", AGENT, "--server", "http://127.0.0.1:8080", "--node", "n1", "--daemon", self.daemon.kind,
                                     "--config", self.daemon.path, "--state-dir", "/run/state", "--confirm-seconds", "5", *arguments)

    def wait_for_log(self, text, count=1):
        wait.until(lambda: self.agent.log().count(text) >= count, lambda: f"{text!r} in the agent's log: {self.agent.log()[-3000:]}")

    def wait_applied(self, revision):
        self.wait_for_log(f"event=applied list=e{revision} ")

    def report(self):
        with open(self.file + ".report", encoding="utf-8") as file:
            return json.load(file)

    def wait_for_report(self, condition):
        def newest():
            try:
                return condition(self.report())
            except (OSError, ValueError, IndexError, KeyError):
                return False
        wait.until(newest, lambda: f"such a report; the last: {self.report()}")


def head(comment, kind, revision):
    formats = {"bird": "bird2"}
    return f"{comment}bgppeerd node=n1 resourceVersion={revision} etag=e{revision} format={formats.get(kind, kind)} renderer=1\n"


def session_comment(comment, peer, state="on", password="yes", ttl=0):
    return f"{comment}session peerIP={peer} port=179 state={state} password={password} ttlSecurity={ttl}\n"


def frr_text(revision, peers, extra="", state="on", lines=""):
    text = head("! ", "frr", revision) + "frr defaults traditional\nroute-map all permit 10\nexit\nrouter bgp 64500\n bgp router-id " + HOST + "\n"
    text += " no bgp default ipv4-unicast\n no bgp network import-check\n"
    for peer in peers:
        text += session_comment("! ", peer, state)
        text += f" neighbor {peer} remote-as 64496\n neighbor {peer} ebgp-multihop 255\n neighbor {peer} password {PASSWORD}\n"
        text += f" neighbor {peer} timers connect 1\n" + (f" neighbor {peer} shutdown\n" if state != "on" else "") + lines
    text += extra + " address-family ipv4 unicast\n  network 203.0.113.0/24\n"
    for peer in peers:
        text += f"  neighbor {peer} activate\n  neighbor {peer} route-map all in\n  neighbor {peer} route-map all out\n"
    return text + " exit-address-family\nexit\n"


class FrrTest(case.LabTest):
    @classmethod
    def build(cls):
        cls.lab.network("eth0")
        cls.scene = scene = Scene(cls.lab, "frr")
        scene.daemon.start("frr defaults traditional\n")
        scene.serve(frr_text(1, [HUB]))
        scene.start_agent()
        cls.revision = 1

    def setUp(self):
        self.next([HUB])

    def next(self, peers, **parts):
        """The next list, and wait until it runs."""
        FrrTest.revision += 1
        self.scene.serve(frr_text(self.revision, peers, **parts))
        self.scene.wait_applied(self.revision)
        if parts.get("state", "on") == "on":
            self.scene.daemon.wait_established(*peers)

    def refused(self, words, **parts):
        """A list that must not be applied: nothing changes, and the log says why and nothing else."""
        FrrTest.revision += 1
        before = self.scene.host.read(self.scene.daemon.path)
        count = self.scene.agent.log().count("event=change-refused")
        self.scene.serve(frr_text(self.revision, [HUB], **parts))
        self.scene.wait_for_log("event=change-refused", count + 1)
        self.assertIn(words, self.scene.agent.log().splitlines()[-1] if "event=change-refused" in self.scene.agent.log().splitlines()[-1]
                      else [line for line in self.scene.agent.log().splitlines() if "event=change-refused" in line][-1])
        self.assertEqual(self.scene.host.read(self.scene.daemon.path), before)
        self.assertTrue(self.scene.daemon.session(HUB).is_up)
        self.assertTrue(self.scene.daemon.session(HUB).password)

    def test_the_file_stays_as_it_was_written(self):
        self.assertEqual(self.scene.host.read("/etc/frr/frr.conf"), frr_text(self.revision, [HUB]))
        self.assertEqual(os.stat(self.scene.host.path("/etc/frr/frr.conf")).st_mode & 0o777, 0o640)
        self.scene.wait_for_report(lambda report: report["sessions"][0]["state"] == "Established" and report["agent"]["daemon"].startswith("FRR"))

    def test_another_session_comes_and_goes(self):
        before = kernel.connections(self.scene.host)
        self.next([HUB, SECOND])
        self.next([HUB])
        self.assertEqual(kernel.connections(self.scene.host)[HUB], before[HUB])
        self.assertNotIn(SECOND, self.scene.daemon.sessions())

    def test_a_session_is_disabled_and_enabled(self):
        self.next([HUB], state="disabled")
        self.assertTrue(self.scene.daemon.session(HUB).admin_down)
        self.next([HUB])

    def test_what_the_checkers_refuse(self):
        self.refused("line ", lines=f" neighbor {HUB} nonsense secret-word\n")
        self.refused("line ", lines=f" neighbor {HUB} ttl-security hops 1\n")     # excludes ebgp-multihop: only bgpd knows
        self.refused("line ", lines=f" neighbor {HUB} password {'x' * 81}\n")
        self.refused("line ", lines=f" neighbor {HUB} password two secret-word\n")
        self.assertNotIn("secret-word", self.scene.agent.log())
        self.assertNotIn(PASSWORD, self.scene.agent.log())

    def test_a_session_that_loses_its_password_is_shut_down(self):
        self.scene.host.run("vtysh", "-c", "configure terminal", "-c", "router bgp", "-c", f"no neighbor {HUB} password")
        wait.until(lambda: self.scene.daemon.session(HUB).admin_down, "the session is shut down")
        self.scene.wait_for_report(lambda report: "without its password" in report["applyError"])
        self.next([HUB])
        self.scene.wait_for_report(lambda report: report["applyError"] == "")

    def test_the_daemon_is_killed_and_comes_back(self):
        self.scene.daemon.kill()
        self.scene.wait_for_log("event=daemon-unreadable", 1)
        FrrTest.revision += 1
        self.scene.serve(frr_text(self.revision, [HUB, SECOND]))
        self.scene.wait_for_log("event=daemon-away")
        self.scene.daemon.start()
        self.scene.wait_applied(self.revision)
        self.scene.daemon.wait_established(HUB, SECOND)

    def test_own_lines_of_the_host(self):
        self.scene.host.write("/etc/frr/local.conf", "ip prefix-list local4 seq 5 permit 203.0.113.128/25\n")
        self.scene.agent.send(signal.SIGHUP)
        wait.until(lambda: "local4" in self.scene.host.run("vtysh", "-c", "show running-config"), "the host's lines run")
        self.scene.host.remove("/etc/frr/local.conf")
        self.next([HUB])
        self.assertNotIn("local4", self.scene.host.run("vtysh", "-c", "show running-config"))

    def test_withdraw(self):
        self.scene.agent.stop()
        self.scene.start_agent("--on-exit", "withdraw")
        self.next([HUB])
        self.assertEqual(self.scene.agent.stop(), 0)
        wait.until(lambda: self.scene.daemon.session(HUB).admin_down, "the session is shut down")
        self.scene.start_agent()
        self.scene.daemon.wait_established(HUB)


def gobgp_text(revision, peers, ttl=0, state="on", announce=("203.0.113.0/24",)):
    text = head("# ", "gobgp", revision) + "".join(f"# announce {prefix}\n" for prefix in announce)
    text += f'[global.config]\nas = 64500\nrouter-id = "{HOST}"\n'
    for peer in peers:
        text += session_comment("# ", peer, state, ttl=ttl)
        text += f'[[neighbors]]\n[neighbors.config]\nneighbor-address = "{peer}"\npeer-as = 64496\nauth-password = "{PASSWORD}"\n'
        text += "admin-down = true\n" if state != "on" else ""
        text += f"[neighbors.ttl-security.config]\nenabled = true\nttl-min = {256 - ttl}\n" if ttl else ""
        text += "[neighbors.timers.config]\nconnect-retry = 1\nidle-hold-time-after-reset = 1\n"
        text += '[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = "ipv4-unicast"\n'
    return text


class GobgpTest(case.LabTest):
    @classmethod
    def build(cls):
        cls.lab.network("eth0")
        cls.scene = scene = Scene(cls.lab, "gobgp")
        scene.host.make_directory("/run/gobgp")
        scene.daemon.start(f'[global.config]\nas = 64500\nrouter-id = "{HOST}"\n')
        scene.serve(gobgp_text(1, [HUB]))
        scene.start_agent("--control", scene.daemon.target)
        cls.revision = 1

    def next(self, peers, **parts):
        GobgpTest.revision += 1
        self.scene.serve(gobgp_text(self.revision, peers, **parts))
        self.scene.wait_applied(self.revision)

    def prefix_arrives(self, prefix="203.0.113.0/24"):
        wait.until(lambda: prefix in self.scene.peers[HUB].routes(), f"{prefix} at the hub")

    def test_all(self):
        """In one life of the daemon, because each step is what the next one changes."""
        scene = self.scene
        scene.daemon.wait_established(HUB)
        self.prefix_arrives()
        before = kernel.connections(scene.host)
        self.next([HUB, SECOND], announce=("203.0.113.0/24", "198.51.100.128/25"))
        scene.daemon.wait_established(HUB, SECOND)
        self.prefix_arrives("198.51.100.128/25")
        self.assertEqual(kernel.connections(scene.host)[HUB], before[HUB])
        self.next([HUB])
        wait.until(lambda: "198.51.100.128/25" not in scene.peers[HUB].routes(), "the prefix is gone")
        self.assertEqual(set(scene.daemon.sessions()), {HUB})
        # What SIGHUP ignores is put into force all the same.
        self.next([HUB], ttl=254)
        peer = next(peer for peer in scene.daemon.ask("neighbor") if peer["conf"]["neighbor_address"] == HUB)
        self.assertEqual(peer["ttl_security"]["ttl_min"], 2)
        self.next([HUB])
        scene.daemon.wait_established(HUB)
        self.next([HUB], state="disabled")
        self.assertTrue(scene.daemon.session(HUB).admin_down)
        self.next([HUB])
        scene.daemon.wait_established(HUB)
        # A broken file is refused before it is installed, and nobody learns the password.
        count = scene.agent.log().count("event=change-refused")
        GobgpTest.revision += 1
        scene.serve(gobgp_text(self.revision, [HUB]) + "nonsense = [\n")
        scene.wait_for_log("event=change-refused", count + 1)
        self.assertTrue(scene.daemon.session(HUB).is_up)
        # A daemon that starts anew is told its prefixes.
        scene.daemon.kill()
        scene.host.remove("/run/gobgp/api.sock")  # which it does not do itself
        scene.daemon.start()
        scene.wait_for_log("event=prefixes-told")
        scene.daemon.wait_established(HUB)
        self.prefix_arrives()
        self.assertNotIn(PASSWORD, scene.agent.log())
        scene.wait_for_report(lambda report: report["sessions"][0]["state"] == "Established")


def openbgpd_text(revision, peers, hold=90, state="on", ttl=0):
    text = head("# ", "openbgpd", revision) + f"AS 64500\nrouter-id {HOST}\nnetwork 203.0.113.0/24\n"
    for peer in peers:
        text += session_comment("# ", peer, state, ttl=ttl)
        text += f"neighbor {peer} {{\n  remote-as 64496\n" + ('  down "withheld"\n' if state != "on" else "")
        text += f'  multihop 255\n  holdtime {hold}\n  tcp md5sig password "{PASSWORD}"\n}}\n'
    return text + "allow from any\nallow to any\n"


class OpenbgpdTest(case.LabTest):
    @classmethod
    def build(cls):
        cls.lab.network("eth0")
        cls.scene = scene = Scene(cls.lab, "openbgpd")
        scene.host.make_directory("/run/openbgpd")
        scene.daemon.start(openbgpd_text(0, []))
        scene.serve(openbgpd_text(1, [HUB]))
        scene.start_agent("--control", scene.daemon.control)
        cls.revision = 1

    def next(self, peers, **parts):
        OpenbgpdTest.revision += 1
        self.scene.serve(openbgpd_text(self.revision, peers, **parts))
        self.scene.wait_applied(self.revision)

    def test_all(self):
        """In one life of the daemon, because each step is what the next one changes."""
        scene = self.scene
        scene.wait_applied(1)
        scene.daemon.wait_established(HUB)
        before = kernel.connections(scene.host)
        self.next([HUB, SECOND])
        scene.daemon.wait_established(HUB, SECOND)
        self.assertEqual(kernel.connections(scene.host)[HUB], before[HUB])
        # A reload alone would change nothing of a session that runs.
        self.next([HUB, SECOND], hold=30)
        wait.until(lambda: scene.daemon.session(HUB).hold == 30, "the new hold time")
        self.next([HUB, SECOND], hold=30, state="disabled")
        wait.until(lambda: not scene.daemon.session(HUB).is_up, "the sessions are down")
        self.next([HUB], hold=30)
        scene.daemon.wait_established(HUB)
        self.assertEqual(set(scene.daemon.sessions()), {HUB})
        count = scene.agent.log().count("event=change-refused")
        OpenbgpdTest.revision += 1
        scene.serve(openbgpd_text(self.revision, [HUB]) + "nonsense\n")
        scene.wait_for_log("event=change-refused", count + 1)
        self.assertIn("syntax error", scene.agent.log())
        self.assertTrue(scene.daemon.session(HUB).is_up)
        self.assertEqual(os.stat(scene.host.path(scene.daemon.path)).st_mode & 0o777, 0o600)
        self.assertNotIn(PASSWORD, scene.agent.log())
        scene.wait_for_report(lambda report: report["sessions"][0]["state"] == "Established")


if __name__ == "__main__":
    case.main()
