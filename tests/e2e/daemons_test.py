"""The library's own test: hosts, wires, and the four daemons with hand-written configurations, all peering with one BIRD.

tests/run: timeout 300
"""
import os
import signal

from lib import case, kernel, wait
from lib.daemons import KINDS, Bird
from lib.traffic import Traffic

PASSWORD = "documented-Pass"
HUB = ("192.0.2.1", "2001:db8::1")
HUB_AS = 64496
# kind: (last part of its addresses, AS)
HOSTS = {"bird": (11, 64500), "frr": (12, 64501), "gobgp": (13, 65536), "openbgpd": (14, 65537)}


def own_prefix(kind):
    return f"203.0.113.{HOSTS[kind][0] * 8}/29"


def hub_configuration(password=PASSWORD):
    text = f"""
router id {HUB[0]};
timeformat protocol iso long ms;
protocol device {{ }}
protocol kernel {{ ipv4 {{ export all; }}; }}
protocol kernel {{ ipv6 {{ export all; }}; }}
protocol static {{ ipv4; route 198.51.100.0/24 blackhole; }}
"""
    for kind, (number, as_number) in HOSTS.items():
        text += f"""
protocol bgp 'n.{kind}' {{
  local {HUB[0]} as {HUB_AS}; neighbor 192.0.2.{number} as {as_number};
  connect delay time 1; connect retry time 1; error wait time 1, 2; password "{password}";
  graceful restart off;
  ipv4 {{ import all; export where net = 198.51.100.0/24; }};
}}
protocol bgp 'n6.{kind}' {{
  local {HUB[1]} as {HUB_AS}; neighbor 2001:db8::{number} as {as_number};
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv6 {{ import all; export none; }};
}}
"""
    return text


CONFIGURATIONS = {
    "bird": """
router id 192.0.2.11;
protocol device { }
protocol kernel { ipv4 { export where source = RTS_BGP; }; }
protocol static announce4 { ipv4; route 203.0.113.88/29 blackhole; }
protocol bgp 'n.192.0.2.1' {
  local 192.0.2.11 as 64500; neighbor 192.0.2.1 as 64496; password "documented-Pass"; hold time 30; keepalive time 10;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export filter { bgp_community.add((64500, 7)); bgp_large_community.add((64500, 1, 2)); accept; }; };
}
protocol bgp 'n.2001:db8::1' {
  local 2001:db8::11 as 64500; neighbor 2001:db8::1 as 64496;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv6 { import all; export all; };
}
""",
    "frr": """
frr version 8.4.4
frr defaults traditional
route-map any permit 10
exit
route-map out permit 10
 set community 64500:7 additive
 set large-community 64500:1:2 additive
exit
router bgp 64501
 bgp router-id 192.0.2.12
 no bgp default ipv4-unicast
 no bgp network import-check
 neighbor 192.0.2.1 remote-as 64496
 neighbor 192.0.2.1 password documented-Pass
 neighbor 192.0.2.1 timers 10 30
 neighbor 192.0.2.1 timers connect 1
 neighbor 2001:db8::1 remote-as 64496
 neighbor 2001:db8::1 timers connect 1
 address-family ipv4 unicast
  network 203.0.113.96/29
  neighbor 192.0.2.1 activate
  neighbor 192.0.2.1 route-map any in
  neighbor 192.0.2.1 route-map out out
 exit-address-family
 address-family ipv6 unicast
  neighbor 2001:db8::1 activate
  neighbor 2001:db8::1 route-map any in
  neighbor 2001:db8::1 route-map any out
 exit-address-family
exit
""",
    "gobgp": """
[global.config]
as = 65536
router-id = "192.0.2.13"
[[neighbors]]
[neighbors.config]
neighbor-address = "192.0.2.1"
peer-as = 64496
auth-password = "documented-Pass"
[neighbors.timers.config]
hold-time = 30
keepalive-interval = 10
connect-retry = 1
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "ipv4-unicast"
[[neighbors]]
[neighbors.config]
neighbor-address = "2001:db8::1"
peer-as = 64496
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "ipv6-unicast"
""",
    "openbgpd": """
AS 65537
router-id 192.0.2.14
listen on 192.0.2.14
listen on 2001:db8::14
network 203.0.113.112/29 set { community 64500:7 large-community 64500:1:2 }
neighbor 192.0.2.1 {
  remote-as 64496
  tcp md5sig password "documented-Pass"
  holdtime 30
}
neighbor 2001:db8::1 {
  remote-as 64496
  announce IPv6 unicast
  announce IPv4 none
}
allow from any
allow to any
""",
}


class DaemonsTest(case.LabTest):
    @classmethod
    def build(cls):
        cls.lab.network("eth0")
        cls.hub_host = cls.lab.host("hub")
        cls.lab.plug(cls.hub_host, "eth0", f"{HUB[0]}/24", f"{HUB[1]}/64")
        cls.hub = Bird(cls.hub_host).start(hub_configuration())
        cls.daemons = {}
        for kind, (number, _) in HOSTS.items():
            host = cls.lab.host(kind)
            cls.lab.plug(host, "eth0", f"192.0.2.{number}/24", f"2001:db8::{number}/64")
            cls.daemons[kind] = KINDS[kind](host).start(CONFIGURATIONS[kind])
        cls.daemons["gobgp"].host.run("gobgp", "--target", cls.daemons["gobgp"].target, "global", "rib", "add", "-a", "ipv4",
                                      own_prefix("gobgp"), "community", "64500:7", "large-community", "64500:1:2")

    def setUp(self):
        for daemon in self.daemons.values():
            daemon.wait_established(*HUB)

    def test_both_ends_say_established(self):
        self.hub.wait_established(*(f"192.0.2.{number}" for number, _ in HOSTS.values()),
                                  *(f"2001:db8::{number}" for number, _ in HOSTS.values()))
        for kind, daemon in self.daemons.items():
            with self.subTest(daemon=kind):
                session = daemon.session(HUB[0])
                self.assertEqual((session.remote_as, session.hold, session.keepalive, session.admin_down), (HUB_AS, 30, 10, False))
                self.assertEqual(self.hub.session(f"192.0.2.{HOSTS[kind][0]}").remote_as, HOSTS[kind][1])

    def test_routes_arrive_with_their_attributes(self):
        for kind, daemon in self.daemons.items():
            with self.subTest(daemon=kind):
                route = wait.until(lambda kind=kind: self.hub.routes().get(own_prefix(kind)), f"{own_prefix(kind)} at the hub")
                self.assertEqual(route.as_path, (HOSTS[kind][1],))
                self.assertEqual(route.next_hop, f"192.0.2.{HOSTS[kind][0]}")
                self.assertEqual(route.communities, {"64500:7", "64500:1:2"})
                route = wait.until(lambda daemon=daemon: daemon.routes().get("198.51.100.0/24"), "198.51.100.0/24 at the host")
                self.assertEqual((route.as_path, route.next_hop), ((HUB_AS,), HUB[0]))
        self.assertEqual(kernel.routes(self.hub_host)[own_prefix("frr")], ({"192.0.2.12"}, "bird"))
        for kind, protocol in (("bird", "bird"), ("frr", "bgp")):
            wait.until(lambda kind=kind: "198.51.100.0/24" in kernel.routes(self.lab.hosts[kind]), f"the route in the kernel of {kind}")
            self.assertEqual(kernel.routes(self.lab.hosts[kind])["198.51.100.0/24"], ({HUB[0]}, protocol))

    def test_the_kernel_knows_the_keys(self):
        for kind, daemon in self.daemons.items():
            with self.subTest(daemon=kind):
                self.assertEqual(kernel.signed(daemon.host), ({HUB[0]}, {HUB[0]}))
        self.assertTrue(self.daemons["frr"].session(HUB[0]).password)
        self.assertFalse(self.daemons["frr"].session(HUB[1]).password)

    def test_a_wrong_password_is_seen_and_mended(self):
        before = {kind: kernel.connections(daemon.host) for kind, daemon in self.daemons.items()}
        self.hub.reload(hub_configuration("wrong"))
        for daemon in self.daemons.values():
            wait.until(lambda daemon=daemon: not daemon.session(HUB[0]).is_up, f"{daemon.kind} loses its session")
        wait.until(lambda: kernel.counters(self.hub_host)["TcpExtTCPMD5Failure"] > 0, "the kernel counts wrong keys")
        self.hub.reload(hub_configuration())
        for kind, daemon in self.daemons.items():
            daemon.wait_established(*HUB)
            after = kernel.connections(daemon.host)
            self.assertEqual(after[HUB[1]], before[kind][HUB[1]], "the session without password has gone on")
            self.assertNotEqual(after[HUB[0]], before[kind][HUB[0]])

    def test_restarted_after_a_kill(self):
        for kind, daemon in self.daemons.items():
            if kind != "gobgp":  # its route would have to be added again
                with self.subTest(daemon=kind):
                    daemon.kill()
                    wait.until(lambda kind=kind: own_prefix(kind) not in self.hub.routes(), "the route is gone")
                    daemon.start()
                    daemon.wait_established(*HUB)
                    wait.until(lambda kind=kind: own_prefix(kind) in self.hub.routes(), "the route is back")

    def test_a_refused_configuration(self):
        with self.assertRaises(AssertionError):
            self.hub.reload("nonsense")
        self.hub.write(hub_configuration())
        with self.assertRaises(RuntimeError):
            self.daemons["frr"].reload("router bgp 64501\n nonsense\n")
        self.daemons["frr"].reload(CONFIGURATIONS["frr"])


class SandboxTest(case.LabTest):
    """What a program leaves behind: nothing."""

    def test_hosts_are_apart_and_end_with_all_that_runs_in_them(self):
        self.lab.network("net")
        one, two = self.lab.host("one"), self.lab.host("two")
        self.lab.plug(one, "net", "198.51.100.1/24")
        self.lab.plug(two, "net", "198.51.100.2/24")
        wait.until(lambda: one.run("ping", "-c1", "-W1", "198.51.100.2", check=False)[0] == 0, "one reaches two")
        one.write("/run/mine", "text\n")
        self.assertEqual(one.run("cat", "/run/mine"), "text\n")
        self.assertNotEqual(two.run("cat", "/run/mine", check=False)[0], 0)
        with Traffic(one, "198.51.100.1", "198.51.100.2") as traffic:
            one.fill_disk()
            with self.assertRaises(OSError):
                one.write("/run/more", "text" * 10000)
            one.free_disk()
            one.write("/run/more", "text" * 10000)
            two.ip("link set net down")
            wait.until(lambda: one.run("ping", "-c1", "-W1", "198.51.100.2", check=False)[0] != 0, "one does not reach two")
        self.assertGreater(traffic.lost, 0)
        sleeper = two.start("sleep", "setsid", "sleep", "1000")
        wait.until(lambda: len(two.processes()) == 2, "the sleeper runs")
        two.close()
        self.assertEqual(two.processes(), [])
        self.assertEqual(sleeper.wait(), -signal.SIGKILL)
        self.assertFalse(os.path.exists(f"/proc/{sleeper.pid}/ns/net"))


if __name__ == "__main__":
    case.main()
