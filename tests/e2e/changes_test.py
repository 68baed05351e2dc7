"""Many random changes of single sessions: whatever the service's preview does not call disruptive keeps its connection.

tests/run: timeout 1200
"""
import os
import random
import time

from lib import case, fleet
from lib.cases import rules
from lib.places import OWN, Ground

SHORT = os.environ.get("E2E") == "short"
KINDS = fleet.drivable("bird", "frr", *(() if SHORT else ("gobgp", "openbgpd")))
CHANGES = 10 if SHORT else 100
SESSIONS = 8
SEED = int(os.environ.get("SEED", time.time()))

# Settings that peers need not know of: with any of them the session is up.
SETTINGS = {
    "keepaliveTime": ("10s", "20s", "30s", None),
    "maxRestartTime": ("60s", "90s", None),
    "nextHopMode": ("Self", "Keep", "Auto", None),
    "numAllowedLocalASNumbers": (1, 2, None),
    "filters": (["some"], ["other"], ["some", "other"], None),
    "sourceAddress": ("UseNodeIP", None),
}


class ChangesTest(case.LabTest):
    @classmethod
    def build(cls):
        cls.ground = Ground(cls.lab, KINDS, fleet.feeder)
        documents = [rules("some", exportV4=[{"action": "Accept", "cidr": OWN[0], "matchOperator": "Equal"}]),
                     rules("other", exportV4=[{"action": "Reject", "cidr": OWN[1], "matchOperator": "In"}])]
        for place in cls.ground.places:
            for number in range(SESSIONS):
                name = f"peer{number}"
                place.add_peer(name, address=place.near(10 + number))
                documents.append(cls.ground.peer(place, name))
        cls.ground.start(*documents)
        for place in cls.ground.places:
            for name in place.peers.peers:
                place.wait_up(name)

    def disruptive(self, document):
        """{(node, peer's address)} of the sessions that may restart, as the preview says."""
        return {(node["node"], item["peerIP"]) for node in self.ground.fleet.preview(document)["changes"]["nodes"]
                for item in node["added"] + node["removed"] + [item for item in node["changed"] if item["disruptive"]]}

    def test_unchanged_sessions_keep_their_connection(self):
        choice = random.Random(SEED)
        print(f"\nSEED={SEED}")
        before = {place: place.connections() for place in self.ground.places}
        expected = {place: dict(connections) for place, connections in before.items()}
        for _ in range(CHANGES):
            place = choice.choice(self.ground.places)
            name = choice.choice(sorted(place.peers.peers))
            setting = choice.choice(sorted(SETTINGS))
            value = choice.choice(SETTINGS[setting])
            # What stands for nothing takes the setting away.
            document = self.ground.peer(place, name, **{setting: value})
            disruptive = self.disruptive(document)
            self.ground.fleet.apply(document)
            place.feeder.wait_applied()
            place.wait_up(name)
            self.assertLessEqual(disruptive, {(place.name, place.address_of(name))})
            for other in self.ground.places:
                connections = other.connections()
                for address in connections:
                    if (other.name, address) in disruptive:
                        expected[other][address] = connections[address]
                self.assertEqual(connections, expected[other], f"{setting} = {value} of {name} in {place.kind} has restarted what "
                                                               f"the preview did not tell of, {disruptive} (SEED={SEED})")
        for place in self.ground.places:
            for name in place.peers.peers:
                place.wait_up(name)


if __name__ == "__main__":
    case.main()
