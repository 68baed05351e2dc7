"""A full mesh of all four daemons, with a password and both families: each pair has its two sessions.

tests/run: timeout 600
"""
import os

from lib import case, fleet, kernel, wait
from lib.daemons import KINDS

SHORT = os.environ.get("E2E") == "short"
DRIVEN = fleet.drivable("bird", "frr", *(() if SHORT else ("gobgp", "openbgpd")))
NODES = {f"mesh-{kind}": kind for kind in DRIVEN} | {"mesh-bird2": "bird"}
SECONDS = 300  # OpenBGPD, once refused, tries again after two minutes
ADDRESSES = {name: (f"192.0.2.{9 + number}", f"2001:db8::{9 + number}") for number, name in enumerate(NODES)}


def announced(name):
    number = list(NODES).index(name) * 8
    return f"203.0.113.{number}/29", f"2001:db8:{number + 16}::/48"


class MeshTest(case.LabTest):
    @classmethod
    def build(cls):
        cls.lab.network("mesh")
        cls.fleet = fleet.Fleet(cls.lab, NODES)
        cls.addClassCleanup(cls.fleet.close)
        reference = {"secretKeyRef": {"name": "mesh", "key": "password"}}
        cls.fleet.apply(
            fleet.secret("mesh", password="mesh-Password"),
            fleet.document("BGPConfiguration", "default", {"asNumber": 64500, "nodeMeshPassword": reference}),
            *(fleet.document("Node", name, {"bgp": {
                "ipv4Address": f"{ADDRESSES[name][0]}/24", "ipv6Address": f"{ADDRESSES[name][1]}/64",
                "prefixAdvertisements": [{"cidr": cidr} for cidr in announced(name)]}}) for name in NODES))
        cls.daemons = {}
        for name, kind in NODES.items():
            host = cls.lab.host(name)
            cls.lab.plug(host, "mesh", f"{ADDRESSES[name][0]}/24", f"{ADDRESSES[name][1]}/64")
            cls.fleet.join(host)
            cls.daemons[name] = KINDS[kind](host).start_empty()
            fleet.feeder(cls.fleet, cls.daemons[name]).start()

    def setUp(self):
        for name, daemon in self.daemons.items():
            daemon.wait_established(*(address for other in NODES if other != name for address in ADDRESSES[other]), seconds=SECONDS)

    def test_no_session_is_more_than_the_lists_say(self):
        for name, daemon in self.daemons.items():
            wanted = {item["peerIP"] for item in self.fleet.peerings(name)["items"]}
            self.assertEqual(set(daemon.sessions()), wanted)
            self.assertEqual(set(kernel.connections(daemon.host)), wanted)

    def test_one_end_opens(self):
        """Passive is who has the smaller address as text: it waits at port 179."""
        for name, daemon in self.daemons.items():
            for item in self.fleet.peerings(name)["items"]:
                with self.subTest(node=name, peer=item["peerIP"]):
                    own_ports = {own for own, _ in kernel.connections(daemon.host)[item["peerIP"]]}
                    self.assertEqual(own_ports == {179}, item.get("passive", False), own_ports)

    def test_all_are_signed(self):
        for name, daemon in self.daemons.items():
            wanted = {item["peerIP"] for item in self.fleet.peerings(name)["items"]}
            listening, established = kernel.signed(daemon.host)
            self.assertEqual((name, established), (name, wanted))
            self.assertLessEqual(wanted, listening)

    def test_announcements_reach_everybody(self):
        for name, daemon in self.daemons.items():
            for other in set(NODES) - {name}:
                for family, cidr, next_hop in ((4, announced(other)[0], ADDRESSES[other][0]), (6, announced(other)[1], ADDRESSES[other][1])):
                    with self.subTest(node=name, other=other, family=family):
                        route = wait.until(lambda daemon=daemon, family=family, cidr=cidr: daemon.routes(family).get(cidr), f"{cidr} at {name}")
                        self.assertEqual((route.next_hop, route.as_path), (next_hop, ()))


if __name__ == "__main__":
    case.main()
