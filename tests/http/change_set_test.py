"""Change sets: several kinds of changes at once, previewed and applied, all or nothing."""
import concurrent.futures
import json
import unittest

from service import Service

RESOURCES = "/apis/projectcalico.org/v3/"
PREVIEWS = "/apis/bgppeerd.io/v1/previews"
APPLIES = "/apis/bgppeerd.io/v1/applies"
MERGE = {"Content-Type": "application/merge-patch+json"}
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def node(name, address, **metadata):
    return {"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": name, **metadata},
            "spec": {"bgp": {"ipv4Address": address}}}


def peer(name, **spec):
    return {"apiVersion": "projectcalico.org/v3", "kind": "BGPPeer", "metadata": {"name": name}, "spec": spec}


class ChangeSetCase(unittest.TestCase):
    """Four nodes in two racks, and a ToR of each rack."""

    @classmethod
    def setUpClass(cls):
        cls.service = Service()
        cls.service.start()
        cls.addClassCleanup(cls.service.close)

    def setUp(self):
        for kind in ("nodes", "bgppeers", "bgpconfigurations"):
            self.assertEqual(self.service.request("DELETE", RESOURCES + kind).status, 200)
        nodes = [node(f"r{rack}h{host}", f"192.0.2.{16 * rack + host}/24", labels={"rack": f"r{rack}"}, annotations={"owner": "somebody"})
                 for rack in (1, 2) for host in (1, 2)]
        tors = [peer(f"tor{rack}", nodeSelector=f"rack == 'r{rack}'", peerIP=f"198.51.100.{rack}", asNumber=64600 + rack) for rack in (1, 2)]
        self.assertEqual(self.service.request("POST", APPLIES, nodes + tors).status, 200)

    def post(self, path, changes, **spec):
        return self.service.request("POST", path, {"apiVersion": "bgppeerd.io/v1", "kind": "ChangeSet", "spec": {"changes": changes, **spec}})

    def good(self, path, changes, **spec):
        answer = self.post(path, changes, **spec)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def get(self, path):
        return self.service.request("GET", RESOURCES + path)

    def state(self):
        return [self.get(kind).json()["items"] for kind in ("nodes", "bgppeers", "bgpconfigurations")]


class OperationsTest(ChangeSetCase):
    def both(self, changes):
        """Preview, which changes nothing, then apply: they say the same."""
        before = self.state()
        preview = self.good(PREVIEWS, changes)
        self.assertEqual(self.state(), before)
        applied = self.good(APPLIES, changes)
        self.assertEqual(preview["results"], applied["results"])
        self.assertEqual(preview["changes"]["totals"], applied["changes"]["totals"])
        self.assertEqual([one["node"] for one in preview["changes"]["nodes"]], [one["node"] for one in applied["changes"]["nodes"]])
        return preview, applied

    def test_a_rename(self):
        tor = self.get("bgppeers/tor1").json()
        preview, _ = self.both([{"op": "delete", "kind": "BGPPeer", "name": "tor1"},
                                {"op": "create", "object": peer("leaf1", **tor["spec"])}])
        self.assertEqual(preview["changes"]["totals"]["disruptive"], 0, "the sessions are the same")
        self.assertEqual(preview["results"], [
            {"change": 0, "op": "delete", "kind": "BGPPeer", "name": "tor1", "result": "deleted"},
            {"change": 1, "op": "create", "kind": "BGPPeer", "name": "leaf1", "result": "created"}])
        self.assertEqual(self.get("bgppeers/tor1").status, 404)
        self.assertEqual(self.get("bgppeers/leaf1").json()["spec"], tor["spec"])

    def test_the_same_object_anew(self):
        before = self.get("bgppeers/tor1").json()
        self.both([{"op": "delete", "kind": "BGPPeer", "name": "tor1"},
                   {"op": "create", "object": peer("tor1", peerIP="198.51.100.9", asNumber=64699)}])
        after = self.get("bgppeers/tor1").json()
        self.assertEqual(after["spec"], {"peerIP": "198.51.100.9", "asNumber": 64699})
        self.assertNotEqual(before["metadata"]["uid"], after["metadata"]["uid"])

    def test_a_patch_of_all_that_a_selector_matches(self):
        preview, _ = self.both([{"op": "patch", "kind": "Node", "selector": "rack == 'r1'", "patch": {"spec": {"bgp": {"asNumber": 64801}}}}])
        self.assertEqual([(one["change"], one["name"], one["result"]) for one in preview["results"]],
                         [(0, "r1h1", "updated"), (0, "r1h2", "updated")])
        self.assertEqual({one["metadata"]["name"]: one["spec"]["bgp"].get("asNumber") for one in self.get("nodes").json()["items"]},
                         {"r1h1": 64801, "r1h2": 64801, "r2h1": None, "r2h2": None})
        self.both([{"op": "delete", "kind": "Node", "selector": "rack == 'r2'"}])
        self.assertEqual([one["metadata"]["name"] for one in self.get("nodes").json()["items"]], ["r1h1", "r1h2"])

    def test_a_json_patch_and_a_version(self):
        tor = self.get("bgppeers/tor1").json()
        version = tor["metadata"]["resourceVersion"]
        change = {"op": "patch", "kind": "BGPPeer", "name": "tor1", "ifResourceVersion": version,
                  "patch": [{"op": "replace", "path": "/spec/asNumber", "value": 64777}]}
        self.good(APPLIES, [change])
        self.assertEqual(self.get("bgppeers/tor1").json()["spec"]["asNumber"], 64777)
        answer = self.post(APPLIES, [change])
        self.assertEqual(answer.status, 409, "the version has gone on")
        self.assertIn('spec.changes[0] (patch BGPPeer "tor1")', answer.json()["message"])

    def test_yaml(self):
        text = """
apiVersion: bgppeerd.io/v1
kind: ChangeSet
spec:
  changes:
  - {op: patch, kind: BGPPeer, name: tor1, patch: {spec: {asNumber: 64611}}}
"""
        self.assertEqual(self.service.request("POST", APPLIES, text.encode(), {"Content-Type": "application/yaml"}).status, 200)
        self.assertEqual(self.get("bgppeers/tor1").json()["spec"]["asNumber"], 64611)


class EffectTest(ChangeSetCase):
    """An apply tells what it has done to sessions."""
    CHANGE = {"op": "patch", "kind": "BGPPeer", "name": "tor1", "patch": {"spec": {"asNumber": 64777}}}

    def test_totals_and_the_nodes_that_must_fetch(self):
        totals = {"nodes": 2, "added": 0, "removed": 0, "changed": 2, "disruptive": 2}
        for path in (APPLIES + "?dryRun=All", APPLIES):
            changes = self.good(path, [self.CHANGE])["changes"]
            self.assertEqual(changes["totals"], totals)
            self.assertEqual([(one["node"], one["totals"]["disruptive"]) for one in changes["nodes"]], [("r1h1", 1), ("r1h2", 1)])
        nothing = self.good(APPLIES, [self.CHANGE])["changes"]
        self.assertEqual((nothing["totals"]["nodes"], nothing["nodes"]), (0, []))

    def test_only_its_own(self):
        """What others write at the same moment is not in it."""
        def apply(number):
            return self.good(APPLIES, [{"op": "patch", "kind": "BGPPeer", "name": f"tor{1 + number % 2}", "patch": {"spec": {"asNumber": 64000 + number}}}])
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            for number, applied in enumerate(threads.map(apply, range(64))):
                self.assertEqual([one["node"] for one in applied["changes"]["nodes"]], [f"r{1 + number % 2}h1", f"r{1 + number % 2}h2"])


class LimitTest(ChangeSetCase):
    """Who says how much may happen gets no more."""
    CHANGE = {"op": "patch", "kind": "BGPPeer", "name": "tor1", "patch": {"spec": {"asNumber": 64777}}}  # two sessions, on two nodes

    def test_what_is_too_much_is_refused(self):
        before = self.state()
        for limits, texts in [({"maxDisruptive": 1}, ["2 sessions on 2 nodes", "spec.maxDisruptive allows 1"]),
                              ({"maxDisruptive": 0}, ["spec.maxDisruptive allows 0"]),
                              ({"maxNodes": 1}, ["the lists of 2 nodes", "spec.maxNodes allows 1"])]:
            for path in (APPLIES, APPLIES + "?dryRun=All"):
                answer = self.post(path, [self.CHANGE], **limits)
                body = answer.json()
                self.assertEqual((answer.status, body["reason"]), (409, "TooDisruptive"), body)
                for text in texts:
                    self.assertIn(text, body["message"])
            warnings = self.good(PREVIEWS, [self.CHANGE], **limits)["warnings"]
            self.assertTrue(any(one.startswith("an apply would be refused: ") and texts[-1] in one for one in warnings), warnings)
        self.assertEqual(self.state(), before)

    def test_what_is_just_enough_passes(self):
        warnings = self.good(PREVIEWS, [self.CHANGE], maxDisruptive=2, maxNodes=2)["warnings"]
        self.assertEqual([one for one in warnings if "refused" in one], [])
        self.assertEqual(self.good(APPLIES, [self.CHANGE], maxDisruptive=2, maxNodes=2)["changes"]["totals"]["disruptive"], 2)
        # What only comes is not disruptive.
        self.good(APPLIES, [{"op": "create", "object": peer("tor9", peerIP="198.51.100.9", asNumber=64999)}], maxDisruptive=0)
        answer = self.post(APPLIES, [{"op": "delete", "kind": "BGPPeer", "name": "tor9"}], maxDisruptive=0)
        self.assertEqual((answer.status, answer.json()["reason"]), (409, "TooDisruptive"))

    def test_with_if_match(self):
        spec = {"changes": [self.CHANGE], "maxDisruptive": 1}
        document = {"apiVersion": "bgppeerd.io/v1", "kind": "ChangeSet", "spec": spec}
        version = self.service.request("POST", PREVIEWS, document).json()["metadata"]["resourceVersion"]
        self.service.request("PATCH", RESOURCES + "bgppeers/tor2", {"metadata": {"labels": {"a": "b"}}}, MERGE)
        answer = self.service.request("POST", APPLIES, document, {"If-Match": f'"{version}"'})
        self.assertEqual((answer.status, answer.json()["reason"]), (409, "TooDisruptive"))


class MergeTest(ChangeSetCase):
    """An apply does not take away what others have written."""

    def apply(self, document):
        answer = self.service.request("POST", APPLIES, [document])
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()["objects"][0]

    def test_what_is_not_named_stays(self):
        applied = self.apply({"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": "r1h1", "labels": {"zone": "z"}},
                              "spec": {"bgp": {"asNumber": 64900}}})
        self.assertEqual(applied["metadata"]["annotations"], {"owner": "somebody"})
        self.assertEqual(applied["metadata"]["labels"], {"rack": "r1", "zone": "z"})
        self.assertEqual(applied["spec"]["bgp"], {"asNumber": 64900, "ipv4Address": "192.0.2.17/24"})

    def test_advice_is_about_what_it_comes_to(self):
        """Of a document that names no address, although the stored object has one, there is nothing to say."""
        part = {"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": "r1h1"}, "spec": {"bgp": {"asNumber": 64900}}}
        for path in (PREVIEWS, APPLIES):
            answer = self.service.request("POST", path, [part])
            self.assertEqual((answer.status, answer.headers.get_all("Warning")), (200, None))
        part["metadata"]["name"] = "unheard-of"
        warnings = self.service.request("POST", PREVIEWS, [part]).headers.get_all("Warning")
        self.assertTrue(any("has no ipv4Address" in one for one in warnings), warnings)

    def test_null_takes_away(self):
        applied = self.apply({"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": "r1h1", "annotations": {"owner": None}}})
        self.assertNotIn("annotations", applied["metadata"])

    def test_a_version_says_that_the_document_is_whole(self):
        whole = self.get("nodes/r1h1").json()
        del whole["metadata"]["annotations"]
        self.assertNotIn("annotations", self.apply(whole)["metadata"])
        answer = self.service.request("POST", APPLIES, [whole])
        self.assertEqual(answer.status, 409, "it is no longer that version")

    def test_only_part_of_an_object_is_enough_when_it_is_stored(self):
        rest = {"apiVersion": "projectcalico.org/v3", "kind": "BGPPeer", "metadata": {"name": "tor1"}, "spec": {"peerSelector": "all()"}}
        answer = self.service.request("POST", APPLIES, [rest])
        self.assertEqual(answer.status, 422, "with the stored peerIP it breaks a rule")
        self.assertIn('document 1 (BGPPeer "tor1"): spec.peerSelector', answer.json()["message"])
        alone = {"apiVersion": "projectcalico.org/v3", "kind": "BGPPeer", "metadata": {"name": "tor1"}, "spec": {"keepaliveTime": "7s"}}
        self.assertEqual(self.apply(alone)["spec"]["peerIP"], "198.51.100.1")

    def test_what_kubectl_applied_is_taken_away_as_kubectl_would(self):
        first = node("k", "192.0.2.99/24", labels={"a": "1", "b": "2"})
        noted = json.loads(json.dumps(first))
        noted["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(first)}
        self.apply(noted)
        self.service.request("PATCH", RESOURCES + "nodes/k", {"metadata": {"labels": {"c": "3"}}}, MERGE)
        second = node("k", "192.0.2.99/24", labels={"a": "1"})
        applied = self.apply(second)
        self.assertEqual(applied["metadata"]["labels"], {"a": "1", "c": "3"})
        self.assertEqual(json.loads(applied["metadata"]["annotations"][LAST_APPLIED]), second)


class BadInputTest(ChangeSetCase):
    GOOD = {"op": "patch", "kind": "Node", "name": "r1h1", "patch": {"spec": {"bgp": {"asNumber": 64801}}}}

    def refused(self, change, status, place, *texts):
        """By previews and applies, with the index of the change; nothing is stored."""
        before = self.state()
        for path in (PREVIEWS, APPLIES):
            answer = self.post(path, [self.GOOD, change])
            body = answer.json()
            self.assertEqual(answer.status, status, body)
            self.assertIn("spec.changes[1]", body["message"])
            for text in texts:
                self.assertIn(text, body["message"])
            if status == 422:
                self.assertIn(place, [cause["field"] for cause in body["details"]["causes"]])
        self.assertEqual(self.state(), before)

    def test_each_has_its_index(self):
        for change, status, place, *texts in [
                ({"op": "aply", "kind": "Node", "name": "r1h2"}, 422, "spec.changes[1].op", 'did you mean "apply"'),
                ({"kind": "Node", "name": "r1h2"}, 422, "spec.changes[1].op"),
                ({"op": "delete", "kind": "Pod", "name": "x"}, 422, "spec.changes[1].kind", "Pod"),
                ({"op": "delete", "kind": "Node", "apiVersion": "v1", "name": "r1h2"}, 422, "spec.changes[1].kind", "projectcalico.org/v3"),
                ({"op": "delete", "kind": "Node"}, 422, "spec.changes[1].name"),
                ({"op": "delete", "kind": "Node", "name": "r1h2", "selector": "all()"}, 422, "spec.changes[1].selector"),
                ({"op": "delete", "kind": "Node", "name": "r1h2", "patch": {}}, 422, "spec.changes[1].patch"),
                ({"op": "patch", "kind": "Node", "name": "r1h2"}, 422, "spec.changes[1].patch"),
                ({"op": "patch", "kind": "Node", "selector": "rack == 'r9'", "patch": {}}, 422, "spec.changes[1].selector", "no object"),
                ({"op": "patch", "kind": "Node", "selector": "rack ==", "patch": {}}, 422, "spec.changes[1].selector"),
                ({"op": "create"}, 422, "spec.changes[1].object"),
                ({"op": "create", "object": {"kind": "Pod"}}, 422, "spec.changes[1].object.kind"),
                ({"op": "create", "object": peer("p", peerIP="nonsense")}, 422, "spec.changes[1].object.spec.peerIP"),
                ({"op": "create", "object": {"kind": "BGPPeer", "metadata": {}, "spec": {}}}, 422, "spec.changes[1].object.metadata.name"),
                ({"op": "patch", "kind": "BGPPeer", "name": "tor1", "patch": {"spec": {"peerIP": "nonsense"}}}, 422, "spec.changes[1].patch.spec.peerIP"),
                ({"op": "delete", "kind": "Node", "name": "r1h2", "ifResourceVersion": "x"}, 422, "spec.changes[1].ifResourceVersion"),
                ({"op": "patch", "kind": "Node", "name": "r1h1", "patch": {}}, 422, 'spec.changes[1] (patch Node "r1h1")', "spec.changes[0]"),
                ({"op": "patch", "kind": "Node", "selector": "rack == 'r1'", "patch": {}}, 422, 'spec.changes[1] (patch Node "r1h1")', "spec.changes[0]"),
                ({"op": "delete", "kind": "Node", "name": "nobody"}, 404, None, "nobody"),
                ({"op": "create", "object": node("r1h2", "192.0.2.99/24")}, 409, None, "already exists"),
                ({"op": "delete", "kind": "Node", "nmae": "x"}, 400, None, "nmae"),
        ]:
            with self.subTest(change=change):
                self.refused(change, status, place, *texts)

    def test_all_of_them_at_once(self):
        answer = self.post(APPLIES, [{"op": "aply"}, self.GOOD, {"op": "delete", "kind": "Pod", "name": "x"}])
        self.assertEqual([cause["field"] for cause in answer.json()["details"]["causes"]], ["spec.changes[0].op", "spec.changes[2].kind"])

    def test_of_the_set(self):
        for spec, field in [({"reason": "two\nlines"}, "spec.reason"), ({"reason": "x" * 513}, "spec.reason")]:
            answer = self.post(APPLIES, [self.GOOD], **spec)
            self.assertEqual((answer.status, answer.json()["details"]["causes"][0]["field"]), (422, field))
        self.assertEqual(self.post(APPLIES, []).status, 422)
        answer = self.service.request("POST", APPLIES, [{"kind": "ChangeSet", "spec": {"changes": [self.GOOD]}}, node("x", "192.0.2.99/24")])
        self.assertEqual((answer.status, "alone" in answer.json()["message"]), (400, True))

    def test_there_is_a_bound_after_expansion(self):
        nodes = [{"apiVersion": "projectcalico.org/v3", "kind": "BGPFilter", "metadata": {"name": f"f{i}", "labels": {"many": "1"}}, "spec": {}} for i in range(501)]
        self.assertEqual(self.service.request("POST", APPLIES, nodes).status, 200)
        every = {"op": "patch", "kind": "BGPFilter", "selector": "has(many)", "patch": {"metadata": {"labels": {"x": "y"}}}}
        self.assertEqual(self.post(PREVIEWS, [every]).status, 200)
        answer = self.post(PREVIEWS, [every, every])
        self.assertEqual((answer.status, "1000" in answer.json()["message"]), (413, True))
        self.assertEqual(self.service.request("DELETE", RESOURCES + "bgpfilters").status, 200)


if __name__ == "__main__":
    unittest.main()
