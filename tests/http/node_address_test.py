"""A node that writes its own addresses gets no session and no password that operators have not given it."""
import json
import threading
import unittest

from service import Service
from wire import GROUP

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
SECRETS = "/api/v1/namespaces/default/secrets"


class NodeAddressTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service("--node-address-ranges", "10.0.0.0/8,192.0.2.0/24,2001:db8::/32", "--max-node-writes", "0", auth=True)
        cls.addClassCleanup(cls.service.close)
        cls.service.start()
        cls.make("nodes", "victim", {"bgp": {"ipv4Address": "10.0.0.5/24", "ipv6Address": "2001:db8::5/64"}})
        cls.make("nodes", "other", {"bgp": {"ipv4Address": "10.0.0.6/24"}})
        cls.make("nodes", "evil", {"bgp": {"ipv4Address": "10.0.0.66/24"}})
        cls.make("bgpconfigurations", "default", {"nodeToNodeMeshEnabled": False})
        answer = cls.service.request("POST", SECRETS, {"metadata": {"name": "pw"}, "stringData": {"inside": "between-two", "outside": "of-the-reflector"}})
        assert answer.status == 201, answer.body
        for name, address, key in (("two", "10.0.0.5", "inside"), ("tor", "192.0.2.1:1790", "outside"), ("tor6", "[2001:DB8:0::1]:179", "outside")):
            cls.make("bgppeers", name, {"node": "other", "peerIP": address, "asNumber": 64512, "password": {"secretKeyRef": {"name": "pw", "key": key}}})
        answer = cls.service.request("POST", "/apis/bgppeerd.io/v1/tokens", {"spec": {"role": "node", "node": "evil"}})
        assert answer.status == 201, answer.body
        cls.token = {"Authorization": "Bearer " + answer.json()["status"]["token"]}

    @classmethod
    def make(cls, plural, name, spec):
        answer = cls.service.request("POST", f"{GROUP}/{plural}", {"metadata": {"name": name}, "spec": spec})
        assert answer.status == 201, answer.body

    def write(self, method, body, kind="application/json", query=""):
        return self.service.request(method, f"{GROUP}/nodes/evil{query}", body=json.dumps(body).encode(), headers={**self.token, "Content-Type": kind})

    def passwords(self):
        items = self.service.request("GET", f"{GROUP}/nodes/evil/peerings", headers=self.token).json()["items"]
        return {item["password"] for item in items if "password" in item}

    def forms(self, field, text):
        """The same write in every form that there is."""
        yield self.write("PATCH", {"spec": {"bgp": {field: text}}}, MERGE)
        yield self.write("PATCH", [{"op": "add", "path": f"/spec/bgp/{field}", "value": text}], JSON_PATCH)
        yield self.write("PATCH", {"spec": {"bgp": {field: text}}}, MERGE, "?dryRun=All")
        whole = self.service.request("GET", f"{GROUP}/nodes/evil", headers=self.token).json()
        whole["spec"]["bgp"][field] = text
        yield self.write("PUT", whole)

    def test_addresses_of_others(self):
        for field, text in (("ipv4Address", "10.0.0.5"), ("ipv4Address", "10.0.0.5/32"), ("ipv4Address", "10.0.0.6/0"), ("ipv4Address", "192.0.2.1"),
                            ("ipv6Address", "2001:db8:0:0::5"), ("ipv6Address", "2001:DB8::1/64")):
            for answer in self.forms(field, text):
                self.assertEqual(answer.status, 403, f"{text}: {answer.body}")
                message = answer.json()["message"]
                self.assertIn(field, message)
                self.assertIn("operator", message)
                for name in ("victim", "other", "tor", "two"):
                    self.assertNotIn(name, message.replace("another", "").replace("operator", ""))
            self.assertEqual(self.passwords(), set())

    def test_unusable_and_out_of_range(self):
        for text in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"):
            self.assertEqual(self.write("PATCH", {"spec": {"bgp": {"ipv4Address": text}}}, MERGE).status, 422, text)
        answer = self.write("PATCH", {"spec": {"bgp": {"ipv4Address": "172.16.0.1"}}}, MERGE)
        self.assertEqual(answer.status, 403)
        self.assertIn("--node-address-ranges", answer.json()["message"])

    def test_free_addresses(self):
        for text in ("10.0.0.67/24", "192.0.2.99", "10.0.0.66/24"):
            for answer in self.forms("ipv4Address", text):
                self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(self.passwords(), set())

    def test_annotation(self):
        path = f"{GROUP}/nodes/evil"
        annotate = {"metadata": {"annotations": {"bgppeerd.io/address-ranges": "10.9.0.0/16"}}}
        self.assertEqual(self.write("PATCH", annotate, MERGE).status, 403)
        answer = self.service.request("PATCH", path, json.dumps(annotate).encode(), {"Content-Type": MERGE})
        self.assertEqual(answer.status, 200, answer.body)
        answer = self.write("PATCH", {"spec": {"bgp": {"ipv4Address": "10.0.0.70"}}}, MERGE)
        self.assertEqual(answer.status, 403)
        self.assertIn("bgppeerd.io/address-ranges", answer.json()["message"])
        self.assertEqual(self.write("PATCH", {"metadata": {"annotations": None}}, MERGE).status, 403)
        bad = {"metadata": {"annotations": {"bgppeerd.io/address-ranges": "10.9.0.0/16 and more"}}}
        answer = self.service.request("PATCH", path, json.dumps(bad).encode(), {"Content-Type": MERGE})
        self.assertEqual(answer.status, 200)
        self.assertIn("bgppeerd.io/address-ranges", answer.headers.get("Warning", ""))
        none = {"metadata": {"annotations": {"bgppeerd.io/address-ranges": None}}}
        self.assertEqual(self.service.request("PATCH", path, json.dumps(none).encode(), {"Content-Type": MERGE}).status, 200)

    def test_race_with_a_new_owner(self):
        """Whoever is first has the address; the node never has it besides a peerIP or another Node."""
        for i in range(20):
            address = f"10.1.0.{i + 1}"
            results = {}

            def operator(address=address, i=i, results=results):
                kind, name, spec = (("nodes", f"late-{i}", {"bgp": {"ipv4Address": address}}) if i % 2 else
                                    ("bgppeers", f"late-{i}", {"node": "other", "peerIP": address, "asNumber": 64512}))
                results["operator"] = self.service.request("POST", f"{GROUP}/{kind}", {"metadata": {"name": name}, "spec": spec})

            thread = threading.Thread(target=operator)
            thread.start()
            mine = self.write("PATCH", {"spec": {"bgp": {"ipv4Address": address}}}, MERGE)
            thread.join(30)
            theirs = results["operator"]
            self.assertEqual(theirs.status, 201, theirs.body)
            node = self.service.request("GET", f"{GROUP}/nodes/evil").json()
            if mine.status == 200:
                self.assertLess(int(node["metadata"]["resourceVersion"]), int(theirs.json()["metadata"]["resourceVersion"]))
                self.assertEqual(self.service.request("PATCH", f"{GROUP}/nodes/evil", b'{"spec":{"bgp":{"ipv4Address":"10.0.0.66/24"}}}',
                                                      {"Content-Type": MERGE}).status, 200)
            else:
                self.assertEqual(mine.status, 403, mine.body)


if __name__ == "__main__":
    unittest.main()
