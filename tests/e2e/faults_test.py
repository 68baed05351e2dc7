"""The two racks while something is broken: traffic goes on, sessions keep, and all converge afterwards.

tests/run: timeout 1200
"""
from lib import case, fleet, kernel, wait
from lib.racks import HOSTS, Racks, first_address
from lib.traffic import Traffic

OWN_ADDRESSES = {address for _, address in HOSTS.values()}


class FaultsTest(case.LabTest):
    @classmethod
    def build(cls):
        cls.racks = Racks(cls.lab, fleet.feeder)
        cls.addClassCleanup(cls.racks.fleet.close)
        cls.racks.wait_converged()

    def setUp(self):
        self.racks.wait_converged()
        self.change = 0

    def traffic(self, source="rack1-host2", target="rack2-host2"):
        wait.until(lambda: self.racks.reaches(source, target), f"traffic {source} → {target}")
        return Traffic(self.lab.hosts[source], *(first_address(self.racks.pods[name][0]) for name in (source, target)))

    def connections(self):
        return {name: kernel.connections(daemon.host) for name, daemon in self.racks.daemons.items()}

    def change_fleet(self, name):
        """Something that every host's list shows: a peer that does not answer. Its address."""
        address = f"192.168.0.{100 + len(name)}"
        self.racks.fleet.apply(fleet.document("BGPPeer", name, {"peerIP": address, "asNumber": 64512}))
        self.addCleanup(self.racks.wait_converged)
        self.addCleanup(self.racks.fleet.delete, "BGPPeer", name)
        return address

    def wait_known(self, address, *hosts):
        for name in hosts or HOSTS:
            wait.until(lambda name=name: address in self.racks.daemons[name].sessions(), f"{name} knows {address}")

    def test_the_service_is_killed(self):
        before = self.connections()
        with self.traffic() as traffic:
            self.racks.fleet.kill()
            wait.stays(lambda: self.connections() == before, "sessions without the service")
            self.racks.fleet.start()
            self.wait_known(self.change_fleet("after-the-service"))
        self.assertEqual(traffic.lost, 0)
        self.assertEqual(self.connections(), before)

    def test_the_agents_are_killed(self):
        before = self.connections()
        with self.traffic() as traffic:
            for feeder in self.racks.feeders.values():
                feeder.kill()
            address = self.change_fleet("without-agents")
            wait.stays(lambda: self.connections() == before, "sessions without agents")
            for name, daemon in self.racks.daemons.items():
                self.assertNotIn(address, daemon.sessions(), name)
            for feeder in self.racks.feeders.values():
                feeder.start()
            self.wait_known(address)
        self.assertEqual(traffic.lost, 0)
        self.assertEqual(self.connections(), before)

    def test_a_host_boots_while_the_service_is_away(self):
        """Daemon and agent start again with what the host has: the last list."""
        for name in ("rack1-host1", "rack2-host1"):
            with self.subTest(host=name):
                wanted = self.racks.wanted(name)
                self.racks.fleet.kill()
                self.racks.feeders[name].kill()
                self.racks.daemons[name].kill()
                self.racks.daemons[name].start()
                self.racks.feeders[name].start()
                wait.until(lambda name=name, wanted=wanted: self.racks.daemons[name].established() == wanted,
                           lambda name=name: f"{name} has the sessions of its last list: {self.racks.daemons[name].sessions()}")
                self.racks.fleet.start()
                self.racks.wait_converged()

    def kill_daemon(self, name):
        """The agent brings a change that came meanwhile. Answers how much traffic between others was lost."""
        wanted = self.racks.wanted(name)
        with self.traffic() as traffic:
            self.racks.daemons[name].kill()
            address = self.change_fleet(f"killed-{name}")
            self.wait_known(address, *(set(HOSTS) - {name}))
            self.racks.daemons[name].start()
            self.wait_known(address, name)
            self.racks.daemons[name].wait_established(*wanted)
        return traffic.lost

    def test_bird_is_killed(self):
        self.assertEqual(self.kill_daemon("rack1-host1"), 0)

    def test_frr_of_the_reflector_is_killed(self):
        """Everybody knows the others' pods by the reflector, so traffic may stop until it is back."""
        self.kill_daemon("rack2-host1")
        wait.until(lambda: self.racks.reaches("rack1-host2", "rack2-host2"), "traffic by what the reflector says")

    def test_the_disk_is_full(self):
        before = self.connections()
        full = ("rack1-host2", "rack2-host2")
        with self.traffic() as traffic:
            for name in full:
                self.lab.hosts[name].fill_disk()
            address = self.change_fleet("disk-full")
            self.wait_known(address, *(set(HOSTS) - set(full)))
            wait.stays(lambda: self.connections() == before, "sessions with a full disk")
            for name in full:
                self.assertNotIn(address, self.racks.daemons[name].sessions(), name)
                self.assertTrue(self.racks.feeders[name].process.is_running(), f"the agent of {name} has ended")
                self.lab.hosts[name].free_disk()
            self.wait_known(address)
        self.assertEqual(traffic.lost, 0)
        self.assertEqual(self.connections(), before)

    def reflectors(self, **spec):
        return fleet.document("BGPPeer", "reflectors", {
            "nodeSelector": "!has(route-reflector)", "peerSelector": "has(route-reflector)", **spec})

    def test_a_password_is_set_rotated_and_withheld(self):
        """Between nodes of the fleet both ends change together; all other sessions go on."""
        racks = self.racks
        self.addCleanup(racks.wait_converged)
        self.addCleanup(racks.fleet.apply, self.reflectors())
        reference = {"password": {"secretKeyRef": {"name": "reflectors", "key": "password"}}}
        reflector = HOSTS["rack2-host1"][1]
        others = {name: {address: pairs for address, pairs in connections.items() if address not in OWN_ADDRESSES}
                  for name, connections in self.connections().items()}

        racks.fleet.apply(self.reflectors(**reference))  # the secret is not there yet
        for name, feeder in racks.feeders.items():
            feeder.wait_applied()  # until then a daemon may still try to open what others withhold
            wait.until(lambda name=name: not self.reflected(name), f"{name} withholds its sessions")
        wait.stays(lambda: not any(self.reflected(name) for name in HOSTS), "withheld sessions")
        for password in ("first-Password", "second-Password"):
            racks.fleet.apply(fleet.secret("reflectors", password=password))
            racks.wait_converged()
            for name in HOSTS:
                peers = {reflector} if name != "rack2-host1" else {address for host, (_, address) in HOSTS.items() if host != name}
                wait.until(lambda name=name, peers=peers: peers <= kernel.signed(self.lab.hosts[name])[1], f"{name} signs")
                self.assertLessEqual(peers, kernel.signed(self.lab.hosts[name])[0])
        after = self.connections()
        for name, connections in others.items():
            for address, pairs in connections.items():
                self.assertEqual(after[name][address], pairs, f"{name}: a session with another password has restarted")

    def reflected(self, name):
        """The peers of a host's connections that are of BGPPeer `reflectors`."""
        return OWN_ADDRESSES & set(kernel.connections(self.lab.hosts[name]))


if __name__ == "__main__":
    case.main()
