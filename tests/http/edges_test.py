"""Limits at their edges, over HTTP: the largest that is taken, and the smallest that is refused, with its reason."""
import json
import unittest

from wire import GROUP, ServiceTest

OURS = "/apis/bgppeerd.io/v1"
PEERS = f"{GROUP}/bgppeers"
JSON = {"Content-Type": "application/json"}
YAML = {"Content-Type": "application/yaml"}
DEPTH = 32
DOCUMENTS = 1000


def peer(name, **spec):
    return {"apiVersion": "projectcalico.org/v3", "kind": "BGPPeer", "metadata": {"name": name}, "spec": {"peerIP": "192.0.2.1", "asNumber": 1, **spec}}


class EdgesTest(ServiceTest):
    def dry(self, body, plural="bgppeers"):
        return self.request("POST", f"{GROUP}/{plural}?dryRun=All", body, JSON)

    def test_depth(self):
        """Where nothing is known about a field, only its depth can be wrong."""
        for syntax, depth, fits in ((JSON, DEPTH, True), (JSON, DEPTH + 1, False), (YAML, DEPTH, True), (YAML, DEPTH + 1, False)):
            inner = "[" * (depth - 1) + "]" * (depth - 1)
            body = json.dumps(peer("deep"))[:-1] + f', "unknown": {inner}}}'
            answer = self.request("POST", f"{PEERS}?dryRun=All&fieldValidation=Ignore", body, syntax)
            self.assertEqual(answer.status, 201 if fits else 400, answer.body[:300])

    def test_names(self):
        self.assertEqual(self.dry(peer("n" * 253)).status, 201)
        status = self.assert_status(self.dry(peer("n" * 254)), 422, "Invalid")
        self.assertEqual(status["details"]["causes"][0]["field"], "metadata.name")
        self.assert_status(self.request("GET", f"{PEERS}/{'n' * 253}"), 404, "NotFound")
        self.assert_status(self.request("GET", f"{PEERS}/{'n' * 4000}"), 404, "NotFound")

    def test_labels(self):
        for key, value, code in (("k" * 63, "v" * 63, 201), ("k" * 64, "v", 422), ("k", "v" * 64, 422),
                                 ("p" * 63 + ("." + "p" * 62) * 3 + "/" + "k" * 63, "v", 201), ("p" * 254 + "/k", "v", 422)):
            body = peer("labelled")
            body["metadata"]["labels"] = {key: value}
            self.assertEqual(self.dry(body).status, code, (key, value))

    def test_selectors(self):
        def selector(size):
            return "a == '" + "b" * (size - len("a == ''")) + "'"

        for field in ("nodeSelector", "peerSelector"):
            for size, code in ((1024, 201), (1025, 422)):
                body = peer("selecting", **{field: selector(size)})
                if field == "peerSelector":
                    del body["spec"]["peerIP"], body["spec"]["asNumber"]
                answer = self.dry(body)
                self.assertEqual(answer.status, code, answer.body[:300])
                if code == 422:
                    self.assertEqual([cause["field"] for cause in answer.json()["details"]["causes"]], [f"spec.{field}"])

    def test_waits(self):
        self.create_node("waited", "10.0.0.1/24")
        for wait, code in (("300", 200), ("300s", 200), ("5m", 200), ("300000ms", 200), ("300001ms", 400), ("301", 400), ("5m1s", 400), ("0", 200), ("-1", 400)):
            answer = self.request("GET", f"{GROUP}/nodes/waited/peerings?wait={wait}", None, {"If-None-Match": '"other"'})
            self.assertEqual(answer.status, code, wait)

    def test_documents(self):
        for count, code in ((1, 200), (DOCUMENTS, 200), (DOCUMENTS + 1, 413)):
            documents = [peer(f"d{i}") for i in range(count)]
            forms = ((json.dumps(documents), JSON), (json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}), JSON),
                     ("---\n".join(json.dumps(document) + "\n" for document in documents), YAML))
            for body, syntax in forms:
                with self.subTest(count=count, syntax=syntax, start=body[:20]):
                    answer = self.request("POST", f"{OURS}/previews", body, syntax)
                    self.assertEqual(answer.status, code, answer.body[:300])
                    if code == 200:
                        self.assertEqual(len(answer.json()["objects"]), count)
                    else:
                        self.assertIn(str(DOCUMENTS), answer.json()["message"])
        answer = self.request("POST", f"{OURS}/applies", json.dumps([peer(f"d{i}") for i in range(DOCUMENTS)]), JSON)
        self.assertEqual((answer.status, len(self.request("GET", PEERS).json()["items"])), (200, DOCUMENTS))


if __name__ == "__main__":
    unittest.main()
