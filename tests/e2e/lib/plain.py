"""Peers that the service knows nothing about: plain BIRDs, each with one session and an address of its own."""
import dataclasses
import ipaddress

from .daemons import Bird


@dataclasses.dataclass(frozen=True)
class Sent:
    """One prefix that a peer announces."""
    prefix: str
    communities: tuple = ()     # "64496:7", "64496:1:2"
    path: tuple = ()            # AS numbers behind the peer's own
    local_pref: int = None      # to internal ones


@dataclasses.dataclass(frozen=True)
class Peer:
    """One session of such a peer, as the other end must have it as well."""
    address: str                # its own
    host: str                   # the other end's
    as_number: int = 64496
    host_as: int = 64500
    password: str = None
    ttl_security: bool = False
    ttl: int = 255              # that it sends with
    passive: bool = False
    port: int = None            # its own
    host_port: int = None
    sends: tuple = ()
    enabled: bool = True

    @property
    def family(self):
        return ipaddress.ip_address(self.address).version

    def text(self, name):
        port = f" port {self.port}" if self.port else ""
        host_port = f" port {self.host_port}" if self.host_port else ""
        lines = [
            f"protocol bgp '{protocol(name)}' {{",
            "  connect delay time 1; connect retry time 1; error wait time 1, 2; graceful restart off;",
            # Only at its own address, so that the others in its namespace have theirs.
            "  strict bind yes;",
            f"  local {self.address}{port} as {self.as_number}; neighbor {self.host}{host_port} as {self.host_as};",
            "  direct; ttl security on;" if self.ttl_security else f"  multihop {self.ttl};",
            "" if self.enabled else "  disabled yes;",
            "  passive on;" if self.passive else "",
            f'  password "{self.password}";' if self.password else "",
            "  allow local as 9;",
            f"  ipv{self.family} {{ add paths off; import all; export filter {{",
        ]
        for sent in self.sends:
            actions = "".join(f"bgp_path.prepend({number}); " for number in reversed(sent.path))
            if sent.local_pref is not None:
                actions += f"bgp_local_pref = {sent.local_pref}; "
            for community in sent.communities:
                parts = community.split(":")
                kind = "bgp_community" if len(parts) == 2 else "bgp_large_community"
                actions += f"{kind}.add(({', '.join(parts)})); "
            lines.append(f"    if proto = \"{statics(name)}\" && net = {sent.prefix} then {{ {actions}accept; }}")
        lines += ["    reject; }; };", "}"]
        if self.sends:
            lines.append(f"protocol static '{statics(name)}' {{ ipv{self.family};")
            lines += [f"  route {sent.prefix} blackhole;" for sent in self.sends]
            lines.append("}")
        return "\n".join(line for line in lines if line) + "\n"


def protocol(name):
    """The peer's name in BIRD: with a dot, because a keyword remains one in quotation marks."""
    return f"p.{name}"


def statics(name):
    return f"s.{name}"


class Peers:
    """All peers of one host, in one namespace: a BIRD for each, because one BIRD has one session with an address."""

    def __init__(self, host):
        self.host = host
        self.peers = {}
        self.daemons = {}

    def start(self):
        for name in self.peers:
            self.daemons[name] = Bird(self.host, instance=name)
            self.daemons[name].write(self.text(name))
            self.daemons[name].launch_only()
        for daemon in self.daemons.values():
            daemon.wait_ready()

    def text(self, name):
        peer = self.peers[name]
        number = peer.address if peer.family == 4 else "192.0.2.253"
        return f"router id {number};\nprotocol device {{ }}\nprotocol direct {{ ipv4; ipv6; }}\n" + peer.text(name)

    def change(self, name, **members):
        """Give a peer other properties, at once if it runs."""
        self.peers[name] = dataclasses.replace(self.peers[name], **members)
        self.daemons[name].reload(self.text(name))

    def session(self, name):
        return self.daemons[name].named_sessions()[protocol(name)]

    def received(self, name):
        """What the host has announced to this peer: {prefix: Route}."""
        return self.daemons[name].routes(self.peers[name].family, session=protocol(name))
