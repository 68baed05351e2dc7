"""BGP daemons in hosts: started with a configuration, reloaded, ended, and asked what they do.

All four classes answer the same questions in the same words: `sessions()` by peer address, `routes(family)` by
prefix. A question that the daemon cannot be asked (it is not up yet) raises OSError or KeyError, so that
wait.until asks again.
"""
import dataclasses
import json
import os
import re
import signal
import socket

from . import wait

FAMILIES = {4: "IPv4", 6: "IPv6"}


@dataclasses.dataclass
class Session:
    """One session as its daemon sees it. None: this daemon does not say."""
    state: str                     # Idle, Connect, Active, OpenSent, OpenConfirm, Established, …
    admin_down: bool = False
    remote_as: int = None
    local_as: int = None
    hold: int = None               # seconds, as negotiated
    keepalive: int = None
    restart_time: int = None       # graceful restart time that the other end announced
    password: bool = None          # the session is signed
    router_id: str = None          # the other end's
    address: str = None            # the other end's; sessions() has it as key
    error: str = ""

    @property
    def is_up(self):
        return self.state == "Established"


@dataclasses.dataclass
class Route:
    next_hop: str
    as_path: tuple = ()
    communities: frozenset = frozenset()        # "65000:100", large ones "65000:1:2"
    local_pref: int = None
    med: int = None
    peer: str = ""                              # the session that it came from, in the daemon's words
    other: dict = dataclasses.field(default_factory=dict)


class Daemon:
    """What all have in common. `arguments`: more options of the daemon's command line."""

    kind = path = ""
    owner = None
    empty = ""  # what it runs with before its host has a list

    def __init__(self, host, arguments=()):
        self.host = host
        self.arguments = list(arguments)
        self.processes = []

    def write(self, text):
        """Put the configuration where the daemon reads it."""
        self.host.write(self.path, text, like=self.owner)

    def start(self, text=None):
        """Start it and wait until it answers."""
        if text is not None:
            self.write(text)
        self.launch_only()
        return self.wait_ready()

    def start_empty(self):
        return self.start(self.empty)

    def launch_only(self):
        self.processes = self.launch()

    def wait_ready(self):
        def is_ready():
            for process in self.processes:
                if not process.is_running():
                    raise RuntimeError(f"{process.name} ended: {process.log()[-2000:]}")
            return self.sessions() is not None
        wait.until(is_ready, lambda: f"{self.kind} of {self.host.name} answers: {self.log()[-1000:]}")
        return self

    def launch(self):
        raise NotImplementedError

    def stop(self, number=signal.SIGTERM):
        for process in reversed(self.processes):
            process.stop(number)
        self.processes = []

    def kill(self):
        self.stop(signal.SIGKILL)

    def log(self):
        return "".join(process.log() for process in self.processes)

    def session(self, address):
        return self.sessions()[address]

    def established(self):
        """The addresses of all sessions that are up."""
        return {address for address, session in self.sessions().items() if session.is_up}

    def wait_established(self, *addresses, seconds=wait.SECONDS):
        wait.until(lambda: set(addresses) <= self.established(),
                   lambda: f"{self.host.name} ({self.kind}) has sessions with {', '.join(addresses)}; it has "
                           f"{({address: (session.state, session.error) for address, session in self.sessions().items()})}",
                   seconds)


class Bird(Daemon):
    kind = "bird"
    path = "/etc/bird/bird.conf"
    owner = "/etc/bird"
    control = "/run/bird/bird.ctl"
    empty = "router id 192.0.2.1;\nprotocol device { }\n"

    def __init__(self, host, arguments=(), instance="bird"):
        super().__init__(host, arguments)
        self.instance = instance
        if instance != "bird":  # one of several in this host
            self.path = f"/etc/bird/{instance}.conf"
            self.control = f"/run/bird/{instance}.ctl"

    def launch(self):
        self.host.make_directory("/run/bird", like=self.owner)
        self.host.make_directory("/etc/bird/local.d", like=self.owner)
        return [self.host.start(self.instance, "bird", "-f", "-u", "bird", "-g", "bird", "-c", self.path, "-s", self.control,
                                *self.arguments)]

    def ask(self, command):
        """One command over the control socket: [(code, text)], continuation lines with the code of theirs."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(30)
            control.connect(self.host.path(self.control))
            stream = control.makefile("r", encoding="utf-8", errors="replace")
            self._answer(stream)
            control.sendall(command.encode() + b"\n")
            return self._answer(stream)

    @staticmethod
    def _answer(stream):
        lines = []
        for line in stream:
            line = line.rstrip("\n")
            if line.startswith("+"):
                continue  # not an answer, news
            match = re.match(r"(\d{4})([- ])(.*)", line)
            if match is None:
                lines.append((lines[-1][0] if lines else 0, line[1:]))
                continue
            if match[3] or match[2] == "-":
                lines.append((int(match[1]), match[3]))
            if match[2] == " ":
                return lines
        raise OSError("bird closed its control socket")

    def reload(self, text=None):
        """Read the file again; AssertionError when it is refused."""
        if text is not None:
            self.write(text)
        answer = self.ask("configure")
        assert answer[-1][0] in (3, 4, 19), f"bird of {self.host.name} refuses its configuration: {answer}"
        wait.until(lambda: self.ask("configure status")[-1][0] == 3, "bird is reconfigured")

    def sessions(self):
        return {session.address: session for session in self.named_sessions().values()}

    def named_sessions(self):
        """The sessions by the names of their protocols: one BIRD may have several with one address."""
        found = {}
        current = None
        for code, text in self.ask("show protocols all"):
            fields = text.split()
            if code == 1002:
                current = None
                if len(fields) > 1 and fields[1] == "BGP":
                    current = found[fields[0]] = Session("Down", admin_down=fields[3] == "down")
            elif code == 1006 and current is not None:
                name, _, value = text.strip().partition(":")
                self._note(current, name, value.strip())
        return found

    @staticmethod
    def _note(session, name, value):
        if name == "Neighbor address":
            session.address = value.partition("%")[0]
        elif name == "Neighbor ID":
            session.router_id = value
        elif name == "BGP state":
            session.state = value
        elif name == "Neighbor AS":
            session.remote_as = int(value)
        elif name == "Local AS":
            session.local_as = int(value)
        elif name == "Restart time":
            session.restart_time = int(value)  # ours comes first, the other end's last
        elif name == "Hold timer":
            session.hold = int(float(value.partition("/")[2]))
        elif name == "Keepalive timer":
            session.keepalive = int(float(value.partition("/")[2]))
        elif name == "Last error":
            session.error = value

    def routes(self, family=4, session=None):
        """The best routes, or all that the named session has brought."""
        found = {}
        current = prefix = None
        which = f"protocol '{session}'" if session else "primary"
        for code, text in self.ask(f"show route all {which} table master{family}"):
            match = re.match(r"(\S+/\d+)?\s+(\w+) \[(\S+) ", text) if code == 1007 else None
            if match:
                prefix = match[1] or prefix
                current = found[prefix] = Route("", peer=match[3], other={"type": match[2]})
            elif current is not None:
                self._note_route(current, text.strip())
        return found

    @staticmethod
    def _note_route(route, text):
        name, _, value = text.partition(": ")
        if text.startswith("via "):
            route.other["via"] = text.split()[1]
        elif name == "BGP.next_hop":
            route.next_hop = value.split()[0]
        elif name == "BGP.as_path":
            route.as_path = tuple(int(number) for number in value.split())
        elif name in ("BGP.community", "BGP.large_community"):
            route.communities |= {re.sub(r", ?", ":", group) for group in re.findall(r"\(([^)]*)\)", value)}
        elif name == "BGP.local_pref":
            route.local_pref = int(value)
        elif name == "BGP.med":
            route.med = int(value)
        elif name.startswith("BGP."):
            route.other[name[4:]] = value


class Frr(Daemon):
    """zebra, staticd and bgpd, configured with vtysh as FRR's own init script does."""

    kind = "frr"
    path = "/etc/frr/frr.conf"
    owner = "/etc/frr"
    programs = "/usr/lib/frr"
    empty = "frr version 8.4.4\nfrr defaults traditional\n"

    def launch(self):
        started = []
        self.host.make_directory("/run/frr", like=self.owner)
        for name, options in (("zebra", ["-s", "90000000"]), ("staticd", []), ("bgpd", self.arguments)):
            self.host.remove(f"/run/frr/{name}.vty")  # what a killed one has left
            started.append(self.host.start(name, f"{self.programs}/{name}", "-A", "127.0.0.1", "--log", "stdout", *options))
            wait.until(lambda name=name: os.path.exists(self.host.path(f"/run/frr/{name}.vty")),
                       lambda: f"{name} of {self.host.name} listens: {started[-1].log()}")
        self.host.write("/etc/frr/vtysh.conf", "service integrated-vtysh-config\n", like=self.owner)
        status, text = self.host.run("vtysh", "-b", check=False)
        self.boot = (status, text)
        return started

    def ask(self, command):
        status, text = self.host.run("vtysh", "-c", command, check=False)
        if status != 0:
            raise OSError(f"{command}: {text}")
        return text

    def ask_json(self, command):
        return json.loads(self.ask(command + " json"))

    def reload(self, text=None):
        if text is not None:
            self.write(text)
        self.host.run("/usr/lib/frr/frr-reload.py", "--reload", self.path)

    def sessions(self):
        found = {}
        for address, peer in self.ask_json("show bgp neighbors").items():
            if "bgpState" not in peer:
                continue
            restart = peer.get("gracefulRestartInfo", {}).get("timers", {})
            found[address] = Session(
                peer["bgpState"], admin_down=peer.get("adminShutDown", False), remote_as=peer["remoteAs"],
                local_as=peer["localAs"], hold=peer["bgpTimerHoldTimeMsecs"] // 1000,
                keepalive=peer["bgpTimerKeepAliveIntervalMsecs"] // 1000, restart_time=restart.get("receivedRestartTimer"),
                password=peer.get("authenticationEnabled") == 1, error=peer.get("lastNotificationReason", ""))
        return found

    def routes(self, family=4):
        found = {}
        for prefix, paths in self.ask_json(f"show bgp ipv{family} unicast").get("routes", {}).items():
            for path in paths:
                if path.get("bestpath"):
                    found[prefix] = Route(path["nexthops"][0]["ip"], tuple(int(number) for number in path["path"].split()),
                                          local_pref=path.get("locPrf"), med=path.get("metric"), peer=path.get("peerId", ""),
                                          other=path)
        return found

    def communities(self, prefix, family=4):
        """The communities of the best path, which the table does not show."""
        paths = self.ask_json(f"show bgp ipv{family} unicast {prefix}")["paths"]
        best = next(path for path in paths if path.get("bestpath", {}).get("overall"))
        return frozenset(best.get("community", {}).get("list", []) + best.get("largeCommunity", {}).get("list", []))


class Gobgp(Daemon):
    kind = "gobgp"
    path = "/run/gobgp/gobgpd.conf"
    target = "unix:///run/gobgp/api.sock"
    empty = '[global.config]\nas = 64500\nrouter-id = "192.0.2.1"\n'
    states = ("Unknown", "Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established")

    def launch(self):
        return [self.host.start("gobgpd", "gobgpd", "-f", self.path, "--api-hosts", self.target, *self.arguments)]

    def ask(self, *words):
        status, text = self.host.run("gobgp", "--target", self.target, *words, "-j", check=False)
        if status != 0:
            raise OSError(f"gobgp {' '.join(words)}: {text}")
        return json.loads(text)

    def reload(self, text=None):
        if text is not None:
            self.write(text)
        self.processes[0].send(signal.SIGHUP)

    def sessions(self):
        found = {}
        for peer in self.ask("neighbor"):
            conf, state = peer["conf"], peer["state"]
            timers = peer.get("timers", {}).get("state", {})
            found[conf["neighbor_address"]] = Session(
                self.states[state.get("session_state", 0)], admin_down=state.get("admin_state", 0) == 1, remote_as=conf["peer_asn"],
                local_as=conf.get("local_asn"), hold=timers.get("negotiated_hold_time"), keepalive=timers.get("keepalive_interval"),
                restart_time=peer.get("graceful_restart", {}).get("peer_restart_time"), password=bool(conf.get("auth_password")))
        return found

    def routes(self, family=4):
        found = {}
        for prefix, paths in self.ask("global", "rib", "-a", f"ipv{family}").items():
            route = found[prefix] = Route("")
            for attribute in paths[0]["attrs"]:
                self._note(route, attribute)
        return found

    @staticmethod
    def _note(route, attribute):
        kind = attribute["type"]
        if kind == 2:
            route.as_path = tuple(number for part in attribute["as_paths"] for number in part["asns"])
        elif kind == 3:
            route.next_hop = attribute["nexthop"]
        elif kind == 4:
            route.med = attribute["metric"]
        elif kind == 5:
            route.local_pref = attribute["value"]
        elif kind == 8:
            route.communities |= {f"{value >> 16}:{value & 0xffff}" for value in attribute["communities"]}
        elif kind == 14:
            route.next_hop = attribute.get("nexthop", "")
        elif kind == 32:
            route.communities |= {f"{value['ASN']}:{value['LocalData1']}:{value['LocalData2']}" for value in attribute["value"]}


class Openbgpd(Daemon):
    kind = "openbgpd"
    path = "/run/openbgpd/bgpd.conf"
    control = "/run/openbgpd/bgpd.sock.0"
    empty = "AS 64500\nrouter-id 192.0.2.1\n"

    def write(self, text):
        self.host.write(self.path, text, mode=0o600)

    def launch(self):
        return [self.host.start("bgpd", "bgpd", "-d", "-f", self.path, *self.arguments)]

    def ask(self, *words):
        status, text = self.host.run("bgpctl", "-s", self.control, "-j", *words, check=False)
        if status != 0:
            raise OSError(f"bgpctl {' '.join(words)}: {text}")
        return json.loads(text)

    def reload(self, text=None):
        if text is not None:
            self.write(text)
        status, text = self.host.run("bgpctl", "-s", self.control, "reload", check=False)
        assert status == 0 and "request processed" in text, f"bgpd of {self.host.name} refuses its configuration: {text}"

    def control_neighbor(self, address, action):
        """clear, down or up: a reload leaves running sessions as they are."""
        self.host.run("bgpctl", "-s", self.control, "neighbor", address, action)

    def sessions(self):
        found = {}
        for peer in self.ask("show", "neighbor").get("neighbors", []):
            session = peer.get("session", {})
            found[peer["remote_addr"]] = Session(
                peer["state"], admin_down=peer["config"]["down"], remote_as=int(peer["remote_as"]), hold=session.get("holdtime"),
                keepalive=session.get("keepalive"), error=peer.get("last_error_received") or peer.get("last_error_sent") or "")
        return found

    def routes(self, family=4):
        found = {}
        for entry in self.ask("show", "rib", "detail").get("rib", []):
            if (":" in entry["prefix"]) == (family == 6) and entry.get("best", True):
                found[entry["prefix"]] = Route(
                    entry.get("exit_nexthop", entry.get("true_nexthop", "")), tuple(int(number) for number in entry["aspath"].split()),
                    frozenset(re.sub(r"\s", "", text) for text in entry.get("communities", []) + entry.get("large_communities", [])),
                    entry.get("localpref"), entry.get("metric"), entry.get("neighbor", {}).get("remote_addr", ""))
        return found


KINDS = {daemon.kind: daemon for daemon in (Bird, Frr, Gobgp, Openbgpd)}
