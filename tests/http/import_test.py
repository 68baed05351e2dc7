"""Imports: what kubectl and calicoctl export of a cluster becomes the sessions that its bare resources give."""
import copy
import json
import unittest

from service import Service

IMPORTS = "/apis/bgppeerd.io/v1/imports"
V3 = "/apis/projectcalico.org/v3/"
YAML = {"Content-Type": "application/yaml"}
NODES = 100


def document(kind, name, spec, labels=None):
    metadata = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": metadata, "spec": spec}


def cluster():
    """100 nodes in ten racks; the first of each rack is a reflector of the rest, and each rack has its ToR."""
    found = [document("BGPConfiguration", "default", {"asNumber": 64512, "nodeToNodeMeshEnabled": False})]
    for i in range(NODES):
        bgp = {"ipv4Address": f"192.0.2.{i + 1}/24"}
        labels = {"rack": f"r{i // 10}", "kubernetes.io/hostname": f"n{i:03}"}
        if i % 10 == 0:
            bgp["routeReflectorClusterID"] = f"198.51.100.{i // 10 + 1}"
            labels["route-reflector"] = "true"
        found.append(document("Node", f"n{i:03}", {"bgp": bgp}, labels))
    found.append(document("BGPPeer", "reflectors", {"nodeSelector": "all()", "peerSelector": "has(route-reflector)"}))
    for rack in range(10):
        found.append(document("BGPPeer", f"tor{rack}", {"nodeSelector": f"rack == 'r{rack}'", "peerIP": f"203.0.113.{rack + 1}",
                                                        "asNumber": 64600 + rack, "filters": ["f"]}))
    found.append(document("BGPFilter", "f", {"exportV4": [{"action": "Accept", "matchOperator": "In", "cidr": "198.51.100.0/24"}]}))
    return found


def foreign(found):
    """With the metadata of another system."""
    found = copy.deepcopy(found)
    for i, one in enumerate(found):
        one["metadata"].update(uid=f"00000000-0000-0000-0000-{i:012}", resourceVersion=str(900000 + i), generation=3,
                               creationTimestamp="2020-07-29T14:00:36Z", managedFields=[{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}])
        one["metadata"].setdefault("annotations", {})["kubectl.kubernetes.io/last-applied-configuration"] = "{}"
    return found


def kubernetes_node(node):
    bgp, metadata = node["spec"]["bgp"], copy.deepcopy(node["metadata"])
    own = metadata["labels"].pop("route-reflector", None)
    annotations = metadata["annotations"]
    annotations["projectcalico.org/IPv4Address"] = bgp["ipv4Address"]
    if own is not None:
        annotations["projectcalico.org/RouteReflectorClusterID"] = bgp["routeReflectorClusterID"]
        annotations["projectcalico.org/labels"] = json.dumps({"route-reflector": own, "rack": "another"})
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"podCIDR": "198.51.100.0/26"},
            "status": {"images": [{"names": ["a"], "sizeBytes": 1}]}}


def as_list(items, kind="List", version="v1"):
    return {"apiVersion": version, "kind": kind, "items": items, "metadata": {"resourceVersion": ""}}


def crd_shape():
    """kubectl get nodes,bgppeers.crd.projectcalico.org,… -o yaml"""
    items = []
    for one in foreign(cluster()):
        if one["kind"] == "Node":
            items.append(kubernetes_node(one))
        else:
            metadata = {**one["metadata"], "annotations": {"projectcalico.org/metadata": "{\"creationTimestamp\":null}"}}
            items.append({**one, "apiVersion": "crd.projectcalico.org/v1", "metadata": metadata})
    return json.dumps(as_list(items))


def v3_shape():
    """kubectl get nodes,bgppeers.projectcalico.org,… -o yaml"""
    return json.dumps(as_list([kubernetes_node(one) if one["kind"] == "Node" else one for one in foreign(cluster())]))


def by_kind():
    found = {}
    for one in foreign(cluster()):
        found.setdefault(one["kind"], []).append(one)
    return [as_list(items, kind + "List", "projectcalico.org/v3") for kind, items in found.items()]


def calicoctl_shape():
    return json.dumps(by_kind())


def migration_shape():
    """calicoctl datastore migrate export: YAML, then two sections of JSON."""
    pools = as_list([{"kind": "IPPool", "apiVersion": "projectcalico.org/v3", "metadata": {"name": "p"}, "spec": {}}], "IPPoolList", "projectcalico.org/v3")
    return "".join(json.dumps(one) + "\n---\n" for one in [pools, *by_kind()]) + '===\n{"spec": {}}\n===\n{"Blocks": {}}\n'


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
