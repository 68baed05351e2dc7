"""Imports: what kubectl and calicoctl export of a cluster becomes the sessions that its bare resources give."""
import json
import unittest

from foreign import NODES, calicoctl_shape, cluster, crd_shape, document, foreign, kubernetes_node, migration_shape, v3_shape
from service import Service

IMPORTS = "/apis/bgppeerd.io/v1/imports"
V3 = "/apis/projectcalico.org/v3/"
YAML = {"Content-Type": "application/yaml"}


class ShapeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with Service() as service:
            for one in cluster():
                answer = service.request("POST", f"{V3}{one['kind'].lower()}s", one)
                assert answer.status == 201, answer.body
            cls.wanted = cls.lists(service)

    @staticmethod
    def lists(service):
        return {f"n{i:03}": service.request("GET", f"{V3}nodes/n{i:03}/peerings").headers["ETag"] for i in range(NODES)}

    def check(self, text, skipped):
        with Service() as service:
            plan = service.request("POST", IMPORTS + "?dryRun=All&view=summary", text, YAML)
            self.assertEqual(plan.status, 200, plan.body)
            self.assertEqual(service.request("GET", V3 + "nodes").json()["items"], [])
            answer = service.request("POST", IMPORTS, text, YAML)
            self.assertEqual(answer.status, 200, answer.body)
            totals = answer.json()["totals"]
            self.assertEqual(totals, {"documents": NODES + 13 + skipped, "created": NODES + 13, "updated": 0, "unchanged": 0,
                                      "skipped": skipped, "bad": 0})
            self.assertEqual(plan.json()["totals"], totals)
            self.assertEqual(plan.json()["changes"]["totals"]["nodes"], NODES)
            self.assertEqual(self.lists(service), self.wanted)
            again = service.request("POST", IMPORTS, text, YAML).json()["totals"]
            self.assertEqual(again["unchanged"], NODES + 13)

    def test_kubectl_custom_resources(self):
        self.check(crd_shape(), 0)

    def test_kubectl_v3(self):
        self.check(v3_shape(), 0)

    def test_calicoctl(self):
        self.check(calicoctl_shape(), 0)

    def test_datastore_migration(self):
        self.check(migration_shape(), 3)


class FateTest(unittest.TestCase):
    def setUp(self):
        self.service = Service()
        self.addCleanup(self.service.close)
        self.service.start()

    def post(self, documents, query=""):
        return self.service.request("POST", IMPORTS + query, documents)

    def test_nothing_is_stored_while_a_document_is_bad(self):
        documents = [document("Node", "n1", {"bgp": {"ipv4Address": "192.0.2.1/24"}}), document("BGPeer", "x", {}),
                     document("BGPPeer", "y", {"peerIP": "no address"}), {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}]
        answer = self.post(documents)
        self.assertEqual(answer.status, 422, answer.body)
        self.assertIn("2 of 4 documents are not understood", answer.json()["message"])
        self.assertEqual([cause["field"] for cause in answer.json()["details"]["causes"]][1:],
                         ["document 2 (BGPeer x)", "document 3 (BGPPeer y)"])
        self.assertEqual(self.service.request("GET", V3 + "nodes").json()["items"], [])
        answer = self.post(documents, "?skipBad=true").json()
        self.assertEqual([one["fate"] for one in answer["documents"]], ["created", "bad", "bad", "skipped"])
        self.assertIn("did you mean BGPPeer?", answer["documents"][1]["why"])
        self.assertEqual(self.service.request("GET", V3 + "nodes/n1").status, 200)

    def test_whose_nodes_are_read(self):
        calico = foreign([document("Node", "n1", {"bgp": {"ipv4Address": "192.0.2.1/24"}}, {"rack": "r1"})])[0]
        own = kubernetes_node(calico)
        self.assertEqual(self.post([calico, own]).status, 422)
        for source, fates in (("calico", ["created", "skipped"]), ("kubernetes", ["skipped", "created"])):
            answer = self.post([calico, own], f"?dryRun=All&source={source}").json()
            self.assertEqual([one["fate"] for one in answer["documents"]], fates)
        self.assertEqual(self.post([calico], "?source=etcd").status, 400)

    def test_secrets_that_something_refers_to(self):
        def secret(name):
            return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "kube-system"}, "stringData": {"k": "password"}}

        peer = document("BGPPeer", "p", {"peerIP": "203.0.113.1", "asNumber": 64600, "password": {"secretKeyRef": {"name": "used", "key": "k"}}})
        answer = self.post([secret("used"), secret("unused"), peer]).json()
        self.assertEqual([one["fate"] for one in answer["documents"]], ["created", "skipped", "created"])
        self.assertEqual(self.service.request("GET", "/api/v1/namespaces/default/secrets/used").status, 200)
        self.assertEqual(answer["documents"][0]["notes"], ["namespace kube-system becomes default, where secretKeyRef is looked up"])
        bare = secret("used")
        del bare["metadata"]["namespace"]
        self.assertNotIn("notes", self.post([bare, peer]).json()["documents"][0])

    def test_applies_name_the_way_for_an_export(self):
        answer = self.service.request("POST", "/apis/bgppeerd.io/v1/applies", foreign(cluster()[:2]))
        self.assertEqual(answer.status, 409)
        self.assertIn("/apis/bgppeerd.io/v1/imports", answer.json()["message"])

    def test_labels_and_annotations_of_custom_resources(self):
        def resource(name, kept):
            return {"apiVersion": "crd.projectcalico.org/v1", "kind": "BGPPeer",
                    "metadata": {"name": name, "labels": {"a": "own"}, "annotations": {"projectcalico.org/metadata": kept, "site": "own"}},
                    "spec": {"peerIP": "203.0.113.1", "asNumber": 64600, "nodeSelector": "all()"}}

        kept = json.dumps({"uid": "u", "labels": {"a": "1", "b": "2"}, "annotations": {"owner": "netops", "site": "kept"}})
        answer = self.post([resource("p", kept)])
        self.assertEqual(answer.status, 200, answer.body)
        metadata = self.service.request("GET", V3 + "bgppeers/p").json()["metadata"]
        self.assertEqual(metadata["labels"], {"a": "own", "b": "2"})
        self.assertEqual(metadata["annotations"], {"site": "own", "owner": "netops"})
        self.assertEqual([one.split(": ")[1] for one in answer.json()["warnings"]], ["spec.nodeSelector", "spec.filters"])
        for kept in ("[1]", "{"):
            answer = self.post([resource("q", kept)])
            self.assertEqual(answer.status, 422)
            self.assertIn("annotation projectcalico.org/metadata", answer.json()["details"]["causes"][1]["message"])

    def test_an_import_of_nothing_tells_the_present_version(self):
        version = self.post([document("Node", "n1", {})]).json()["metadata"]["resourceVersion"]
        self.assertNotEqual(version, "0")
        for query in ("", "?dryRun=All"):
            self.assertEqual(self.post([{"apiVersion": "v1", "kind": "ConfigMap"}], query).json()["metadata"]["resourceVersion"], version)

    def test_what_lists_give_is_the_same_elsewhere(self):
        def lists(service):
            return [service.request("GET", V3 + kind).json() for kind in ("bgpconfigurations", "nodes", "bgppeers", "bgpfilters")]

        def bare(found):
            return [(one["metadata"]["name"], one["metadata"].get("labels"), one["metadata"].get("annotations"), one.get("spec"), one.get("status"))
                    for items in found for one in items["items"]]

        self.assertEqual(self.post(foreign(cluster())).status, 200)
        exported = lists(self.service)
        unchanged = self.post(exported).json()["totals"]
        self.assertEqual(unchanged["unchanged"], unchanged["documents"])
        with Service() as other:
            self.assertEqual(other.request("POST", IMPORTS, exported).status, 200)
            self.assertEqual(bare(lists(other)), bare(exported))

    def test_other_paths_say_where_exports_go(self):
        calico = foreign([document("Node", "n1", {"bgp": {"ipv4Address": "192.0.2.1/24"}}, {"rack": "r1"})])[0]
        for path in (V3 + "nodes", "/apis/bgppeerd.io/v1/applies"):
            answer = self.service.request("POST", path, kubernetes_node(calico))
            self.assertEqual(answer.status, 400)
            self.assertIn("Kubernetes' own Node: send it to " + IMPORTS, answer.json()["message"])

    def test_a_large_import_goes_into_an_empty_fleet(self):
        nodes = [document("Node", f"n{i}", {}) for i in range(1500)]
        self.assertEqual(self.post(nodes).json()["totals"]["created"], 1500)
        self.assertEqual(self.post(nodes).status, 413)


if __name__ == "__main__":
    unittest.main()
