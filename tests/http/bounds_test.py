"""What one caller may cost the others: the limits of a node's requests about itself."""
import json
import unittest

from service import Service
from wire import GROUP

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


class NodeLimitsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service(auth=True)
        cls.addClassCleanup(cls.service.close)
        cls.service.start()
        answer = cls.service.request("POST", f"{GROUP}/nodes", {"metadata": {"name": "n1"}, "spec": {"bgp": {"ipv4Address": "10.0.0.1"}}})
        assert answer.status == 201, answer.body
        answer = cls.service.request("POST", "/apis/bgppeerd.io/v1/tokens", {"spec": {"role": "node", "node": "n1"}})
        assert answer.status == 201, answer.body
        cls.node = {"Authorization": "Bearer " + answer.json()["status"]["token"]}

    def patch(self, body, kind, headers=None):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.service.request("PATCH", f"{GROUP}/nodes/n1", body=text, headers={**(self.node if headers is None else headers), "Content-Type": kind})

    def test_operations_of_a_json_patch(self):
        operation = {"op": "replace", "path": "/spec/bgp/ipv4Address", "value": "10.0.0.1"}
        self.assertEqual(self.patch([operation] * 64, JSON_PATCH).status, 200)
        refused = self.patch([operation] * 65, JSON_PATCH)
        self.assertEqual(refused.status, 413)
        self.assertIn("at most 64 operations here, this one has 65", refused.json()["message"])
        self.assertEqual(self.patch([operation] * 65, JSON_PATCH, headers={}).status, 200, "an admin's limit is another one")

    def test_length_of_a_patch(self):
        text = json.dumps({"spec": {"bgp": {"ipv4Address": "10.0.0.1"}}}).encode()
        self.assertEqual(self.patch(text.ljust(64 * 1024), MERGE).status, 200)
        refused = self.patch(text.ljust(64 * 1024 + 1), MERGE)
        self.assertEqual(refused.status, 413)
        self.assertIn("65536", refused.json()["message"])
        self.assertEqual(self.patch(text.ljust(64 * 1024 + 1), MERGE, headers={}).status, 200)

    def test_length_of_a_review(self):
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        body = b"spec: {nonResourceAttributes: {path: /livez, verb: get}}\n"
        for length, status in ((64 * 1024, 201), (64 * 1024 + 1, 413)):
            answer = self.service.request("POST", path, body=body.ljust(length, b"\n"), headers={**self.node, "Content-Type": "application/yaml"})
            self.assertEqual(answer.status, status, answer.body)


if __name__ == "__main__":
    unittest.main()
