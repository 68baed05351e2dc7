"""The forms in which answers come: YAML, metadata alone, and what is said of paths and selectors that are not there."""
import json
import subprocess
import unittest

from wire import GROUP, OURS, ServiceTest

YAML = {"Accept": "application/yaml"}
METADATA = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
METADATA_LIST = {"Accept": "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,"
                           "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"}
SECRETS = "/api/v1/namespaces/default/secrets"

# A labelSelector, and the nodes that it selects (racks 3, 20 and b).
SELECTED = [("rack>3", ["n20"]), ("rack > 2", ["n20", "n3"]), ("rack<20", ["n3"]), ("rack<21,rack>3", ["n20"]), ("rack>20", []),
            ("rack<9223372036854775807", ["n20", "n3"]), ("rack!=3", ["n20", "nb"])]
# What is said of others, behind "unable to parse the labelSelector".
UNREADABLE = [
    ("rack>b", '"rack>b": expected a whole number, with which > and < compare at byte 5'),
    ("rack>", '"rack>": expected a whole number, with which > and < compare at byte 5'),
    ("rack>=3", '"rack>=3": expected a whole number, with which > and < compare at byte 5'),
    ("has(rack)", "\"has(rack)\": expected '=', '==', '!=', '>', '<', 'in', 'notin', ',' or the end at byte 3; a labelSelector is written "
                  "rack=a,tier in (x,y): without quotes, has(), all(), && and ||"),
    ("rack=='a'", "\"rack=='a'\": expected a label value (letters, digits, '-', '_', '.', at most 63, or nothing) at byte 6; a labelSelector "
                  "is written rack=a,tier in (x,y): without quotes, has(), all(), && and ||"),
    ("rack in a", "\"rack in a\": expected '(' at byte 8"),
]
# Where people look for things, and what they are told.
PATHS = [
    ("/nodes", "; nodes are at /apis/projectcalico.org/v3/nodes"),
    ("/api/v1/nodes", "; nodes are at /apis/projectcalico.org/v3/nodes"),
    ("/apis/projectcalico.org/v3/node", "; nodes are at /apis/projectcalico.org/v3/nodes"),
    ("/apis/projectcalico.org/v3/BGPPeers/x", "; bgppeers are at /apis/projectcalico.org/v3/bgppeers"),
    ("/apis/crd.projectcalico.org/v1/bgppeers", "; bgppeers are at /apis/projectcalico.org/v3/bgppeers"),
    ("/apis/projectcalico.org/v3/secrets", "; secrets are at /api/v1/namespaces/NAMESPACE/secrets"),
    ("/apis/projectcalico.org/v3/ippools", "; of Calico's resources, bgppeers, bgpconfigurations, bgpfilters and nodes are served here"),
    ("/apis/crd.projectcalico.org/v1", "; BGP resources of Calico are under /apis/projectcalico.org/v3"),
    ("/swagger.json", "; GET / lists all paths"),
    ("/docs", "; GET / lists all paths"),
]


class AnswersTest(ServiceTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, rack in (("n3", "3"), ("n20", "20"), ("nb", "b")):
            cls.service.request("POST", f"{GROUP}/nodes", {"metadata": {"name": name, "labels": {"rack": rack}, "annotations": {"note": "a: b"}},
                                                           "spec": {"bgp": {"ipv4Address": f"10.0.0.{len(name) + ord(name[-1]) % 10}/24"}}})
        cls.service.request("POST", SECRETS, {"metadata": {"name": "s"}, "stringData": {"password": "hunter2"}})

    def assert_same(self, text, value):
        """The YAML means what the JSON does: the service takes it as a patch that changes nothing."""
        program = "import json,sys,yaml; print(json.dumps(yaml.safe_load(sys.stdin)))"
        done = subprocess.run(["python3", "-c", program], input=text, capture_output=True, text=True, check=False)
        if done.returncode != 0 and "No module named 'yaml'" in done.stderr:
            self.skipTest("python3-yaml is not there")
        self.assertEqual(done.returncode, 0, done.stderr + text)
        self.assertEqual(json.loads(done.stdout, object_pairs_hook=dict), value)

    def test_yaml(self):
        text = self.request("GET", f"{GROUP}/nodes/n3", headers=YAML)
        self.assertEqual((text.status, text.headers["Content-Type"], text.headers["Vary"]), (200, "application/yaml", "Authorization, Accept"))
        self.assertEqual(text.headers["ETag"], self.request("GET", f"{GROUP}/nodes/n3").headers["ETag"])
        self.assertIn('\n  labels:\n    rack: "3"\n  annotations:\n    note: "a: b"\nspec:\n  bgp:\n    ipv4Address: "10.0.0.', text.body.decode())
        listed = self.request("GET", f"{GROUP}/nodes", headers=YAML).body.decode()
        self.assertIn("\nitems:\n- apiVersion: projectcalico.org/v3\n  kind: Node\n  metadata:\n    name: n20\n", listed)

    def test_yaml_goes_in_as_it_came_out(self):
        for path, name in ((f"{GROUP}/nodes", "n3"), (SECRETS, "s")):
            before = self.request("GET", f"{path}/{name}").json()
            text = self.request("GET", f"{path}/{name}", headers=YAML).body
            self.assertEqual(self.request("PUT", f"{path}/{name}", text, {"Content-Type": "application/yaml"}).json(), before)
        applied = self.request("POST", f"{OURS}/applies", self.request("GET", f"{GROUP}/nodes", headers=YAML).body, {"Content-Type": "application/yaml"})
        self.assertEqual({result["result"] for result in applied.json()["results"]}, {"unchanged"})

    def test_yaml_of_any_text(self):
        """What YAML would take for something else, or cannot hold in clear, comes back as it was."""
        texts = ["", " ", "true", "No", "y", "~", "null", "1", "1.5", "0x1F", "1e5", "e5", ".inf", "a: b", "- x", "#c", "a #b", "'", '"', "\\", "\x7f", "\u0085",
                 "\u2028", "\ufeff", "\U0001f600", "2026-01-01", "=", "<<", "-", "---", "@x", "%x", "&x", "*x", "!x", "two\nlines", "tab\t", "a/b", "{x}", "[x]"]
        self.create("nodes", "odd", {}, annotations={f"n{i}": text for i, text in enumerate(texts)})
        before = self.request("GET", f"{GROUP}/nodes/odd").json()
        text = self.request("GET", f"{GROUP}/nodes/odd", headers=YAML).body
        self.assertEqual(self.request("PUT", f"{GROUP}/nodes/odd", text, {"Content-Type": "application/yaml"}).json(), before)
        self.request("DELETE", f"{GROUP}/nodes/odd")

    def test_yaml_says_the_same_as_json(self):
        for path in (f"{GROUP}/nodes/n3", f"{GROUP}/nodes", f"{GROUP}/bgppeers", f"{SECRETS}/s", "/apis", "/version", f"{OURS}/changes", "/openapi.json"):
            text = self.request("GET", path, headers=YAML)
            self.assertEqual(text.headers["Content-Type"], "application/yaml", path)
            value = self.request("GET", path).json()
            with self.subTest(path):
                self.assert_same(text.body.decode(), value)

    def test_which_form_is_asked_for(self):
        for accept, want in (("text/yaml", "yaml"), ("application/x-yaml", "yaml"), ("application/yaml, application/json", "yaml"),
                             ("application/json, application/yaml", "json"), ("application/yaml;q=0, */*", "json"), ("*/*, application/yaml", "json"),
                             ("text/html, application/yaml", "yaml")):
            answer = self.request("GET", f"{GROUP}/nodes", headers={"Accept": accept})
            self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, f"application/{want}"), accept)
        self.assert_status(self.request("GET", f"{GROUP}/nodes/none", headers=YAML), 404, "NotFound")
        self.assert_status(self.request("GET", f"{GROUP}/nodes?watch=1", headers=YAML), 406, "NotAcceptable")
        status = self.assert_status(self.request("GET", f"{GROUP}/nodes", headers={"Accept": "text/html"}), 406)
        self.assertIn("ask for application/json or application/yaml", status["message"])

    def test_metadata_alone(self):
        whole = self.request("GET", f"{GROUP}/nodes/n3").json()
        self.assertEqual(self.request("GET", f"{GROUP}/nodes/n3", headers=METADATA).json(),
                         {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": whole["metadata"]})
        listed = self.request("GET", f"{GROUP}/nodes?limit=2", headers=METADATA_LIST).json()
        self.assertEqual((listed["kind"], listed["apiVersion"], [item["metadata"]["name"] for item in listed["items"]]),
                         ("PartialObjectMetadataList", "meta.k8s.io/v1", ["n20", "n3"]))
        self.assertIn("continue", listed["metadata"])
        self.assertEqual({tuple(sorted(item)) for item in listed["items"]}, {("apiVersion", "kind", "metadata")})
        secret = self.request("GET", f"{SECRETS}/s", headers=METADATA)
        self.assertEqual(set(secret.json()), {"kind", "apiVersion", "metadata"})
        self.assertEqual(secret.json()["metadata"]["resourceVersion"], self.request("GET", f"{SECRETS}/s").json()["metadata"]["resourceVersion"])

    def test_metadata_of_a_watch(self):
        events = self.request("GET", f"{GROUP}/nodes?watch=1&timeoutSeconds=1", headers=METADATA_LIST).body.splitlines()
        self.assertEqual([(json.loads(event)["type"], json.loads(event)["object"]["kind"]) for event in events],
                         [("ADDED", "PartialObjectMetadata")] * 3)
        self.assertNotIn(b"ipv4Address", b"".join(events))

    def test_labels_are_compared_as_numbers(self):
        for selector, names in SELECTED:
            answer = self.request("GET", f"{GROUP}/nodes?labelSelector=" + selector.replace(">", "%3E").replace("<", "%3C").replace(" ", "+"))
            self.assertEqual([item["metadata"]["name"] for item in answer.json()["items"]], names, selector)
        for selector, said in UNREADABLE:
            answer = self.request("GET", f"{GROUP}/nodes?labelSelector=" + selector.replace(">", "%3E").replace(" ", "+").replace("&", "%26"))
            self.assertEqual(self.assert_status(answer, 400)["message"], f"unable to parse the labelSelector {said}")

    def test_paths_that_are_not_there(self):
        for path, said in PATHS:
            message = self.assert_status(self.request("GET", path), 404, "NotFound")["message"]
            self.assertEqual(message, f"the server could not find the requested resource: there is no path {path}{said}")

    def test_server_side_apply(self):
        answer = self.request("PATCH", f"{GROUP}/nodes/n3?fieldManager=x", b"{}", {"Content-Type": "application/apply-patch+yaml"})
        self.assertEqual(self.assert_status(answer, 415)["message"], "server-side apply is not supported; apply without it (kubectl apply without "
                         "--server-side), or send the document to /apis/bgppeerd.io/v1/applies")


if __name__ == "__main__":
    unittest.main()
