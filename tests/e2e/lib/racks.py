"""The two racks of api/examples, built: hosts, switches, the collector, and the network between them.

    rack1: rack1-host1 rack1-host2 ─ tor1 ─┐
                                           core ─ collector
    rack2: rack2-host1 rack2-host2 ─ tor2 ─┘

The hosts run BIRD in rack1 and FRR in rack2, with what the service renders; rack2-host1 is the route reflector. The
switches and the collector are plain daemons, configured here: tor1 runs FRR and tor2 BIRD, so that each switch
speaks with the other kind. Switches announce a default route, a foreign prefix, and what they learn from each other.
"""
from . import fleet as fleet_room
from . import kernel, wait
from .daemons import KINDS, Bird, Frr

HOSTS = {  # name: (daemon, address)
    "rack1-host1": ("bird", "192.168.1.11"),
    "rack1-host2": ("bird", "192.168.1.12"),
    "rack2-host1": ("frr", "192.168.2.11"),
    "rack2-host2": ("frr", "192.168.2.12"),
}
FLEET_AS, TOR1_AS, TOR2_AS = 64512, 63400, 63401
FOREIGN = "198.51.100.0/24"  # announced by the switches, and accepted by hosts without filters only

TOR1 = f"""
frr version 8.4.4
frr defaults traditional
ip prefix-list foreign seq 5 permit {FOREIGN}
route-map any permit 10
exit
router bgp {TOR1_AS}
 bgp router-id 192.168.1.254
 no bgp default ipv4-unicast
 no bgp network import-check
 neighbor 192.168.1.11 remote-as {FLEET_AS}
 neighbor 192.168.1.11 ebgp-multihop 255
 neighbor 192.168.1.11 timers connect 1
 neighbor 192.168.1.12 remote-as {FLEET_AS}
 neighbor 192.168.1.12 ttl-security hops 1
 neighbor 192.168.1.12 timers connect 1
 neighbor 192.168.0.2 remote-as {TOR2_AS}
 neighbor 192.168.0.2 timers connect 1
 address-family ipv4 unicast
  network {FOREIGN}
  neighbor 192.168.1.11 activate
  neighbor 192.168.1.11 default-originate
  neighbor 192.168.1.11 route-map any in
  neighbor 192.168.1.11 route-map any out
  neighbor 192.168.1.12 activate
  neighbor 192.168.1.12 default-originate
  neighbor 192.168.1.12 route-map any in
  neighbor 192.168.1.12 route-map any out
  neighbor 192.168.0.2 activate
  neighbor 192.168.0.2 route-map any in
  neighbor 192.168.0.2 route-map any out
 exit-address-family
exit
"""

QUICK = "connect delay time 1; connect retry time 1; error wait time 1, 2;"
TOR2 = f"""
router id 192.168.2.254;
protocol device {{ }}
protocol direct {{ ipv4; }}
protocol kernel {{ ipv4 {{ export where source = RTS_BGP; }}; learn; }}
protocol static announce {{ ipv4; route 0.0.0.0/0 blackhole; route {FOREIGN} blackhole; }}
""" + "".join(f"""
protocol bgp 'host.{address}' {{
  local 192.168.2.254 as {TOR2_AS}; neighbor {address} as {FLEET_AS}; multihop 255; {QUICK}
  ipv4 {{ next hop self; import all; export where proto = "announce" || source = RTS_BGP; }};
}}
""" for address in ("192.168.2.11", "192.168.2.12")) + f"""
protocol bgp 'tor1' {{
  local 192.168.0.2 as {TOR2_AS}; neighbor 192.168.0.1 as {TOR1_AS}; {QUICK}
  ipv4 {{ import all; export where source = RTS_BGP; }};
}}
"""

COLLECTOR = """
router id 192.168.0.10;
protocol device { }
protocol direct { ipv4; }
protocol kernel { ipv4 { export none; }; learn; }
""" + "".join(f"""
protocol bgp 'host.{name}' {{
  local 192.168.0.10 as {FLEET_AS}; neighbor {address} as {FLEET_AS}; multihop 255; {QUICK}
  ipv4 {{ import all; export none; }};
}}
""" for name, (_, address) in HOSTS.items())

COLLECTOR_ADDRESS = "192.168.0.10"


class Racks:
    """All of it, running. `feeder`: the class that brings the service's lists to the hosts' daemons."""

    def __init__(self, lab, feeder):
        self.lab = lab
        for network in ("rack1", "rack2", "core"):
            lab.network(network)
        self.tor1 = self._switch("tor1", Frr, TOR1, rack1="192.168.1.254/24", core="192.168.0.1/24")
        self.tor2 = self._switch("tor2", Bird, TOR2, rack2="192.168.2.254/24", core="192.168.0.2/24")
        self.tor1.host.configure("route add 192.168.2.0/24 via 192.168.0.2")
        self.tor2.host.configure("route add 192.168.1.0/24 via 192.168.0.1")
        self.collector = self._switch("collector", Bird, COLLECTOR, core=f"{COLLECTOR_ADDRESS}/24")
        self.collector.host.configure("route add 192.168.1.0/24 via 192.168.0.1", "route add 192.168.2.0/24 via 192.168.0.2")
        self.fleet = fleet_room.Fleet(lab, HOSTS)
        self.fleet.apply(*fleet_room.examples())
        self.daemons, self.feeders, self.pods = {}, {}, {}
        for name in HOSTS:
            self._host(name, feeder)

    def _switch(self, name, daemon, text, **networks):
        host = self.lab.host(name)
        host.forward()
        for network, address in networks.items():
            self.lab.plug(host, network, address)
        return daemon(host).start(text)

    def _host(self, name, feeder):
        kind, address = HOSTS[name]
        host = self.lab.host(name)
        rack = name.partition("-")[0]
        self.lab.plug(host, rack, f"{address}/24")
        host.configure(f"route add 192.168.0.0/16 via {address.rpartition('.')[0]}.254")
        self.fleet.join(host)
        self.pods[name] = [entry["cidr"] for entry in self.fleet.peerings(name)["advertise"]]
        for prefix in self.pods[name]:
            # Something that answers in each prefix that the host announces.
            host.configure(f"address add {first_address(prefix)} dev lo")
        self.daemons[name] = KINDS[kind](host).start_empty()
        self.feeders[name] = feeder(self.fleet, self.daemons[name])
        self.feeders[name].start()

    def wanted(self, name):
        """The addresses that a host's list wants sessions with."""
        return {item["peerIP"] for item in self.fleet.peerings(name)["items"] if not item.get("withheld")}

    def is_converged(self):
        """Every session of every list is Established, and no other exists."""
        for name, daemon in self.daemons.items():
            wanted = self.wanted(name)
            sessions = daemon.sessions()
            up = {address for address, session in sessions.items() if session.is_up}
            assert up == wanted, f"{name} has sessions with {sorted(up)}, its list says {sorted(wanted)}"
            assert set(kernel.connections(daemon.host)) == wanted, f"connections of {name}: {kernel.connections(daemon.host)}"
        return True

    def wait_converged(self, seconds=wait.SECONDS):
        wait.until(self.is_converged, lambda: "every host has its sessions: " + "\n".join(
            feeder.process.log()[-300:] for feeder in self.feeders.values()), seconds, every=0.5)

    def reaches(self, source, target):
        """Traffic from the announced prefix of one host to that of another."""
        status, _ = self.lab.hosts[source].run("ping", "-c1", "-W1", "-I", first_address(self.pods[source][0]),
                                               first_address(self.pods[target][0]), check=False)
        return status == 0


def first_address(prefix):
    network, _, _ = prefix.partition("/")
    return network.rpartition(".")[0] + f".{int(network.rpartition('.')[2]) + 1}"
