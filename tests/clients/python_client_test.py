"""What Python programs do, with the library `kubernetes` (Debian's python3-kubernetes, 22.6).

tests/run: timeout 200
"""
import base64
import json
import os
import subprocess
import sys
import threading
import unittest

try:
    import kubernetes
except ImportError:
    kubernetes = None
    # Debian's python3 may have it where another one comes first in PATH.
    debian = "/usr/bin/python3"
    if (__name__ == "__main__" and os.path.realpath(sys.executable) != os.path.realpath(debian) and os.path.exists(debian)
            and subprocess.run([debian, "-c", "import kubernetes"], capture_output=True, check=False).returncode == 0):
        os.execv(debian, [debian, *sys.argv])

from service import Service

PEERS = ("projectcalico.org", "v3", "bgppeers")
MARKER = base64.b64encode(b"**redacted**").decode()


def peer(name, as_number=64999, **labels):
    return {"apiVersion": "projectcalico.org/v3", "kind": "BGPPeer", "metadata": {"name": name, "labels": labels},
            "spec": {"nodeSelector": "all()", "peerIP": "192.0.2.1", "asNumber": as_number}}


@unittest.skipIf(kubernetes is None, "python3-kubernetes is not installed: `make deps-clients` installs it")
class PythonClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service()
        cls.addClassCleanup(cls.service.close)
        cls.service.start()
        config = os.path.join(cls.service.folder, "kubeconfig")
        with open("api/kubeconfig.example", encoding="utf-8") as example, open(config, "w", encoding="utf-8") as file:
            file.write(example.read().replace("http://127.0.0.1:8080", cls.service.url))
        configuration = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(config, client_configuration=configuration)
        cls.client = kubernetes.client.ApiClient(configuration)
        cls.custom = kubernetes.client.CustomObjectsApi(cls.client)
        cls.core = kubernetes.client.CoreV1Api(cls.client)

    def tearDown(self):
        self.custom.delete_collection_cluster_custom_object(*PEERS)

    def refused(self, code, reason, action, *arguments, **more):
        with self.assertRaises(kubernetes.client.ApiException) as caught:
            action(*arguments, **more)
        status = json.loads(caught.exception.body)
        self.assertEqual((caught.exception.status, status["kind"], status["reason"]), (code, "Status", reason))
        return status

    def test_objects(self):
        made = self.custom.create_cluster_custom_object(*PEERS, peer("one", tier="a"))
        self.assertEqual(made["spec"]["asNumber"], 64999)
        self.assertEqual(self.custom.get_cluster_custom_object(*PEERS, "one"), made)
        self.refused(409, "AlreadyExists", self.custom.create_cluster_custom_object, *PEERS, peer("one"))
        self.refused(404, "NotFound", self.custom.get_cluster_custom_object, *PEERS, "none")
        made["spec"]["asNumber"] = 65000
        replaced = self.custom.replace_cluster_custom_object(*PEERS, "one", made)
        self.assertEqual((replaced["spec"]["asNumber"], replaced["metadata"]["generation"]), (65000, 2))
        self.refused(409, "Conflict", self.custom.replace_cluster_custom_object, *PEERS, "one", made)
        patched = self.custom.patch_cluster_custom_object(*PEERS, "one", {"spec": {"asNumber": 65001}})
        self.assertEqual((patched["spec"]["asNumber"], patched["spec"]["peerIP"]), (65001, "192.0.2.1"))
        status = self.refused(422, "Invalid", self.custom.patch_cluster_custom_object, *PEERS, "one", {"spec": {"peerIP": "x"}})
        self.assertEqual([cause["field"] for cause in status["details"]["causes"]], ["spec.peerIP"])
        gone = self.custom.delete_cluster_custom_object(*PEERS, "one")
        self.assertEqual(gone["status"], "Success")
        self.refused(404, "NotFound", self.custom.get_cluster_custom_object, *PEERS, "one")

    def test_lists(self):
        for name, tier in (("a", "x"), ("b", "y"), ("c", "x")):
            self.custom.create_cluster_custom_object(*PEERS, peer(name, tier=tier))
        names = lambda **query: [item["metadata"]["name"] for item in self.custom.list_cluster_custom_object(*PEERS, **query)["items"]]
        self.assertEqual(names(), ["a", "b", "c"])
        self.assertEqual(names(label_selector="tier=x"), ["a", "c"])
        self.assertEqual(names(field_selector="metadata.name=b"), ["b"])
        page = self.custom.list_cluster_custom_object(*PEERS, limit=2)
        self.assertEqual(page["metadata"]["remainingItemCount"], 1)
        self.assertEqual(names(limit=2, _continue=page["metadata"]["continue"]), ["c"])
        gone = self.custom.delete_collection_cluster_custom_object(*PEERS)
        self.assertEqual(len(gone["items"]), 3)
        self.assertEqual(names(), [])

    def test_dry_run(self):
        self.custom.create_cluster_custom_object(*PEERS, peer("dry"), dry_run="All")
        self.refused(404, "NotFound", self.custom.get_cluster_custom_object, *PEERS, "dry")

    def test_secrets(self):
        secret = kubernetes.client.V1Secret(metadata=kubernetes.client.V1ObjectMeta(name="pw"), string_data={"key": "correct-horse"})
        made = self.core.create_namespaced_secret("default", secret)
        self.assertEqual((made.data, made.type, made.string_data), ({"key": MARKER}, "Opaque", None))
        read = self.core.read_namespaced_secret("pw", "default")
        self.assertEqual(read.data, {"key": MARKER})
        values = json.loads(read.metadata.annotations["bgppeerd.io/values"])
        read.metadata.labels = {"use": "bgp"}
        replaced = self.core.replace_namespaced_secret("pw", "default", read)
        self.assertEqual(json.loads(replaced.metadata.annotations["bgppeerd.io/values"]), values)
        patched = self.core.patch_namespaced_secret("pw", "default", {"stringData": {"other": "staple"}})
        self.assertEqual(sorted(patched.data), ["key", "other"])
        everywhere = self.core.list_secret_for_all_namespaces(label_selector="use=bgp")
        self.assertEqual([(item.metadata.namespace, item.metadata.name) for item in everywhere.items], [("default", "pw")])
        self.assertEqual(self.core.list_namespaced_secret("elsewhere").items, [])
        self.assertEqual([item.metadata.name for item in self.core.list_namespace().items], ["default"])
        self.assertEqual(self.core.read_namespace("default").status.phase, "Active")
        self.core.delete_namespaced_secret("pw", "default")
        self.refused(404, "NotFound", self.core.read_namespaced_secret, "pw", "default")

    def test_watch(self):
        start = self.custom.list_cluster_custom_object(*PEERS)["metadata"]["resourceVersion"]
        def change():
            self.custom.create_cluster_custom_object(*PEERS, peer("w", 1))
            self.custom.patch_cluster_custom_object(*PEERS, "w", {"spec": {"asNumber": 2}})
            self.custom.delete_cluster_custom_object(*PEERS, "w")
        worker = threading.Timer(0.2, change)
        worker.start()
        seen = []
        watch = kubernetes.watch.Watch()
        for event in watch.stream(self.custom.list_cluster_custom_object, *PEERS, resource_version=start, timeout_seconds=60):
            seen.append((event["type"], event["object"]["spec"]["asNumber"]))
            if len(seen) == 3:
                watch.stop()
        worker.join()
        self.assertEqual(seen, [("ADDED", 1), ("MODIFIED", 2), ("DELETED", 2)])

    def test_a_watch_ends_at_its_time(self):
        self.custom.create_cluster_custom_object(*PEERS, peer("there"))
        seen = [event["type"] for event in
                kubernetes.watch.Watch().stream(self.custom.list_cluster_custom_object, *PEERS, timeout_seconds=1)]
        self.assertEqual(seen, ["ADDED"])

    def test_watch_of_secrets(self):
        self.core.create_namespaced_secret("default", {"metadata": {"name": "seen"}, "stringData": {"a": "b"}})
        events = list(kubernetes.watch.Watch().stream(self.core.list_secret_for_all_namespaces, timeout_seconds=1))
        self.assertEqual([(event["type"], event["object"].data) for event in events], [("ADDED", {"a": MARKER})])
        self.core.delete_namespaced_secret("seen", "default")

    def test_discovery(self):
        self.assertIn("bgppeerd", kubernetes.client.VersionApi(self.client).get_code().git_version)
        self.assertEqual([group.name for group in kubernetes.client.ApisApi(self.client).get_api_versions().groups if group.name == PEERS[0]],
                         [PEERS[0]])
        self.assertEqual(kubernetes.client.CoreApi(self.client).get_api_versions().versions, ["v1"])

    def test_dynamic(self):
        from kubernetes import dynamic
        client = dynamic.DynamicClient(self.client, cache_file=os.path.join(self.service.folder, "discovery"))
        peers = client.resources.get(api_version="projectcalico.org/v3", kind="BGPPeer")
        made = peers.create(body=peer("dyn"))
        self.assertEqual(made.spec.asNumber, 64999)
        patched = peers.patch(name="dyn", body={"spec": {"asNumber": 5}}, content_type="application/merge-patch+json")
        self.assertEqual(patched.spec.asNumber, 5)
        self.assertEqual([item.metadata.name for item in peers.get().items], ["dyn"])
        peers.delete(name="dyn")
        with self.assertRaises(dynamic.exceptions.NotFoundError):
            peers.get(name="dyn")


if __name__ == "__main__":
    unittest.main()
