"""One host of each kind of daemon, with many peers of its own: where single fields of lists are changed.

Each host has its own network, with its peers in one namespace; every peer is one session of the host's list, from
one BGPPeer of the service. The hosts know nothing of each other.
"""
import ipaddress

from . import fleet as fleet_room
from . import kernel, wait
from .daemons import KINDS
from .plain import Peer, Peers, Sent

PORTS = (179, 1790)
FLEET_AS, PEER_AS, SOURCE_AS = 64500, 64496, 64499
OWN = ("203.0.113.240/30", "203.0.113.244/30")  # what every host announces
LEARNED = "203.0.113.248/30"                    # what it learns from the session `source`
FAR, FAR_NETWORK = "198.51.100.254", "198.51.100.248/29"  # a peer behind a gateway


def block(number):
    """Eight addresses that belong to one case."""
    return ipaddress.ip_network((int(ipaddress.ip_address("203.0.113.0" if number < 30 else "198.51.100.0")) + number % 30 * 8, 29))


class Place:
    """The host of one kind of daemon."""

    def __init__(self, lab, kind, number):
        self.lab = lab
        self.kind = kind
        self.number = number
        self.name = f"host-{kind}"
        self.network = f"net{number}"
        self.address, self.other = self.near(1), self.near(2)
        self.gateways = self.near(3), self.near(4)
        self.address6, self.peer6 = f"2001:db8:{number + 1}::1", f"2001:db8:{number + 1}::2"
        lab.network(self.network)
        self.host = lab.host(self.name)
        # The node's address is not the one that the kernel chooses by itself.
        lab.plug(self.host, self.network, f"{self.other}/26", f"{self.address}/26", f"{self.address6}/64", interface="net")
        self.host.configure(f"route add {FAR_NETWORK} via {self.gateways[0]}")
        peers = lab.host(f"peers-{kind}")
        lab.plug(peers, self.network, *(f"{self.near(last)}/26" for last in range(3, 63)), f"{self.peer6}/64")
        peers.configure(f"address add {FAR}/32 dev lo")
        self.peers = Peers(peers)
        self.daemon = KINDS[kind](self.host)
        self.feeder = None
        self.was_restarted = False
        self.broken = set()     # sessions that a failed case has left in an unknown state

    def near(self, last):
        return f"192.0.2.{self.number * 64 + last}"

    def add_peer(self, name, **members):
        self.peers.peers[name] = Peer(**{"host": self.address, "as_number": PEER_AS, "host_as": FLEET_AS, **members})

    def address_of(self, name):
        return self.peers.peers[name].address

    def session(self, name):
        return self.daemon.sessions()[self.address_of(name)]

    def is_up(self, name):
        """Both ends say so."""
        session = self.daemon.sessions().get(self.address_of(name))
        return session is not None and session.is_up and self.peers.session(name).is_up

    def wait_up(self, name):
        wait.until(lambda: self.is_up(name), lambda: f"{self.name} has its session {name}: here "
                   f"{self.daemon.sessions().get(self.address_of(name))}, there {self.peers.session(name)}")

    def wait_down(self, name):
        """The host has no such session, and gets none. (A peer may take for one what the host does not.)"""
        def is_down():
            session = self.daemon.sessions().get(self.address_of(name))
            return session is None or not session.is_up
        wait.until(is_down, f"session {name} of {self.name} is down")
        wait.stays(is_down, f"session {name} of {self.name} is down")

    def bounce(self, name):
        """Let the peer end the session and begin it again: some settings count from the next OPEN on."""
        self.peers.change(name, enabled=False)
        wait.until(lambda: not self.daemon.sessions()[self.address_of(name)].is_up, f"session {name} of {self.name} has ended")
        self.peers.change(name, enabled=True)
        self.wait_up(name)

    def accepted(self, name):
        """What the host's daemon has taken of what this peer sends."""
        sent = {entry.prefix for entry in self.peers.peers[name].sends}
        return sent & set(self.daemon.routes(self.peers.peers[name].family))

    def wait_accepted(self, name, *prefixes):
        self.wait_up(name)
        wait.until(lambda: self.accepted(name) == set(prefixes),
                   lambda: f"{self.name} accepts {sorted(prefixes)} of {name}; it has {sorted(self.accepted(name))}")
        wait.stays(lambda: self.accepted(name) == set(prefixes), f"{self.name} accepts {sorted(prefixes)}", seconds=0.5)

    def wait_received(self, name, *prefixes):
        """Wait until the host has announced exactly these to a peer; the routes."""
        self.wait_up(name)
        wait.until(lambda: set(self.peers.received(name)) == set(prefixes),
                   lambda: f"{self.name} announces {sorted(prefixes)} to {name}; it does {sorted(self.peers.received(name))}")
        return self.peers.received(name)

    def connections(self):
        return kernel.connections(self.host, PORTS)

    def steady(self):
        """The connections of sessions that are what they should be."""
        broken = {self.address_of(name) for name in self.broken}
        return {address: pairs for address, pairs in self.connections().items() if address not in broken}


class Ground:
    """All places, and the service that their lists come from."""

    def __init__(self, lab, kinds, feeder):
        self.lab = lab
        self.places = [Place(lab, kind, number) for number, kind in enumerate(kinds)]
        self.fleet = fleet_room.Fleet(lab, [place.name for place in self.places])
        self.feeder = feeder

    def node(self, place, **members):
        return fleet_room.document("Node", place.name, {"bgp": {
            "ipv4Address": place.address, "ipv6Address": place.address6, "prefixAdvertisements": [{"cidr": cidr} for cidr in OWN], **members}})

    def status(self, place):
        """What the service knows of the place's agent."""
        return self.fleet.demand("GET", f"{fleet_room.CALICO}/nodes/{place.name}/peerings/status")["status"]

    def peer(self, place, name, peer_ip=None, everywhere=False, **spec):
        """The BGPPeer of one peer of a place."""
        where = {} if everywhere else {"node": place.name}
        return fleet_room.document("BGPPeer", f"{name}-{place.kind}",
                                   {**where, "peerIP": peer_ip or place.address_of(name), "asNumber": PEER_AS, **spec})

    def start(self, *documents):
        """Store what the lists are made of, then start peers, daemons and feeders."""
        self.fleet.apply(
            fleet_room.document("BGPConfiguration", "default", {"asNumber": FLEET_AS, "nodeToNodeMeshEnabled": False}),
            *(self.node(place) for place in self.places), *documents)
        for place in self.places:
            place.peers.start()
            self.fleet.join(place.host)
            place.daemon.start_empty()
            place.feeder = self.feeder(self.fleet, place.daemon)
            place.feeder.start()

    def add_bystanders(self):
        """Sessions that no case changes: one of each family, and one that brings a route. Their documents."""
        documents = []
        for place in self.places:
            place.add_peer("witness", address=place.near(5), as_number=64497)
            place.add_peer("witness6", address=place.peer6, host=place.address6, as_number=64497)
            place.add_peer("source", address=place.near(6), as_number=SOURCE_AS, sends=(Sent(LEARNED),))
            documents += [self.peer(place, "witness", asNumber=64497), self.peer(place, "witness6", asNumber=64497),
                          self.peer(place, "source", asNumber=SOURCE_AS)]
        return documents
