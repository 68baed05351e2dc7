"""Faults of real daemons: the service says of the right sessions what is wrong, and why.

A verdict is there as soon as a report has told what it needs to know. The last test prints how long each took.

tests/run: timeout 900
"""
import functools
import os
import shutil
import signal
import time
import unittest

from lib import case, fleet, wait
from lib.daemons import Bird
from lib.racks import FLEET_AS, HOSTS, TOR1, TOR1_AS, TOR2, TOR2_AS, Racks

SHORT = os.environ.get("E2E") == "short"
SECONDS_TO_JUDGE = 2        # from the report to the verdict
SECONDS_TO_SEE_A_CUT = {"bird": 3, "frr": 6}    # an agent looks at BIRD every second, at FRR every three
CUTS = 3                    # a machine that is busy may make one of them late
UP = "Up"
SILENT = "names no cause"   # FRR 8.4 says "Waiting for peer OPEN" of whatever ended, or prevents, a session
CLONE = "2001:db8:ffff::ff"  # of the host that has another's certificate

# One host of each daemon; its switch, with that one's AS.
HOST_OF = {"bird": "rack1-host1", "frr": "rack2-host2"}
TOR_OF = {"bird": ("192.168.1.254", TOR1_AS), "frr": ("192.168.2.254", TOR2_AS)}
PASSWORD = {"password": {"secretKeyRef": {"name": "tor", "key": "password"}}}


def tor1_text(address, own_as=None, host_as=FLEET_AS, password=None):
    """What tor1, which runs FRR, has for its session with one host."""
    lines = [f"remote-as {host_as}"]
    if own_as:
        lines.append(f"local-as {own_as} no-prepend replace-as")
    if password:
        lines.append(f"password {password}")
    return TOR1.replace(f" neighbor {address} remote-as {FLEET_AS}\n", "".join(f" neighbor {address} {line}\n" for line in lines))


def tor2_text(address, own_as=TOR2_AS, host_as=FLEET_AS, password=None):
    """The same for tor2, which runs BIRD."""
    return TOR2.replace(f"as {TOR2_AS}; neighbor {address} as {FLEET_AS};",
                        f"as {own_as}; neighbor {address} as {host_as};" + (f' password "{password}";' if password else ""))


def on_each_daemon(method):
    """A test of one host of each daemon: (test, kind of daemon, its name, its switch's address)."""
    @functools.wraps(method)
    def test(self):
        for kind, name in HOST_OF.items():
            with self.subTest(daemon=kind):
                self.wait_up()
                method(self, kind, name, TOR_OF[kind][0])
    return test


class VerdictsTest(case.LabTest):
    @classmethod
    def build(cls):
        cls.racks = Racks(cls.lab, fleet.Agent)
        cls.addClassCleanup(cls.racks.fleet.close)
        cls.fleet = cls.racks.fleet
        cls.fleet.apply(
            fleet.secret("tor", password="right-Password"),
            fleet.document("BGPPeer", "rack2-tor", {"nodeSelector": "rack == 'rack2' && has(route-reflector)",
                                                    "peerIP": TOR_OF["frr"][0], "asNumber": TOR2_AS, "filters": ["only-pods"]}),
            *(cls.tor_peer(kind) for kind in HOST_OF))
        cls.seconds = {}

    @staticmethod
    def tor_peer(kind, **spec):
        """The BGPPeer of a host's session with its switch. What stands for nothing is taken away where it was."""
        address, number = TOR_OF[kind]
        return fleet.document("BGPPeer", f"{HOST_OF[kind]}-tor", {
            "node": HOST_OF[kind], "peerIP": address, "asNumber": number, "filters": ["only-pods"],
            **dict.fromkeys(("password", "ttlSecurity", "keepaliveTime")), **spec})

    def reload_tor(self, kind, **parts):
        """Let a host's switch have other properties for it, or, without any, those that fit."""
        address = HOSTS[HOST_OF[kind]][1]
        if kind == "bird":
            self.racks.tor1.reload(tor1_text(address, **parts))
        else:
            self.racks.tor2.reload(tor2_text(address, **parts))

    def wait_up(self):
        self.racks.wait_converged()
        for name in HOSTS:
            wait.until(lambda name=name: set(self.verdicts(name).values()) == {UP},
                       lambda name=name: f"all sessions of {name} are up: {self.rows(name)}")

    # ---- asking ----

    def status(self, name):
        return self.fleet.demand("GET", f"{fleet.CALICO}/nodes/{name}/peerings/status")

    def rows(self, name):
        return {row["peerIP"]: row for row in self.status(name)["items"]}

    def verdicts(self, name):
        return {address: row["verdict"] for address, row in self.rows(name).items()}

    def wait_verdict(self, name, address, verdict, words, *, fault=None, shown=True):
        """Wait until a session has this verdict and these words; the seconds that it took. It may not take long from the last
        change of what both ends have reported. `shown` is false where what tells the cause is not part of an answer."""
        started, told, changed = time.monotonic(), None, time.monotonic()

        def is_right():
            nonlocal told, changed
            status = self.status(name)
            row = next((row for row in status["items"] if row["peerIP"] == address), {})
            tells = row.get("here"), row.get("there"), status["status"].get("applyError")
            if tells != told:
                told, changed = tells, time.monotonic()
            return row.get("verdict") == verdict and words in row.get("message", "") and row
        row = wait.until(is_right, lambda: f"{verdict}, {words!r} for {name} with {address}; it is {self.rows(name).get(address)}")
        now = time.monotonic()
        if fault is not None:
            self.seconds[fault, HOSTS[name][0]] = (now - started, now - changed if shown else None)
        if shown:
            self.assertLess(now - changed, SECONDS_TO_JUDGE, f"{verdict} came late, {row}")
        seconds = now - started
        listed = self.fleet.demand("GET", f"{fleet.OURS}/sessions?node={name}&verdict={verdict}")["items"]
        # A message may count seconds, so that it is another one by now.
        self.assertTrue(any(session["peerIP"] == address and words in session.get("message", "") for session in listed), listed)
        return seconds

    def assert_others_up(self, name, *addresses):
        """Nothing else is blamed."""
        others = {address: row for address, row in self.rows(name).items() if address not in addresses}
        self.assertEqual({row["verdict"] for row in others.values()}, {UP}, others)

    # ---- faults ----

    @on_each_daemon
    def test_the_daemon_is_killed(self, kind, name, tor):
        daemon = self.racks.daemons[name]
        daemon.kill()
        try:
            words = f"the BGP daemon of {name} does not run"
            self.wait_verdict(name, tor, "Down", words, fault="daemon killed")
            # All its sessions are down for the same reason, and so is the one at the far end that is a node too.
            for address in self.rows(name):
                self.wait_verdict(name, address, "Down", words)
            self.wait_verdict("rack2-host1", HOSTS[name][1], "Down", words)
            self.assert_others_up("rack2-host1", HOSTS[name][1])
        finally:
            daemon.start()

    @on_each_daemon
    def test_the_switch_expects_another_as(self, kind, name, tor):
        self.reload_tor(kind, host_as=64999)
        try:
            words = SILENT if kind == "frr" else f"wrong AS: the far end does not accept the AS of {name}"
            self.wait_verdict(name, tor, "Down", words, fault="wrong AS expected", shown=False)
            self.assert_others_up(name, tor)
        finally:
            self.reload_tor(kind)

    @on_each_daemon
    def test_the_switch_has_another_as(self, kind, name, tor):
        self.reload_tor(kind, own_as=64998)
        try:
            words = SILENT if kind == "frr" else f"wrong AS at the far end, as {name} sees it"
            self.wait_verdict(name, tor, "Down", words, fault="wrong AS", shown=False)
            self.assert_others_up(name, tor)
        finally:
            self.reload_tor(kind)

    @on_each_daemon
    def test_the_password_differs_at_one_end(self, kind, name, tor):
        self.fleet.apply(self.tor_peer(kind, **PASSWORD))
        try:
            self.reload_tor(kind, password="right-Password")
            self.wait_up()
            for words, password in (("segments whose signature does not match", "wrong-Password"), ("the far end does not sign", None)):
                self.reload_tor(kind, password=password)
                self.wait_verdict(name, tor, "Down", words, fault=f"password: {'wrong' if password else 'none'}", shown=False)
                self.assertIn("passwords differ", self.rows(name)[tor]["message"])
                self.assert_others_up(name, tor)
                self.reload_tor(kind, password="right-Password")
                self.wait_up()
        finally:
            self.fleet.apply(self.tor_peer(kind))
            self.reload_tor(kind)

    @on_each_daemon
    def test_the_link_is_cut(self, kind, name, tor):
        """A session with GTSM is directly connected, so that its daemon feels the link."""
        self.fleet.apply(self.tor_peer(kind, ttlSecurity=1))
        host, rack = self.lab.hosts[name], name.partition("-")[0]
        try:
            seconds = []
            while not seconds or (min(seconds) > SECONDS_TO_SEE_A_CUT[kind] and len(seconds) < CUTS):
                self.wait_up()
                self.lab.cut(host, rack)
                words = SILENT if kind == "frr" else f"the link to the far end is down on {name}"
                seconds.append(self.wait_verdict(name, tor, "Down", words, fault="link cut"))
                self.lab.mend(host, rack)
            self.assertLess(min(seconds), SECONDS_TO_SEE_A_CUT[kind], f"from the cut to the verdict: {seconds}")
        finally:
            self.lab.mend(host, rack)
            self.fleet.apply(self.tor_peer(kind))

    @on_each_daemon
    def test_a_session_that_no_list_names(self, kind, name, tor):
        daemon, foreign = self.racks.daemons[name], tor.replace("254", "99")
        configure = ["vtysh", "-c", "configure terminal", "-c", f"router bgp {FLEET_AS}", "-c"]
        path = "/etc/bird/local.d/foreign.conf"
        try:
            if kind == "bird":
                daemon.host.write(path, f"protocol bgp foreign {{ local as {FLEET_AS}; neighbor {foreign} as 64999; "
                                        "ipv4 { import none; export none; }; }\n", mode=0o644)
                daemon.reload()
            else:
                daemon.host.run(*configure, f"neighbor {foreign} remote-as 64999")
            wait.until(lambda: foreign in self.rows(name), f"the session with {foreign} is shown")
            self.wait_verdict(name, foreign, "Unexpected", f"the daemon of {name} has this session, its list does not", fault="foreign session")
            self.assert_others_up(name, foreign)
        finally:
            if kind == "bird":
                daemon.host.remove(path)
                daemon.reload()
            else:
                daemon.host.run(*configure, f"no neighbor {foreign}")

    @on_each_daemon
    def test_the_list_is_refused(self, kind, name, tor):
        """What stands beside the service's text is wrong, so that the daemon takes nothing."""
        host, agent = self.lab.hosts[name], self.racks.feeders[name]
        path = {"bird": "/etc/bird/local.d/broken.conf", "frr": "/etc/frr/local.conf"}[kind]
        host.write(path, "nonsense\n", mode=0o644)
        try:
            self.fleet.apply(self.tor_peer(kind, keepaliveTime="20s"))
            self.wait_verdict(name, tor, "Down", f"{name} could not apply its list: ", fault="list refused")
            self.assert_others_up(name, tor)
            self.assertEqual(self.status(name)["status"]["list"], "behind")
            self.assertIn("broken.conf:1:1 " if kind == "bird" else "line ", self.rows(name)[tor]["message"])
        finally:
            host.remove(path)
            self.fleet.apply(self.tor_peer(kind))
            agent.process.send(signal.SIGHUP)

    def test_agents_are_stopped(self):
        """What the daemons do is not known any more, and nothing is claimed; traffic is not the service's matter."""
        self.wait_up()
        for kind, name in HOST_OF.items():
            self.racks.feeders[name].kill()
            self.fleet.apply(self.tor_peer(kind, keepaliveTime="20s"))
        try:
            for kind, name in HOST_OF.items():
                tor = TOR_OF[kind][0]
                self.wait_verdict(name, tor, "Converging", f"list not yet applied by {name}", fault="list not applied", shown=False)
                self.assert_others_up(name, tor)
            if not SHORT:
                for kind, name in HOST_OF.items():
                    words = f"agent of {name} silent for "
                    wait.until(lambda name=name: set(self.verdicts(name).values()) == {"Unknown"}, f"{name} is silent", seconds=180)
                    self.assertTrue(all(words in row["message"] for row in self.rows(name).values()), self.rows(name))
                    self.wait_verdict("rack2-host1", HOSTS[name][1], "Unknown", words, shown=False)
                    self.assertEqual(self.status(name)["status"]["list"], "silent")
        finally:
            for kind, name in HOST_OF.items():
                self.fleet.apply(self.tor_peer(kind))
                self.racks.feeders[name].start()

    def test_two_agents_for_one_node(self):
        """A host that was copied with its certificate: both report for the same node."""
        self.wait_up()
        name = HOST_OF["bird"]
        clone = self.lab.host("clone")
        self.addCleanup(clone.close)
        self.lab.plug(clone, "mgmt", f"{CLONE}/64")
        shutil.copytree(self.lab.hosts[name].path("/run/tls"), clone.path("/run/tls"))
        Bird(clone).start_empty()
        started = time.monotonic()
        clone.start("agent", fleet.AGENT, "--server", fleet.URL, "--node", name, "--ca", "/run/tls/ca.crt", "--cert", "/run/tls/client.crt",
                    "--key", "/run/tls/client.key", "--state-dir", "/run/bgppeer-agent", "--report-seconds", "2")
        problem, = wait.until(lambda: self.status(name)["status"].get("problems"), lambda: f"two agents: {self.status(name)['status']}")
        self.seconds["two agents", "bird"] = (time.monotonic() - started, 0)
        self.assertEqual(problem["reason"], "TwoAgents")
        self.assertIn(f'two agents report for node "{name}" in turns', problem["message"])
        for other in set(HOSTS) - {name}:
            self.assertNotIn("problems", self.status(other)["status"])

    def test_z_seconds(self):
        """From each fault, and from the report that shows it (-: one does not see it there), to the verdict."""
        print(f"\n{'fault':<24}{'daemon':<8}{'fault to verdict':>18}{'report to verdict':>20}")
        for (fault, kind), (whole, judged) in sorted(self.seconds.items()):
            print(f"{fault:<24}{kind:<8}{whole:>16.1f} s{'-' if judged is None else f'{judged:.1f} s':>20}")
        if not self.seconds:
            raise unittest.SkipTest("no fault was made")


if __name__ == "__main__":
    case.main()
