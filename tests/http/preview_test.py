"""Previews show what a change would do and change nothing; applies are all or nothing; explanations answer why."""
import concurrent.futures
import json
import http.client
import threading
import unittest

from service import Service

RESOURCES = "/apis/projectcalico.org/v3/"
PREVIEWS = "/apis/bgppeerd.io/v1/previews"
APPLIES = "/apis/bgppeerd.io/v1/applies"
TOR = RESOURCES + "bgppeers/rack1-host1-tor"
MERGE = {"Content-Type": "application/merge-patch+json"}


def peer(name, **spec):
    return {"apiVersion": "projectcalico.org/v3", "kind": "BGPPeer", "metadata": {"name": name}, "spec": spec}


def node(name, address):
    return {"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": name},
            "spec": {"bgp": {"ipv4Address": address}}}


def by_node(preview):
    return {entry["node"]: entry for entry in preview["changes"]["nodes"]}


class PreviewCase(unittest.TestCase):
    def setUp(self):
        self.service = Service()
        self.addCleanup(self.service.close)
        self.service.start()
        for name, answer in self.service.apply_examples().items():
            self.assertEqual(answer.status, 201, name)

    def get(self, path):
        answer = self.service.request("GET", path)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def peerings(self, name):
        return self.get(f"{RESOURCES}nodes/{name}/peerings")

    def patch(self, path, spec, query=""):
        return self.service.request("PATCH", path + query, {"spec": spec}, MERGE)


class LargeChangeTest(unittest.TestCase):
    """A change of every session of a mesh: its detail ends, its totals do not."""
    NODES = 150
    CHANGED = NODES * (NODES - 1)
    CHANGE = {"apiVersion": "projectcalico.org/v3", "kind": "BGPConfiguration", "metadata": {"name": "default"},
              "spec": {"asNumber": 64600}}

    @classmethod
    def setUpClass(cls):
        cls.service = Service("--max-disruptive-sessions", "0")  # the brake has tests of its own
        cls.service.start()
        nodes = [{"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": f"n{i:03}"},
                  "spec": {"bgp": {"ipv4Address": f"10.0.0.{i + 1}/24"}}} for i in range(cls.NODES)]
        cls.post("applies", nodes)

    @classmethod
    def tearDownClass(cls):
        cls.service.close()

    @classmethod
    def post(cls, what, documents, headers=None):
        answer = cls.service.request("POST", "/apis/bgppeerd.io/v1/" + what, documents, headers)
        assert answer.status == 200, answer.body[:500]
        return answer.json()

    def preview(self, query=""):
        changes = self.post("previews" + query, [self.CHANGE])["changes"]
        self.assertEqual(changes["totals"], {"nodes": self.NODES, "added": 0, "removed": 0, "changed": self.CHANGED,
                                             "disruptive": self.CHANGED})
        return changes

    def test_detail_ends_and_goes_on(self):
        seen, query = [], ""
        for _ in range(10):
            changes = self.preview(query)
            detailed = [node for node in changes["nodes"] if "changed" in node]
            self.assertTrue(detailed)
            for node in detailed:
                self.assertEqual(len(node["changed"]), self.NODES - 1)
            seen += [node["node"] for node in detailed]
            for node in changes["nodes"][len(detailed):]:
                self.assertEqual(node["totals"], {"added": 0, "removed": 0, "changed": self.NODES - 1, "disruptive": self.NODES - 1})
            if not changes.get("truncated"):
                break
            self.assertEqual(changes["last"], detailed[-1]["node"])
            query = "?after=" + changes["last"]
        self.assertEqual(seen, [f"n{i:03}" for i in range(self.NODES)])
        self.assertNotEqual(query, "", "one answer must not hold all of it")

    def test_one_node(self):
        changes = self.preview("?node=n149")
        self.assertEqual([(node["node"], len(node["changed"])) for node in changes["nodes"]], [("n149", self.NODES - 1)])
        self.assertNotIn("truncated", changes)

    def test_summary(self):
        changes = self.preview("?view=summary")
        self.assertNotIn("truncated", changes)
        self.assertEqual([sorted(node) for node in changes["nodes"]], [["node", "totals"]] * self.NODES)
        answer = self.service.request("POST", "/apis/bgppeerd.io/v1/previews?view=detail", [self.CHANGE])
        self.assertEqual((answer.status, "view=summary" in answer.json()["message"]), (400, True))

    def warnings(self, documents):
        return self.post("previews?view=summary", documents)["warnings"]

    def test_the_share_of_the_fleet_is_told(self):
        every = f"{self.CHANGED} of the fleet's {self.CHANGED} sessions (100 %, each counted at both ends) would be restarted or removed"
        self.assertEqual(self.warnings([self.CHANGE]), [every])
        # Of k nodes: each loses all its sessions, and the others those with it; the other sessions count as well.
        k, others = 15, self.NODES - 1
        ends = 2 * k * others - k * (k - 1)
        changed = [{"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": f"n{i:03}"}, "spec": {"bgp": {"asNumber": 64700}}} for i in range(k)]
        self.assertEqual(self.warnings(changed), [f"{ends} of the fleet's {self.CHANGED} sessions ({100 * ends // self.CHANGED} %, each counted at both ends) "
                                                  "would be restarted or removed"])
        self.assertEqual([one for one in self.warnings(changed[:3]) if "fleet" in one], [], "it is small")

    def test_many_losers_are_counted(self):
        off = {**self.CHANGE, "spec": {"nodeToNodeMeshEnabled": False}}
        share, lost = self.warnings([off])
        self.assertIn("100 %", share)
        names = ", ".join(f"n{i:03}" for i in range(20))
        self.assertEqual(lost, f"{self.NODES} nodes would lose their last session: {names} and {self.NODES - 20} more")

    def test_an_apply_is_compared_with_all_of_it(self):
        """What was beyond the detail counts as well, whatever view was asked for."""
        def apply_after(change):
            version = self.post("previews?view=summary", [self.CHANGE])["metadata"]["resourceVersion"]
            answer = self.service.request("PATCH", f"{RESOURCES}nodes/n149", change, MERGE)
            self.assertEqual(answer.status, 200)
            return self.service.request("POST", "/apis/bgppeerd.io/v1/applies", [self.CHANGE], {"If-Match": f'"{version}"'}).status
        self.assertEqual(apply_after({"spec": {"bgp": {"asNumber": 64777}}}), 409)
        self.assertEqual(apply_after({"metadata": {"labels": {"x": "y"}}}), 200)
        self.assertEqual(self.service.request("DELETE", RESOURCES + "bgpconfigurations/default").status, 200)
        self.assertEqual(self.service.request("PATCH", f"{RESOURCES}nodes/n149", {"spec": {"bgp": {"asNumber": None}}}, MERGE).status, 200)


class LossesTest(unittest.TestCase):
    """Which nodes would be left without any session of some sort."""

    @classmethod
    def setUpClass(cls):
        cls.service = Service()
        cls.service.start()
        cls.addClassCleanup(cls.service.close)
        nodes = [{"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": name, "labels": {"role": role}},
                  "spec": {"bgp": {"ipv4Address": f"192.0.2.{i + 1}/24", "ipv6Address": f"2001:db8::{i + 1}/64", **more}}}
                 for i, (name, role, more) in enumerate([("rr", "rr", {"routeReflectorClusterID": "192.0.2.1"}), ("a", "client", {}), ("b", "client", {})])]
        cls.documents = [*nodes, peer("reflect", nodeSelector="role == 'client'", peerSelector="role == 'rr'"),
                         peer("tor4", nodeSelector="role == 'client'", peerIP="198.51.100.1", asNumber=64999),
                         peer("tor6", node="a", peerIP="2001:db8:1::1", asNumber=64999),
                         {"apiVersion": "projectcalico.org/v3", "kind": "BGPConfiguration", "metadata": {"name": "default"}, "spec": {"nodeToNodeMeshEnabled": False}}]
        assert cls.service.request("POST", APPLIES, cls.documents).status == 200

    def warnings(self, *changes):
        answer = self.service.request("POST", PREVIEWS, {"kind": "ChangeSet", "apiVersion": "bgppeerd.io/v1", "spec": {"changes": list(changes)}})
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()["warnings"]

    def delete(self, name):
        return {"op": "delete", "kind": "BGPPeer", "name": name}

    def test_reflector_and_internal(self):
        said = self.warnings(self.delete("reflect"))
        self.assertEqual(said, ["node rr would lose its last session",
                                "2 nodes would lose their last internal session: a, b",
                                "2 nodes would lose their last session with a route reflector: a, b",
                                "node b would lose its last IPv6 session"])

    def test_nothing_is_lost_that_comes_again(self):
        spec = {key: value for key, value in self.documents[3]["spec"].items()}
        self.assertEqual(self.warnings(self.delete("reflect"), {"op": "create", "object": peer("other", **spec)}), [])
        self.assertEqual(self.warnings(self.delete("tor4")), [])


class OneWriteTest(PreviewCase):
    QUERY = "?dryRun=All&preview=peerings"

    def test_a_changed_session_has_old_and_new_values(self):
        before = self.peerings("rack1-host1")
        answer = self.patch(TOR, {"asNumber": 63499, "keepaliveTime": "10s"}, self.QUERY)
        self.assertEqual(answer.status, 200, answer.body)
        preview = answer.json()
        self.assertEqual(preview["object"]["spec"]["asNumber"], 63499)
        self.assertEqual(preview["changes"]["totals"],
                         {"nodes": 1, "added": 0, "removed": 0, "changed": 1, "disruptive": 1})
        changed = by_node(preview)["rack1-host1"]["changed"][0]
        self.assertTrue(changed["disruptive"])
        self.assertEqual(changed["fields"], [
            {"field": "asNumber", "old": 63400, "new": 63499, "disruptive": True},
            {"field": "keepaliveTimeSeconds", "old": None, "new": 10, "disruptive": True}])
        self.assertEqual(self.peerings("rack1-host1"), before)

    def test_what_daemons_take_over_in_place_is_not_disruptive(self):
        preview = self.patch(TOR, {"nextHopMode": "Self"}, self.QUERY).json()
        self.assertEqual(preview["changes"]["totals"]["disruptive"], 0)
        self.assertEqual(preview["changes"]["totals"]["changed"], 1)
        preview = self.patch(TOR, {"maxRestartTime": "90s"}, self.QUERY).json()
        self.assertEqual(preview["changes"]["totals"]["disruptive"], 1, "BIRD restarts the session for it")

    def test_a_filter_costs_sessions_of_daemons_that_cannot_express_it(self):
        """By what the node's agent says it runs; without one, by BIRD and FRR."""
        name, spec = "by-interface", {"exportV4": [{"action": "Reject", "interface": "eth*"}]}
        url = RESOURCES + "bgpfilters"
        body = {"apiVersion": "projectcalico.org/v3", "kind": "BGPFilter", "metadata": {"name": name}, "spec": {}}
        self.assertEqual(self.service.request("POST", url, body).status, 201)
        self.addCleanup(self.service.request, "DELETE", f"{url}/{name}")
        status = RESOURCES + "nodes/rack1-host1/peerings/status"
        report = {"apiVersion": "bgppeerd.io/v1", "kind": "PeeringStatus", "sessions": []}

        def preview(path, change):
            fields = by_node(self.patch(path, change, self.QUERY).json()).get("rack1-host1", {}).get("changed", [])
            return [(one["disruptive"], [(field["field"], field["disruptive"]) for field in one["fields"]]) for one in fields]

        cost, free = [(True, [("filters", True)])], [(False, [("filters", False)])]
        for sequence, (daemon, named, ruled) in enumerate((
                (None, free, cost), ("BIRD 2.0.12", free, []), ("FRR", free, cost), ("GoBGP", cost, cost), ("OpenBGPD", free, cost)), 1):
            with self.subTest(daemon=daemon):
                if daemon:
                    report["agent"] = {"version": "1", "daemon": daemon, "boot": "0", "sequence": sequence}
                    self.assertEqual(self.service.request("PUT", status, report).status, 200)
                # The filter says nothing yet: only GoBGP ends sessions for a filter of any kind.
                self.assertEqual(preview(TOR, {"filters": [name]}), named)
                self.assertEqual(self.patch(TOR, {"filters": [name]}).status, 200)
                self.assertEqual(preview(f"{url}/{name}", spec), ruled)
                self.assertEqual(self.patch(TOR, {"filters": None}).status, 200)

    def test_a_change_of_the_node_itself_costs_all_its_sessions(self):
        sessions = len(self.peerings("rack1-host1")["items"])
        preview = self.patch(RESOURCES + "nodes/rack1-host1", {"bgp": {"routerID": "192.0.2.77"}}, self.QUERY).json()
        node = by_node(preview)["rack1-host1"]
        self.assertEqual(node["local"], [{"field": "routerID", "old": "192.168.1.11", "new": "192.0.2.77", "disruptive": True}])
        self.assertEqual([(change["disruptive"], change["fields"]) for change in node["changed"]], [(True, [])] * sessions)
        self.assertEqual(preview["changes"]["totals"],
                         {"nodes": 1, "added": 0, "removed": 0, "changed": sessions, "disruptive": sessions})

    def test_deletion_names_who_loses_the_last_session(self):
        self.service.request("DELETE", RESOURCES + "bgppeers/collector")
        self.service.request("DELETE", RESOURCES + "bgppeers/reflectors")
        answer = self.service.request("DELETE", RESOURCES + "bgppeers/rack2-tor" + self.QUERY)
        self.assertEqual(answer.status, 200, answer.body)
        preview = answer.json()
        self.assertEqual(preview["changes"]["totals"]["removed"], 2)
        self.assertEqual(preview["warnings"], ["2 nodes would lose their last session: rack2-host1, rack2-host2"])
        self.assertTrue(by_node(preview)["rack2-host1"]["removed"][0]["disruptive"])
        self.assertEqual(self.service.request("GET", RESOURCES + "bgppeers/rack2-tor").status, 200)

    def test_a_change_without_effect_lists_no_node(self):
        answer = self.service.request("PATCH", TOR + self.QUERY, {"metadata": {"labels": {"a": "b"}}}, MERGE)
        self.assertEqual(answer.json()["changes"], {
            "totals": {"nodes": 0, "added": 0, "removed": 0, "changed": 0, "disruptive": 0}, "nodes": []})

    def test_an_invalid_document_gets_the_causes_of_the_write(self):
        bad = peer("bad", peerIP="300.1.1.1", nodeSelector="rack ==")
        preview = self.service.request("POST", RESOURCES + "bgppeers" + self.QUERY, bad)
        write = self.service.request("POST", RESOURCES + "bgppeers", bad)
        self.assertEqual(preview.status, 422)
        self.assertEqual(preview.json()["details"]["causes"], write.json()["details"]["causes"])

    def test_preview_needs_a_dry_run(self):
        self.assertEqual(self.patch(TOR, {"asNumber": 63499}, "?preview=peerings").status, 400)
        self.assertEqual(self.patch(TOR, {"asNumber": 63499}, "?dryRun=All&preview=everything").status, 400)


class GroupTest(PreviewCase):
    def setUp(self):
        super().setUp()
        self.documents = [node("rack3-host1", "192.168.3.11/24"),
                          peer("rack3-tor", node="rack3-host1", peerIP="192.168.3.254", asNumber=63402)]

    def post(self, path, documents, revision=None):
        headers = {} if revision is None else {"If-Match": f'"{revision}"'}
        return self.service.request("POST", path, documents, headers)

    def test_previewed_together_then_applied_in_one_transaction(self):
        answer = self.post(PREVIEWS, self.documents)
        self.assertEqual(answer.status, 200, answer.body)
        preview = answer.json()
        added = [entry["peerIP"] for entry in by_node(preview)["rack3-host1"]["added"]]
        self.assertEqual(added, ["192.168.0.10", "192.168.2.11", "192.168.3.254"])
        self.assertEqual(by_node(preview)["rack2-host1"]["added"][0]["peerIP"], "192.168.3.11")
        self.assertEqual(self.service.request("GET", RESOURCES + "nodes/rack3-host1").status, 404)

        applied = self.post(APPLIES, self.documents, preview["metadata"]["resourceVersion"])
        self.assertEqual(applied.status, 200, applied.body)
        self.assertEqual([entry["kind"] for entry in applied.json()["objects"]], ["Node", "BGPPeer"])
        items = self.peerings("rack3-host1")["items"]
        self.assertEqual([entry["peerIP"] for entry in items], added)

    def test_multi_document_yaml(self):
        text = ("kind: Node\napiVersion: projectcalico.org/v3\nmetadata: {name: y1}\n---\n"
                "kind: Node\napiVersion: projectcalico.org/v3\nmetadata: {name: y2}\n")
        answer = self.service.request("POST", APPLIES, text.encode(), {"Content-Type": "application/yaml"})
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(self.service.request("GET", RESOURCES + "nodes/y2").status, 200)

    def test_an_empty_body(self):
        for path in (PREVIEWS, APPLIES):
            for content_type in (None, "application/json", "application/yaml"):
                answer = self.service.request("POST", path, None, {"Content-Type": content_type})
                self.assertEqual((answer.status, answer.json()["reason"]), (400, "BadRequest"))
                self.assertRegex(answer.json()["message"], "^the body (is empty|holds no document)")

    def test_one_bad_document_stops_all(self):
        documents = self.documents + [peer("broken", peerIP="nonsense")]
        for path in (PREVIEWS, APPLIES):
            answer = self.post(path, documents)
            self.assertEqual(answer.status, 422, answer.body)
            self.assertEqual(answer.json()["details"]["causes"][0]["field"], 'document 3 (BGPPeer "broken"): spec.peerIP')
        self.assertEqual(self.service.request("GET", RESOURCES + "nodes/rack3-host1").status, 404)

    def test_every_bad_document_is_told_at_once(self):
        nameless = peer("x", peerIP="192.0.2.1")
        nameless["metadata"] = {"generateName": "x-"}
        bad = [peer("one", peerIP="nonsense", asNumber=-1), self.documents[0], nameless, peer("two", peerIP="192.0.2.1", ttlSecurity=256)]
        for path in (PREVIEWS, APPLIES):
            answer = self.post(path, bad)
            self.assertEqual(answer.status, 422, answer.body)
            self.assertEqual({cause["field"] for cause in answer.json()["details"]["causes"]},
                             {'document 1 (BGPPeer "one"): spec.peerIP', 'document 1 (BGPPeer "one"): spec.asNumber',
                              "document 3 (BGPPeer): metadata.name", 'document 4 (BGPPeer "two"): spec.ttlSecurity'})
            worse = [*bad, {**peer("three"), "spec": {"colour": "red"}}, {"kind": "BGPPEER", "metadata": {"name": "x"}}, 7]
            answer = self.post(path, worse)
            self.assertEqual(answer.status, 400, answer.body)
            fields = [cause["field"] for cause in answer.json()["details"]["causes"]]
            self.assertEqual(fields[-3:], ['document 5 (BGPPeer "three"): spec.colour', 'document 6 (BGPPEER "x")', "document 7"])
            self.assertEqual(len(fields), 7)
            for field in fields:
                self.assertIn(field, answer.json()["message"])

    def test_every_error_of_many_documents_is_bounded(self):
        """However much is wrong, the answer stays small, and says how much it leaves out."""
        bad = [{**peer(f"bad-{number}"), "spec": {f"field-{i}": 1 for i in range(10)}} for number in range(999)] + [peer("last", peerIP="nonsense")]
        for path in (PREVIEWS, APPLIES):
            answer = self.post(path, bad)
            self.assertEqual(answer.status, 400)
            causes = answer.json()["details"]["causes"]
            self.assertEqual((len(causes), causes[-1]["message"]), (101, "and 9891 more errors"))
            self.assertLess(len(answer.body), 100_000)

    def test_one_object_twice(self):
        """Which of the two would count depended on their order alone."""
        twins = [peer("one", peerIP="192.0.2.1"), self.documents[0], peer("one", peerIP="192.0.2.2"), secret("one"), peer("one", peerIP="192.0.2.3")]
        for path in (PREVIEWS, APPLIES):
            answer = self.post(path, twins)
            self.assertEqual(answer.status, 422, answer.body)
            self.assertEqual([(cause["reason"], cause["field"], cause["message"]) for cause in answer.json()["details"]["causes"]],
                             [("FieldValueDuplicate", f'document {number} (BGPPeer "one")',
                               'Duplicate value: document 1 (BGPPeer "one") is about the same object; leave one of them') for number in (3, 5)])
        self.assertEqual(self.service.request("GET", RESOURCES + "bgppeers/one").status, 404)

    def test_a_sequence_is_a_list_of_documents(self):
        first, second = (json.dumps(document) for document in self.documents[:2])
        for body in (f"- {first}\n- {second}\n", f"[{first}, {second}]", f"{first}\n---\n- {second}\n"):
            answer = self.service.request("POST", PREVIEWS, body, {"Content-Type": "application/yaml"})
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual(len(answer.json()["objects"]), 2)

    def test_a_stale_version_in_a_document_stops_all(self):
        stale = self.get(TOR)
        self.patch(TOR, {"asNumber": 63401})
        answer = self.post(APPLIES, self.documents + [stale])
        self.assertEqual(answer.status, 409, answer.body)
        about = f'document 3 (BGPPeer "{stale["metadata"]["name"]}")'
        self.assertIn(about, answer.json()["message"])
        self.assertEqual([(cause["reason"], cause["field"]) for cause in answer.json()["details"]["causes"]], [("Conflict", about)])
        self.assertEqual(self.service.request("GET", RESOURCES + "nodes/rack3-host1").status, 404)

    def test_if_match_survives_changes_that_do_not_matter(self):
        revision = self.post(PREVIEWS, self.documents).json()["metadata"]["resourceVersion"]
        self.patch(TOR, {"asNumber": 63401})
        applied = self.post(APPLIES, self.documents, revision)
        self.assertEqual(applied.status, 200, applied.body)

    def test_if_match_refuses_when_the_result_would_differ(self):
        revision = self.post(PREVIEWS, self.documents).json()["metadata"]["resourceVersion"]
        self.service.request("DELETE", RESOURCES + "bgppeers/collector")
        refused = self.post(APPLIES, self.documents, revision)
        self.assertEqual(refused.status, 409, refused.body)
        self.assertEqual(self.service.request("GET", RESOURCES + "nodes/rack3-host1").status, 404)

    def test_if_match_beside_others_who_write_all_the_time(self):
        """What they write does not matter to the apply, so it is never refused; what matters refuses it all the same."""
        stop, statuses = threading.Event(), []

        def write():
            connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=60)
            while not stop.is_set():
                body = {"metadata": {"labels": {"turn": str(len(statuses))}}}
                statuses.append(self.service.request("PATCH", RESOURCES + "bgpfilters/only-pods", body, MERGE, connection).status)
            connection.close()

        with concurrent.futures.ThreadPoolExecutor(3) as threads:
            writers = [threads.submit(write) for _ in range(3)]
            try:
                for turn in range(20):
                    self.documents[1]["spec"]["asNumber"] = 64000 + turn
                    revision = self.post(PREVIEWS, self.documents).json()["metadata"]["resourceVersion"]
                    applied = self.post(APPLIES, self.documents, revision)
                    self.assertEqual(applied.status, 200, applied.body)
                    self.documents[1]["spec"]["asNumber"] = 65000 + turn
                    revision = self.post(PREVIEWS, self.documents).json()["metadata"]["resourceVersion"]
                    self.patch(RESOURCES + "bgppeers/rack3-tor", {"asNumber": 63000 + turn})
                    self.assertEqual(self.post(APPLIES, self.documents, revision).status, 409)
            finally:
                stop.set()
            for writer in writers:
                writer.result()
        self.assertEqual(set(statuses), {200})

    def test_if_match_without_a_known_preview(self):
        revision = self.get(RESOURCES + "nodes")["metadata"]["resourceVersion"]
        self.assertEqual(self.post(APPLIES, self.documents, int(revision) - 1).status, 409)
        self.assertEqual(self.post(APPLIES, self.documents, "nonsense").status, 400)
        self.assertEqual(self.post(APPLIES, self.documents, revision).status, 200)

    def test_applying_twice_changes_nothing(self):
        first = self.post(APPLIES, self.documents).json()
        second = self.post(APPLIES, self.documents).json()
        self.assertEqual(first["objects"], second["objects"])

    def test_nothing_to_do_is_said(self):
        self.assertEqual(self.post(PREVIEWS, []).status, 400)
        self.assertEqual(self.post(PREVIEWS, {"kind": "Pod", "apiVersion": "v1"}).status, 400)


def warnings(answer):
    return answer.headers.get_all("Warning") or []


def secret(name, namespace=None):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, **({"namespace": namespace} if namespace else {})}, "stringData": {"password": "x"}}


class AdviceTest(PreviewCase):
    """What is said after a single write is said of several, of previews and of dry runs as well."""

    LONELY = peer("lonely", node="nobody", peerIP="192.0.2.9", asNumber=64999, filters=["nothing"],
                  password={"secretKeyRef": {"name": "no-secret", "key": "password"}})
    ABOUT_LONELY = ('spec.node: there is no Node "nobody" yet', 'there is no Secret "no-secret" in namespace "default" yet', 'there is no BGPFilter "nothing" yet')

    def post(self, path, documents):
        answer = self.service.request("POST", path, documents)
        self.assertEqual(answer.status, 200, answer.body)
        return answer

    def assert_said(self, texts, said):
        for text in texts:
            self.assertTrue(any(text in one for one in said), (text, said))

    def test_of_several_documents(self):
        escaped = [text.replace('"', '\\"') for text in self.ABOUT_LONELY]
        documents = [node("rack3-host1", "192.168.3.11/24"), self.LONELY]
        for path in (PREVIEWS, APPLIES + "?dryRun=All", APPLIES, APPLIES):  # the last time it changes nothing
            answer = self.post(path, documents)
            self.assert_said(escaped, warnings(answer))
            self.assert_said(['document 2 (BGPPeer \\"lonely\\"): spec.node'], warnings(answer))
            self.assertFalse([one for one in warnings(answer) if "document 1" in one])
            if path == PREVIEWS:
                self.assert_said(self.ABOUT_LONELY, answer.json()["warnings"])

    def test_documents_know_each_other(self):
        """In whichever order they come, what is applied together is there."""
        documents = [peer("new", nodeSelector="has(new)", peerIP="192.0.2.9", asNumber=64999, filters=["f"],
                          password={"secretKeyRef": {"name": "s", "key": "password"}}),
                     peer("named", node="rack3-host1", peerSelector="has(new)", filters=["f"]),
                     {**node("rack3-host1", "192.168.3.11/24"), "metadata": {"name": "rack3-host1", "labels": {"new": "1"}}},
                     {"apiVersion": "projectcalico.org/v3", "kind": "BGPFilter", "metadata": {"name": "f"},
                      "spec": {"importV4": [{"action": "Reject"}]}}, secret("s"),
                     {**node("rack3-host2", "192.168.3.12/24"), "metadata": {"name": "rack3-host2", "labels": {"new": "1"}}}]
        for path in (PREVIEWS, APPLIES + "?dryRun=All", APPLIES):
            self.assertEqual(warnings(self.post(path, documents)), [])
        for changed in (documents[2], documents[5]):
            changed["metadata"]["labels"] = {"new": None}
        self.assert_said(['document 1 (BGPPeer \\"new\\"): spec.nodeSelector: the selector matches no node now', 'document 2 (BGPPeer \\"named\\"): spec.peerSelector'],
                         warnings(self.post(PREVIEWS, documents)))

    def test_of_one_write(self):
        for query in ("?dryRun=All", "?dryRun=All&preview=peerings", ""):
            answer = self.service.request("POST", RESOURCES + "bgppeers" + query, self.LONELY)
            self.assertIn(answer.status, (200, 201), answer.body)
            self.assert_said([text.replace('"', '\\"') for text in self.ABOUT_LONELY], warnings(answer))
            if "preview" in query:
                self.assert_said(self.ABOUT_LONELY, answer.json()["warnings"])

    def test_there_is_a_bound(self):
        documents = [peer(f"lonely-{number}", node=f"nobody-{number}", peerIP="192.0.2.9", asNumber=64999) for number in range(1000)]
        for path in (PREVIEWS, APPLIES):
            answer = self.post(path, documents)
            said = warnings(answer)
            self.assertLess(len("".join(said)), 4000)
            self.assertEqual(len(said) - 1 + int(said[-1].split('"and ')[1].split()[0]), 2000, said[-1])
            if path == PREVIEWS:
                self.assertEqual(answer.json()["warnings"][-1], "and 1968 more warnings")

    def test_of_a_collection(self):
        secrets = "/api/v1/namespaces/default/secrets"
        for name in ("used", "unused", "used-too"):
            self.assertEqual(self.service.request("POST", secrets, {**secret(name), "metadata": {"name": name, "labels": {"go": "1"}}}).status, 201)
        for name in ("f1", "f2"):
            self.assertEqual(self.service.request("POST", RESOURCES + "bgpfilters", {"metadata": {"name": name, "labels": {"go": "1"}}, "spec": {}}).status, 201)
        for number, name in enumerate(("used", "used", "used-too")):
            users = peer(f"user-{number}", peerIP="192.0.2.9", asNumber=64999, filters=["f2"], password={"secretKeyRef": {"name": name, "key": "password"}})
            self.assertEqual(self.service.request("POST", RESOURCES + "bgppeers", users).status, 201)
        for query in ("?labelSelector=go%3D1&dryRun=All", "?labelSelector=go%3D1"):
            answer = self.service.request("DELETE", secrets + query)
            self.assertEqual([one.split(": ")[0] for one in warnings(answer)],
                             ['299 - "2 BGPPeer(s) still use Secret \\"used\\" (the first is \\"user-0\\")',
                              '299 - "1 BGPPeer(s) still use Secret \\"used-too\\" (the first is \\"user-2\\")'])
            answer = self.service.request("DELETE", RESOURCES + "bgpfilters" + query)
            self.assertEqual([one.split(": ")[0] for one in warnings(answer)], ['299 - "3 BGPPeer(s) still use BGPFilter \\"f2\\" (the first is \\"user-0\\")'])
        self.assertEqual(warnings(self.service.request("DELETE", RESOURCES + "bgpfilters" + query)), [])


class NamespacesTest(unittest.TestCase):
    def test_secrets_of_every_namespace(self):
        with Service("--secret-namespace", "calico-system") as service:
            documents = [secret("mine", "calico-system"), secret("theirs", "other"), secret("plain"),
                         peer("p", peerIP="192.0.2.9", asNumber=64999, filters=[], password={"secretKeyRef": {"name": "mine", "key": "password"}})]
            for path in (PREVIEWS, APPLIES + "?dryRun=All", APPLIES):
                answer = service.request("POST", path, documents)
                self.assertEqual(answer.status, 200, answer.body)
                self.assertEqual([one["metadata"].get("namespace") for one in answer.json()["objects"]], ["calico-system", "other", "calico-system", None])
                self.assertNotIn("there is no Secret", " ".join(warnings(answer)))
            for key in ("calico-system/secrets/mine", "other/secrets/theirs", "calico-system/secrets/plain"):
                self.assertEqual(service.request("GET", f"/api/v1/namespaces/{key}").status, 200, key)
            bad = service.request("POST", PREVIEWS, [secret("x", "Not_One")])
            self.assertEqual((bad.status, bad.json()["details"]["causes"][0]["field"]), (422, 'document 1 (Secret "x"): metadata.namespace'), bad.body)
            single = service.request("POST", "/api/v1/namespaces/other/secrets", secret("x", "calico-system"))
            self.assertEqual(single.status, 400, "a path's namespace is still the object's")


class ExplainTest(PreviewCase):
    def explain(self, name, remote):
        return self.service.request("GET", f"{RESOURCES}nodes/{name}/peerings?explain={remote}")

    def test_a_remote_must_be_named(self):
        answer = self.explain("rack1-host1", "")
        self.assertEqual((answer.status, answer.json()["reason"]), (400, "BadRequest"))
        self.assertIn("explain=192.0.2.1", answer.json()["message"])

    def test_by_address_and_by_name(self):
        by_address = self.explain("rack1-host1", "192.168.2.11").json()
        by_name = self.explain("rack1-host1", "rack2-host1").json()
        self.assertEqual(by_address["verdict"], "Session")
        self.assertEqual(by_address["considered"], by_name["considered"])
        winner = next(rule for rule in by_address["considered"] if rule["bgpPeer"] == "reflectors")
        self.assertTrue(winner["forward"]["matches"])

    def test_an_address_as_resources_write_it(self):
        plain = self.explain("rack1-host1", "192.168.2.11").json()
        for written in ("192.168.2.11:179", "192.168.2.11:1790", "192.168.2.11%2F24", "::ffff:192.168.2.11"):
            self.assertEqual(self.explain("rack1-host1", written).json(), plain, written)
        plain = self.explain("rack1-host1", "2001:db8::9").json()
        self.assertEqual((plain["verdict"], plain["remote"]["addresses"]), ("NoSession", ["2001:db8::9"]))
        for written in ("2001:DB8:0::9", "[2001:db8::9]:1790", "2001:db8::9%2F64"):
            self.assertEqual(self.explain("rack1-host1", written).json(), plain, written)
        for written in ("192.168.2.11:99999", "192.168.2.11%2F33", "[2001:db8::9", "fe80::1%25eth0"):
            self.assertEqual(self.explain("rack1-host1", written).status, 404, written)

    def test_a_selector_shows_its_parts_and_labels(self):
        answer = self.explain("rack1-host1", "rack2-host2").json()
        self.assertEqual(answer["verdict"], "NoSession")
        text = str(answer)
        self.assertIn("has(route-reflector)", text)

    def test_unknown_remotes(self):
        self.assertEqual(self.explain("rack1-host1", "198.51.100.7").json()["verdict"], "NoSession")
        self.assertEqual(self.explain("rack1-host1", "no-such-node").status, 404)
        self.assertEqual(self.explain("no-such-node", "198.51.100.7").status, 404)

    def test_sessions_of_one_bgppeer_in_pages(self):
        path = RESOURCES + "bgppeers/reflectors/peerings"
        whole = self.get(path)
        pages, token = [], ""
        while True:
            page = self.get(f"{path}?limit=1&continue={token}")
            pages += page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                break
        self.assertEqual(pages, whole["items"])
        self.assertEqual({entry["node"] for entry in pages},
                         {"rack1-host1", "rack1-host2", "rack2-host1", "rack2-host2"})
        self.assertEqual(self.service.request("GET", RESOURCES + "bgppeers/nobody/peerings").status, 404)
        self.assertEqual(self.service.request("GET", path + "?limit=0").status, 400)


if __name__ == "__main__":
    unittest.main()
