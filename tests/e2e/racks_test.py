"""The two racks of api/examples with real daemons: what the lists say is what the hosts do, and nothing else.

tests/run: timeout 600
"""
import ipaddress
import os
import unittest


from lib import case, fleet, kernel, wait
from lib.racks import COLLECTOR_ADDRESS, FOREIGN, HOSTS, Racks


class RacksTest(case.LabTest):
    feeder = staticmethod(fleet.feeder)

    @classmethod
    def build(cls):
        cls.racks = Racks(cls.lab, cls.feeder)
        cls.addClassCleanup(cls.racks.fleet.close)
        cls.racks.wait_converged()

    def setUp(self):
        self.racks.wait_converged()

    def test_every_session_is_established_at_both_ends(self):
        racks = self.racks
        self.assertEqual(racks.collector.established(), {address for _, address in HOSTS.values()})
        self.assertLessEqual({"192.168.1.11", "192.168.1.12"}, racks.tor1.established())
        self.assertLessEqual({"192.168.2.11", "192.168.2.12"}, racks.tor2.established())

    def test_switches_hear_of_pods_and_nothing_else(self):
        racks = self.racks
        for name in ("rack1-host1", "rack1-host2"):
            for prefix in racks.pods[name]:
                route = wait.until(lambda prefix=prefix: racks.tor1.routes().get(prefix), f"{prefix} at tor1")
                self.assertEqual(route.next_hop, HOSTS[name][1])
        for name in ("rack2-host1", "rack2-host2"):
            for prefix in racks.pods[name]:
                route = wait.until(lambda prefix=prefix: racks.tor2.routes().get(prefix), f"{prefix} at tor2")
                self.assertEqual(route.next_hop, HOSTS[name][1])
        pods = ipaddress.ip_network("10.48.0.0/16")
        for switch, table in (("tor1", racks.tor1.routes()), ("tor2", racks.tor2.routes())):
            for prefix, route in table.items():
                if route.as_path[-1:] == (64512,):
                    self.assertTrue(ipaddress.ip_network(prefix).subnet_of(pods), f"{switch} has {prefix}")

    def test_the_filter_takes_the_default_route_only(self):
        racks = self.racks
        for name in HOSTS:
            with self.subTest(host=name):
                switch = "192.168.1.254" if name.startswith("rack1") else "192.168.2.254"
                wait.until(lambda name=name: "0.0.0.0/0" in kernel.routes(self.lab.hosts[name]), f"the default route of {name}")
                self.assertEqual(kernel.routes(self.lab.hosts[name])["0.0.0.0/0"][0], {switch})
                has_foreign = FOREIGN in racks.daemons[name].routes()
                if name == "rack1-host1":  # has no filters
                    wait.until(lambda: FOREIGN in racks.daemons["rack1-host1"].routes(), "the switch's own prefix")
                elif name == "rack1-host2":
                    # By reflection it may come from rack1-host1 through rack2-host1, but not from the switch.
                    pass
                else:
                    self.assertFalse(has_foreign and racks.daemons[name].routes()[FOREIGN].as_path[:1] == (63401,))

    def test_the_reflector_reflects(self):
        """A host hears of the pods of all others, with their own next hops."""
        racks = self.racks
        for name in HOSTS:
            for other in set(HOSTS) - {name}:
                for prefix in racks.pods[other]:
                    with self.subTest(host=name, prefix=prefix):
                        wait.until(lambda name=name, prefix=prefix: prefix in racks.daemons[name].routes(), f"{prefix} at {name}")
        for prefix in racks.pods["rack2-host2"]:
            route = racks.daemons["rack1-host2"].routes()[prefix]
            self.assertEqual(route.next_hop, HOSTS["rack2-host2"][1])
            self.assertIn("cluster_list", route.other)

    def test_the_collector_hears_of_everybody(self):
        wanted = {prefix for prefixes in self.racks.pods.values() for prefix in prefixes}
        wait.until(lambda: wanted <= set(self.racks.collector.routes()), "all pods at the collector")

    def test_gtsm_is_asked_for(self):
        """rack1-host2 sends with the highest TTL and takes nothing less from its switch."""
        self.assertEqual(self.racks.fleet.peerings("rack1-host2")["items"][1]["ttlSecurity"], 1)
        neighbor = self.racks.tor1.ask_json("show bgp neighbors 192.168.1.12")["192.168.1.12"]
        self.assertEqual(neighbor["externalBgpNbrMaxHopsAway"], 1)
        self.assertEqual(self.racks.tor1.session("192.168.1.12").hold, 60)

    def test_traffic_flows_between_all_hosts(self):
        for source in HOSTS:
            for target in set(HOSTS) - {source}:
                wait.until(lambda source=source, target=target: self.racks.reaches(source, target), f"traffic {source} → {target}")

    def test_the_collector_alone_is_no_peer_of_others(self):
        """Nobody speaks with what no list names: only these connections exist."""
        for name, daemon in self.racks.daemons.items():
            self.assertIn(COLLECTOR_ADDRESS, kernel.connections(daemon.host))
            self.assertEqual(set(kernel.connections(daemon.host)), self.racks.wanted(name))


@unittest.skipIf(os.environ.get("E2E") == "short", "not in the short form")
class CurlTest(RacksTest):
    """The same with nothing but curl on the hosts."""
    feeder = fleet.Feeder


if __name__ == "__main__":
    case.main()
