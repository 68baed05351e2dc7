"""For each field of a list: a change of it, and how one sees at a host, or at its peer, that the change counts.

The names of the fields are those of the service's own table (`bgppeerd render --fields`); a field that has no case
here is untested, and the test says so. A case changes one session, or a whole node; all other sessions go on.
"""
import dataclasses
import typing

from . import kernel, wait
from .fleet import document, secret
from .places import FAR, FLEET_AS, LEARNED, OWN, PEER_AS, block
from .plain import Sent

PRIORITY, PREFERENCE = 500, 2147483647 - 500  # Calico: LOCAL_PREF = 2147483647 - priority


@dataclasses.dataclass
class Case:
    field: str                                  # as the service calls it
    name: str                                   # of the session, the peer and, with the daemon's kind, the BGPPeer
    effect: typing.Callable                     # (ground, place, name): fails unless the change counts
    before: dict = dataclasses.field(default_factory=dict)       # the BGPPeer's settings
    after: dict = None
    peer: dict = dataclasses.field(default_factory=dict)         # the peer's, likewise
    peer_after: dict = dataclasses.field(default_factory=dict)
    documents: typing.Callable = lambda ground, place: []        # (ground, place): what is stored in the beginning
    documents_after: typing.Callable = lambda ground, place: []  # … and what the change is, besides the BGPPeer
    addresses: typing.Callable = None           # (place): (the peer's address before, after); None: the next free one
    whole_node: bool = False                    # it may restart every session of the node
    beyond: tuple = ()                          # kinds of daemon that take other values of the field, and not this one


def up(_, place, name):
    place.wait_up(name)


def rules(name, **spec):
    """A BGPFilter that belongs to a case."""
    return document("BGPFilter", name, spec)


def filtered(field, name, effect, *, sends=(), beyond=(), **spec):
    """A case that adds a filter to a session."""
    return Case(field, name, effect, before=spec.pop("before", {}), after={**spec.pop("after", {}), "filters": [name]}, beyond=beyond,
                peer={"sends": sends, **spec.pop("peer", {})}, documents=lambda ground, place: [rules(name, **spec)])


# ---- single sessions ----

def remote_port(_, place, name):
    place.wait_up(name)
    pairs = place.connections()[place.address_of(name)]
    assert {remote for _, remote in pairs} == {1790}, pairs


def remote_as(_, place, name):
    place.wait_up(name)
    assert place.session(name).remote_as == 64498, place.session(name)


def local_as(_, place, name):
    place.wait_up(name)
    assert place.peers.session(name).remote_as == 65540
    routes = place.wait_received(name, *OWN)
    assert all(route.as_path[0] == 65540 for route in routes.values()), routes


def internal(_, place, name):
    route = place.wait_received(name, *OWN)[OWN[0]]
    assert route.as_path == () and route.local_pref is not None, route


def signed(_, place, name):
    place.wait_up(name)
    listening, established = kernel.signed(place.host)
    assert place.address_of(name) in listening and place.address_of(name) in established, (listening, established)


def gtsm(_, place, name):
    drops = kernel.counters(place.host)["TcpExtTCPMinTTLDrop"]
    place.wait_down(name)  # the peer still sends a TTL of 64
    wait.until(lambda: kernel.counters(place.host)["TcpExtTCPMinTTLDrop"] > drops, f"{place.name} drops what comes from afar")
    place.peers.change(name, ttl_security=True)
    if place.kind == "openbgpd":  # it waits 240 s for what it cannot hear, whatever the hold time
        place.daemon.control_neighbor(place.address_of(name), "clear")
    place.wait_up(name)


def restart_time(_, place, name):
    place.bounce(name)
    assert place.peers.session(name).restart_time == 77, place.peers.session(name)


def keepalive(_, place, name):
    place.bounce(name)
    assert place.peers.session(name).hold == 21, place.peers.session(name)
    assert place.session(name).hold == 21 and place.session(name).keepalive == 7, place.session(name)


def next_hop(wanted):
    def effect(_, place, name):
        place.wait_up(name)
        wait.until(lambda: place.peers.received(name)[LEARNED].next_hop == wanted(place),
                   lambda: f"next hop {wanted(place)}: {place.peers.received(name)}")
    return effect


def passive(_, place, name):
    place.wait_up(name)
    pairs = place.connections()[place.address_of(name)]
    assert {own for own, _ in pairs} == {179}, f"{place.name} has opened the connection itself: {pairs}"


def gateway(_, place, name):
    wait.until(lambda: kernel.routes(place.host)[f"{FAR}/32"][0] == {place.gateways[1]},
               lambda: f"{FAR} by way of {place.gateways[1]}: {kernel.routes(place.host)}")
    place.wait_up(name)


def withheld(ground, place, name):
    place.wait_down(name)
    assert place.address_of(name) not in place.connections()
    ground.fleet.apply(secret(f"late-{place.kind}", password="late-Password"))
    place.peers.change(name, password="late-Password")
    place.wait_up(name)


def origin(ground, place, name):
    """The same session from another BGPPeer: it goes on, and the file names the other one."""
    place.wait_up(name)
    before = place.connections()[place.address_of(name)]
    copy = ground.peer(place, name)
    copy["metadata"]["name"] = f"z-{name}-{place.kind}"
    ground.fleet.apply(copy)
    ground.fleet.delete("BGPPeer", f"{name}-{place.kind}")
    place.feeder.wait_applied()
    assert f"z-{name}-{place.kind}" in place.host.read(place.daemon.path)
    assert place.connections()[place.address_of(name)] == before, "the session has restarted for its BGPPeer's name"


def looped(_, place, name):
    place.wait_accepted(name, str(block(11)))


SECRETS = secret("passwords", first="documented-Pass")
PASSWORD = {"password": {"secretKeyRef": {"name": "passwords", "key": "first"}}}


def late(place):
    return {"password": {"secretKeyRef": {"name": f"late-{place.kind}", "key": "password"}}}


PASS_ON = rules("pass-on", exportV4=[{"action": "Accept", "cidr": LEARNED, "matchOperator": "Equal"}])

SESSION_CASES = [
    Case("peerIP", "moved", up, addresses=lambda place: (place.near(60), place.near(61))),
    Case("port", "port", remote_port, after={"port": 1790}, peer={"passive": True}, peer_after={"port": 1790}),
    Case("asNumber", "as", remote_as, after={"asNumber": 64498}, peer_after={"as_number": 64498}),
    Case("localASNumber", "local-as", local_as, after={"localASNumber": 65540}, peer_after={"host_as": 65540}),
    Case("type", "type", internal, after={"asNumber": FLEET_AS}, peer_after={"as_number": FLEET_AS}),
    Case("sourceAddress", "source-address", up, after={"sourceAddress": "None"}, peer_after={"host": None}),
    Case("password", "password", signed, after=PASSWORD, peer_after={"password": "documented-Pass"},
         documents=lambda ground, place: [SECRETS]),
    # A short hold time: until it is over, a host that no longer hears its peer waits.
    Case("ttlSecurity", "gtsm", gtsm, before={"keepaliveTime": "3s"}, after={"keepaliveTime": "3s", "ttlSecurity": 1}, peer={"ttl": 64}),
    Case("maxRestartTimeSeconds", "restart-time", restart_time, after={"maxRestartTime": "77s"}),
    Case("keepaliveTimeSeconds", "keepalive", keepalive, after={"keepaliveTime": "7s"}),
    Case("nextHop", "self", next_hop(lambda place: place.address), before={"asNumber": FLEET_AS, "filters": ["pass-on"]},
         after={"asNumber": FLEET_AS, "filters": ["pass-on"], "nextHopMode": "Self"}, peer={"as_number": FLEET_AS},
         documents=lambda ground, place: [PASS_ON]),
    Case("nextHop", "keep", next_hop(lambda place: place.near(6)), before={"filters": ["pass-on"]},
         after={"filters": ["pass-on"], "nextHopMode": "Keep"}),
    Case("numAllowedLocalASNumbers", "allowed-as", looped, after={"numAllowedLocalASNumbers": 1},
         peer={"sends": (Sent(str(block(11)), path=(FLEET_AS,)),)}),
    Case("passive", "passive", passive, after={"everywhere": True},
         documents=lambda ground, place: [document("Node", f"friend-{place.kind}", {"bgp": {
             "ipv4Address": place.address_of("passive"), "asNumber": PEER_AS}})]),
    Case("reachableBy", "reachable", gateway, after=lambda place: {"reachableBy": place.gateways[1]},
         addresses=lambda place: (FAR, FAR)),
    Case("withheld", "withheld", withheld, before=PASSWORD, after=late, peer={"password": "documented-Pass"}),
    Case("origin", "origin", origin, after={}),
]


# ---- filters ----

def parts(number):
    """Of the block of a case: all of it, its halves, and two single addresses of the first half."""
    whole = block(number)
    first, second = whole.subnets(1)
    one, two = list(first.subnets(2))[:2]
    return [str(network) for network in (whole, first, second, one, two)]


def accepts(*prefixes):
    return lambda _, place, name: place.wait_accepted(name, *prefixes)


def announces(*prefixes):
    return lambda _, place, name: place.wait_received(name, *prefixes)


def sends(*prefixes):
    return tuple(Sent(prefix) for prefix in prefixes)


def carries(*communities):
    def effect(_, place, name):
        routes = place.wait_received(name, *OWN)
        wait.until(lambda: set(communities) <= place.peers.received(name)[OWN[0]].communities, f"{communities}: {routes}")
    return effect


def prepended(*own):
    """On what the host announces, behind the AS numbers that it puts there itself."""
    def effect(_, place, name):
        place.wait_received(name, *OWN)
        wait.until(lambda: place.peers.received(name)[OWN[0]].as_path == (*own, 65541, 65542),
                   lambda: f"{(*own, 65541, 65542)}: {place.peers.received(name)}")
    return effect


def preferred(_, place, name):
    place.wait_up(name)
    wait.until(lambda: place.daemon.routes()[str(block(28))].local_pref == PREFERENCE,
               lambda: f"local preference {PREFERENCE}: {place.daemon.routes()}")


IN, NOT_IN, TYPE, COMMUNITY, PATH, PRIORITIES, SOURCE, FIRST = (parts(number) for number in (18, 19, 22, 23, 24, 25, 26, 27))
OUTSIDE = str(block(20))
REJECT = {"action": "Reject"}
OURS = {"cidr": "203.0.113.240/29", "matchOperator": "In"}  # both of OWN

FILTER_CASES = [
    filtered("filters", "filters", announces(OWN[0]), exportV4=[
        {"action": "Accept", "cidr": OWN[0], "matchOperator": "Equal"}, REJECT]),
    filtered("filters[].cidr with In, Equal", "in", accepts(IN[0], IN[1]), sends=sends(*IN), importV4=[
        {"action": "Reject", "cidr": IN[2], "matchOperator": "Equal"},
        {"action": "Reject", "cidr": IN[0], "matchOperator": "In", "prefixLength": {"min": 31, "max": 32}}]),
    filtered("filters[].cidr with NotIn, NotEqual", "not-in", accepts(NOT_IN[1], NOT_IN[2]), sends=sends(*NOT_IN, OUTSIDE), importV4=[
        {"action": "Reject", "cidr": NOT_IN[0], "matchOperator": "NotIn"},
        {"action": "Accept", "cidr": NOT_IN[1], "matchOperator": "Equal"},
        {"action": "Reject", "cidr": NOT_IN[2], "matchOperator": "NotEqual"}]),
    filtered("filters[].source", "remote", announces(LEARNED), beyond=("openbgpd",), exportV4=[
        {"action": "Accept", "cidr": LEARNED, "matchOperator": "In", "source": "RemotePeers"}, REJECT]),
    filtered("filters[].source", "from-remote", accepts(SOURCE[1]), sends=sends(*SOURCE[:2]), importV4=[
        {"action": "Accept", "cidr": SOURCE[1], "matchOperator": "Equal", "source": "RemotePeers"}, REJECT]),
    filtered("filters[].interface", "interface", announces(*OWN), exportV4=[
        {"action": "Reject", "interface": "net*", "source": "RemotePeers"},
        {"action": "Accept", "cidr": LEARNED, "matchOperator": "Equal"}]),
    filtered("filters[].peerType", "peer-type", accepts(*TYPE[2:]), sends=sends(*TYPE), importV4=[
        {"action": "Reject", "peerType": "iBGP", "cidr": TYPE[2], "matchOperator": "In"},
        {"action": "Reject", "peerType": "eBGP", "cidr": TYPE[0], "matchOperator": "Equal"},
        {"action": "Reject", "peerType": "eBGP", "cidr": TYPE[1], "matchOperator": "Equal"}]),
    filtered("filters[].communities", "communities", accepts(*COMMUNITY[2:]), sends=(
        Sent(COMMUNITY[0], ("64496:7",)), Sent(COMMUNITY[1], ("64496:1:2",)), Sent(COMMUNITY[2], ("64496:8", "64496:1:3")),
        *sends(*COMMUNITY[3:])), importV4=[
            {"action": "Reject", "communities": {"values": ["64496:7"]}},
            {"action": "Reject", "communities": {"values": ["64496:1:2"]}}]),
    filtered("filters[].asPathPrefix", "path", accepts(*PATH[1:]), beyond=("openbgpd",), sends=(
        Sent(PATH[0], path=(65541, 65542)), Sent(PATH[1], path=(65542, 65541)), *sends(*PATH[2:])), importV4=[
            {"action": "Reject", "asPathPrefix": [PEER_AS, 65541]}]),
    filtered("filters[].asPathPrefix", "first-as", accepts(), sends=sends(*FIRST[:2]), importV4=[
        {"action": "Reject", "asPathPrefix": [PEER_AS]}]),
    filtered("filters[].priority", "priority", accepts(*PRIORITIES[1:]), before={"asNumber": FLEET_AS}, after={"asNumber": FLEET_AS},
             peer={"as_number": FLEET_AS}, sends=(Sent(PRIORITIES[0], local_pref=PREFERENCE), *sends(*PRIORITIES[1:])), importV4=[
                 {"action": "Reject", "priority": PRIORITY}]),
    filtered("filters[].operations[].addCommunity", "add-community", carries("64500:9", "64500:1:9"), exportV4=[
        {"action": "Accept", **OURS, "operations": [{"addCommunity": {"value": "64500:9"}}, {"addCommunity": {"value": "64500:1:9"}}]}]),
    filtered("filters[].operations[].prependASPath", "prepend", prepended(FLEET_AS), beyond=("gobgp",), exportV4=[
        {"action": "Accept", **OURS, "operations": [{"prependASPath": {"prefix": [65541, 65542]}}]}]),
    filtered("filters[].operations[].prependASPath", "prepend-internal", prepended(), before={"asNumber": FLEET_AS},
             after={"asNumber": FLEET_AS}, peer={"as_number": FLEET_AS}, exportV4=[
                 {"action": "Accept", **OURS, "operations": [{"prependASPath": {"prefix": [65541, 65542]}}]}]),
    filtered("filters[].operations[].setPriority", "set-priority", preferred, sends=sends(str(block(28))), importV4=[
        {"action": "Accept", "operations": [{"setPriority": {"value": PRIORITY}}]}]),
]


# ---- whole nodes ----

MORE = "198.51.100.192/29"


def of_node(field, effect, name="witness", **after):
    """A case that changes the Node; `name` is the session that shows it."""
    return Case(field, name, effect, whole_node=True, documents_after=lambda ground, place: [ground.node(place, **after)])


def of_configuration(field, effect, **spec):
    """A case that changes the node's own BGPConfiguration."""
    return Case(field, "witness", effect, whole_node=True,
                documents_after=lambda ground, place: [document("BGPConfiguration", f"node.{place.name}", spec)])


def reflected(ground, place, name):
    """A route of one internal peer goes to the other, with the cluster's ID."""
    wait.until(lambda: "cluster_list" in place.peers.received(name)[str(block(29))].other,
               lambda: f"{block(29)} reflected to {name}: {place.peers.received(name)}")


def advertised(*more):
    return [{"cidr": cidr} for cidr in OWN] + list(more)


def tagged(ground, place, name):
    place.wait_up(name)
    wait.until(lambda: place.peers.received(name)[MORE].communities == {"64500:3", "64500:1:3"},
               lambda: f"{MORE} with communities: {place.peers.received(name)}")


def restarted(ground, place):
    """GoBGP takes some settings only when it starts: the report says so, until the host has started it again."""
    def complaint():
        return ground.status(place).get("applyError", "")
    if place.kind == "gobgp":
        wait.until(lambda: "only when it starts" in complaint(), lambda: f"{place.name} asks for a restart: {complaint()!r}")
        place.daemon.stop()
        place.daemon.launch_only()
        place.daemon.wait_ready()
        place.was_restarted = True
        wait.until(lambda: not complaint(), lambda: f"{place.name} asks for nothing: {complaint()!r}")


def node_as(ground, place, name):
    restarted(ground, place)
    for peer in place.peers.peers:
        if place.peers.peers[peer].host_as == FLEET_AS:
            place.peers.change(peer, host_as=64510)
    place.wait_up(name)
    assert place.peers.session(name).remote_as == 64510


def router_id(ground, place, name):
    restarted(ground, place)
    wait.until(lambda: place.peers.session(name).router_id == "198.51.100.7", lambda: f"router ID: {place.peers.session(name)}")
    place.wait_up(name)


def listen_port(ground, place, name):
    restarted(ground, place)
    wait.until(lambda: any(port == 1790 for _, port in kernel.listening(place.host)), lambda: f"port 1790: {kernel.listening(place.host)}")
    place.peers.change(name, host_port=1790)
    place.wait_up(name)


def bind_mode(ground, place, name):
    """BIRD does not listen on one address of a family that has a session without an address of its own, as IPv4 has here."""
    restarted(ground, place)
    own = {(place.address6, 179)} | ({(place.address, 179)} if place.kind != "bird" else set())
    wait.until(lambda: own <= kernel.listening(place.host),
               lambda: f"{place.name} listens on its own addresses: {kernel.listening(place.host)}")
    place.wait_up(name)


def ignored(ground, place, name):
    """A route of an interface that is to be ignored is no route of the daemon's."""
    place.feeder.wait_applied()
    wait.until(lambda: CABLE not in place.daemon.routes(), lambda: f"{place.name} ignores cali0: {place.daemon.routes()}")
    place.wait_up(name)


def says_more(ground, place, name):
    """A daemon that writes to the system's log: what the configuration asks it for."""
    place.feeder.wait_applied()
    wanted = {"bird": "log syslog all;", "frr": "log syslog debugging"}[place.kind]
    assert wanted in place.host.read(place.daemon.path)
    place.wait_up(name)


CABLE = "198.51.100.216/29"  # of an interface of the host

NODE_CASES = [
    of_node("advertise", lambda ground, place, name: place.wait_received(name, *OWN, MORE),
            prefixAdvertisements=advertised({"cidr": MORE})),
    of_node("advertise[].communities", tagged, prefixAdvertisements=advertised(
        {"cidr": MORE, "communities": ["64500:3", "64500:1:3"]})),
    of_node("routeReflectorClusterID", reflected, name="client", routeReflectorClusterID="244.0.0.1"),
    of_configuration("local.logSeverity", says_more, logSeverityScreen="Debug"),
    of_configuration("local.ignoredInterfaces", ignored, ignoredInterfaces=["cali*"]),
    of_configuration("local.bindMode", bind_mode, bindMode="NodeIP"),
    of_node("local.routerID", router_id, routerID="198.51.100.7"),
    of_node("local.asNumber", node_as, asNumber=64510),
    of_configuration("local.listenPort", listen_port, listenPort=1790),
]
ALL_CASES = SESSION_CASES + FILTER_CASES + NODE_CASES
