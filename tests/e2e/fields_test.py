"""Each field of a list, changed alone on each daemon: the change counts, and every other session goes on.

The fields, and what each daemon can make of them, are the service's own table. For each session it is measured
whether a change restarts it, and compared with what the service's preview has said. The last test prints a table of
fields and daemons and fails when a field is untested.

tests/run: timeout 1800
"""
import os
import re
import subprocess
import time


from lib import case, fleet, wait
from lib.cases import ALL_CASES, CABLE, SESSION_CASES
from lib.places import Ground, block
from lib.plain import Sent

SECONDS_TO_RESTART = 2
NAMES = {"passwordFingerprint": "password"}  # a preview shows no passwords
SHORT = os.environ.get("E2E") == "short"
ALL = ("bird", "frr", "gobgp", "openbgpd")
CASES = SESSION_CASES if SHORT else ALL_CASES
KINDS = fleet.drivable(*(ALL[:2] if SHORT else ALL))


def fields():
    """The service's own table, which it prints in Markdown: {field: {daemon: (of usual values, of others)}}, where
    each is "ok", "n/a" or "disabled"."""
    text = subprocess.run([os.path.join(fleet.BUILD, "tests/e2e/fields")], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = {}
    for line in text.splitlines():
        row = re.match(r"\| `(.*?)` \|(.*)\|$", line)
        if row:
            cells = [re.match(r" (ok|n/a|disabled)(?:, else (ok|n/a|disabled))?", cell) for cell in row[2].split("|")]
            found[row[1]] = dict(zip(ALL, ((cell[1], cell[2] or cell[1]) for cell in cells), strict=True))
    return found


def fields_of(changes, prefix=""):
    """Under the names of the table."""
    return {prefix + NAMES.get(change["field"], change["field"]): change["disruptive"] for change in changes}


class FieldsTest(case.LabTest):
    @classmethod
    def build(cls):
        cls.fields = fields()
        cls.results = {}        # {(field, kind): ["ok", "disabled", "n/a" or "FAILED" of each case]}
        cls.restarts = {}       # {field: {kind that has restarted a session for it}}
        cls.disruptive = {}     # {(field, kind): what previews said}
        cls.ground = Ground(cls.lab, KINDS, fleet.feeder)
        documents = cls.ground.add_bystanders()
        for place in cls.ground.places:
            for number, one in enumerate(CASES):
                if not one.whole_node:
                    documents += cls.prepare(place, number, one)
            place.add_peer("client", address=place.near(57), as_number=64500)
            place.add_peer("origin-of-reflected", address=place.near(58), as_number=64500, sends=(Sent(str(block(29))),))
            documents += [cls.ground.peer(place, name, asNumber=64500) for name in ("client", "origin-of-reflected")]
            place.host.configure("link add name cali0 type veth peer name end0", f"address add {CABLE.replace('216/', '217/')} dev cali0",
                                 "link set cali0 up", "link set end0 up")
        unique = {(document["kind"], document["metadata"]["name"]): document for document in documents}
        cls.ground.start(*unique.values())
        for place in cls.ground.places:
            for name in place.peers.peers:
                place.wait_up(name)
        for place in cls.ground.places:  # previews know what each of them runs
            wait.until(lambda place=place: cls.ground.status(place).get("daemon"), f"{place.name} reports")

    @classmethod
    def prepare(cls, place, number, one):
        address, _ = one.addresses(place) if one.addresses else (place.near(7 + number),) * 2
        place.add_peer(one.name, address=address, **one.peer)
        return [*one.documents(cls.ground, place), cls.ground.peer(place, one.name, **one.before)]

    def check(self, one):
        """One case, on all hosts at once."""
        ground = self.ground
        documents = {place: self.change_of(place, one) for place in ground.places}
        before = {place: place.steady() for place in ground.places}
        preview = self.preview([document for changed in documents.values() for document in changed])
        ground.fleet.apply(*(document for changed in documents.values() for document in changed))
        for place in ground.places:
            self.results.setdefault((one.field, place.kind), []).append("FAILED")
            place.broken.add(one.name)  # until it is known to be well
            with self.subTest(daemon=place.kind):
                place.feeder.wait_applied()
        self.watch_restarts(before)
        for place in ground.places:
            with self.subTest(daemon=place.kind):
                self.compare_restarts(place, before[place], preview.get(place.name, {}))
        for place in ground.places:
            with self.subTest(daemon=place.kind):
                self.change_peer(place, one)
                result = self.check_effect(place, one)
                self.check_others(one, place, before[place])
                self.results[(one.field, place.kind)][-1] = result
                if place.was_restarted:
                    place.was_restarted = False
                    self.restarts.setdefault(one.field, set()).add(place.kind)
                place.broken.discard(one.name)

    def change_of(self, place, one):
        after = one.after(place) if callable(one.after) else one.after
        documents = one.documents_after(self.ground, place)
        if after is None and not one.addresses:
            return documents
        spec = {**one.before, **(after or {})}
        address = one.addresses(place)[1] if one.addresses else place.address_of(one.name)
        port = spec.pop("port", None)
        return documents + [self.ground.peer(place, one.name, peer_ip=f"{address}:{port}" if port else address, **spec)]

    def change_peer(self, place, one):
        changes = dict(one.peer_after)
        if one.addresses:
            changes["address"] = one.addresses(place)[1]
        if "host" in changes:
            changes["host"] = place.other
        if changes:
            place.peers.change(one.name, **changes)

    def check_effect(self, place, one):
        cell = self.fields[one.field][place.kind][place.kind in one.beyond]
        if cell == "disabled":
            place.wait_down(one.name)
        elif cell == "n/a":
            place.wait_up(one.name)
        else:
            one.effect(self.ground, place, one.name)
        return cell

    def preview(self, documents):
        """{node: {peer address: {field: disruptive}}} of what would change; None in place of fields: all of it.

        The address None stands for the node itself."""
        found = {}
        for node in self.ground.fleet.preview(*documents)["changes"]["nodes"]:
            entry = found[node["node"]] = {None: fields_of(node.get("local", []), "local.")}
            for item in node["added"] + node["removed"]:
                entry[item["peerIP"]] = None
            for item in node["changed"]:
                entry[item["peerIP"]] = fields_of(item["fields"])
        return found

    @staticmethod
    def restarted(place, before):
        after = place.connections()
        return {address for address, pairs in before.items() if after.get(address) != pairs}

    def watch_restarts(self, before):
        """Give every daemon a moment to restart a session."""
        end = time.monotonic() + SECONDS_TO_RESTART
        while time.monotonic() < end and not all(self.restarted(place, connections) for place, connections in before.items()):
            time.sleep(0.1)

    def compare_restarts(self, place, before, preview):
        """Only sessions whose change the preview has called disruptive may have restarted."""
        for changed in preview.values():
            for field, disruptive in (changed or {}).items():
                self.disruptive.setdefault((field, place.kind), set()).add(disruptive)
        announced = {address for address, changed in preview.items() if changed is None or any(changed.values())}
        if None in announced:
            announced |= set(before)
        restarted = self.restarted(place, before)
        for address in restarted:
            for field, disruptive in {**(preview.get(address) or {}), **(preview.get(None) or {})}.items():
                if disruptive:
                    self.restarts.setdefault(field, set()).add(place.kind)
        self.assertLessEqual(restarted, announced, f"{place.kind} has restarted sessions that the preview called undisturbed")

    def check_others(self, one, place, before):
        if one.whole_node:
            return
        after = place.connections()
        mine = {place.address_of(one.name), *(one.addresses(place) if one.addresses else ())}
        for address, pairs in before.items():
            if address not in mine:
                self.assertEqual(after.get(address), pairs, f"{place.kind}: a session that did not change has restarted")

    def cell(self, field, kind):
        results = self.results.get((field, kind), ["-" if SHORT else "untested"])
        return "FAILED" if "FAILED" in results else "/".join(dict.fromkeys(results))

    def test_99_the_table(self):
        """Every field on every daemon (-: not in the short form); what previews call disruptive, some daemon restarts for."""
        kinds = ALL[:2] if SHORT else ALL
        print(f"\n{'field':<46}" + "".join(f"{kind:<10}" for kind in kinds) + "restarts in")
        for field in self.fields:
            cells = [self.cell(field, kind) for kind in kinds]
            print(f"{field:<46}" + "".join(f"{cell:<10}" for cell in cells) + ", ".join(sorted(self.restarts.get(field, ()))))
        known = {one.field for one in ALL_CASES}
        self.assertEqual([field for field in self.fields if field not in known], [], "a field without a case")
        self.assertEqual([field for field in known if field not in self.fields], [], "a case without a field")
        if not SHORT and KINDS == ALL:
            self.assertNotIn("untested", [self.cell(field, kind) for field in self.fields for kind in kinds])
        for (field, kind), said in self.disruptive.items():
            # A filter may cost a session, and another one not. What is not in a daemon's file cannot be seen here.
            if self.fields.get(field, {kind: ["n/a"]})[kind][0] != "n/a":
                with self.subTest(field=field, daemon=kind):
                    self.assertEqual(True in said, kind in self.restarts.get(field, ()), "disruptive, and yet no session has restarted")


def add_tests():
    for number, one in enumerate(CASES):
        name = "".join(letter if letter.isalnum() else "_" for letter in f"{one.field}_{one.name}")
        setattr(FieldsTest, f"test_{number:02}_{name}", lambda self, one=one: self.check(one))


add_tests()

if __name__ == "__main__":
    case.main()
