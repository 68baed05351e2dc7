"""A node's list as it was: the bytes and ETag that were answered then, in every format, over starts and for whom it is."""
import json
import time
import unittest

from service import Service
from wire import GROUP

OURS = "/apis/bgppeerd.io/v1"
MERGE = {"Content-Type": "application/merge-patch+json"}
FORMATS = ("json", "bird2", "bird3", "frr", "gobgp", "openbgpd")


class PastTest(unittest.TestCase):
    def setUp(self):
        self.service = Service(auth=True)
        self.addCleanup(self.service.close)
        self.service.start()
        for i in (1, 2):
            self.must("POST", f"{GROUP}/nodes", {"metadata": {"name": f"n{i}"}, "spec": {"bgp": {"ipv4Address": f"10.0.0.{i}/24"}}})
        self.must("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "bgp"}, "stringData": {"tor": "correct-horse"}})
        self.peer = {"metadata": {"name": "tor"}, "spec": {"peerIP": "192.0.2.1", "asNumber": 65001, "password": {"secretKeyRef": {"name": "bgp", "key": "tor"}}}}
        self.must("POST", f"{GROUP}/bgppeers", self.peer)

    def must(self, method, path, body=None, headers=None, status=(200, 201)):
        answer = self.service.request(method, path, body, headers)
        self.assertIn(answer.status, status, answer.body)
        return answer

    def newest(self):
        return int(self.must("GET", f"{OURS}/changes?limit=1").json()["metadata"]["resourceVersion"])

    def remember(self, memories):
        for form in FORMATS:
            answer = self.must("GET", f"{GROUP}/nodes/n1/peerings?format={form}")
            memories.append((self.newest(), form, answer.headers["ETag"], answer.headers["Content-Type"], answer.body))

    def assert_remembered(self, memories):
        for revision, form, etag, media, body in memories:
            with self.subTest(revision=revision, format=form):
                answer = self.must("GET", f"{GROUP}/nodes/n1/peerings?revision={revision}&format={form}")
                self.assertEqual((answer.headers["ETag"], answer.headers["Content-Type"], answer.body), (etag, media, body))

    def change(self, asn):
        return self.must("PATCH", f"{GROUP}/bgppeers/tor", json.dumps({"spec": {"asNumber": asn}}), MERGE)

    def test_as_it_was_given(self):
        memories, times = [], []
        for asn in (65002, 65003, 65002):
            self.remember(memories)
            times.append((time.time(), memories[-1]))
            time.sleep(0.01)  # so that a time tells them apart: clocks of milliseconds
            self.change(asn)
            self.must("POST", f"{GROUP}/bgpfilters", {"metadata": {"name": f"f{self.newest()}"}, "spec": {}})  # changes no list
        self.must("PATCH", "/api/v1/namespaces/default/secrets/bgp", json.dumps({"stringData": {"tor": "other-horse"}}), MERGE)
        self.remember(memories)
        self.must("DELETE", f"{GROUP}/bgppeers/tor")
        self.remember(memories)
        self.assert_remembered(memories)
        for moment, memory in times:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment * 1000) % 1000:03d}Z"
            self.assertEqual(self.must("GET", f"{GROUP}/nodes/n1/peerings?at={text}&format={memory[1]}").body, memory[4])
        self.service.stop()
        self.service.start()
        self.remember(again := [])
        self.assertEqual([m[2:] for m in again], [m[2:] for m in memories[-len(FORMATS):]])
        self.assert_remembered(memories)
        revision, _, etag, _, _ = memories[0]
        self.must("GET", f"{GROUP}/nodes/n1/peerings?revision={revision}", None, {"If-None-Match": etag}, (304,))

    def test_for_whom_and_what_not(self):
        before = self.newest()
        self.must("DELETE", f"{GROUP}/nodes/n2")
        self.must("DELETE", f"{GROUP}/bgppeers/tor")
        node = self.must("POST", f"{OURS}/tokens", {"spec": {"role": "node", "node": "n1"}}).json()["status"]["token"]
        viewer = self.must("POST", f"{OURS}/tokens", {"spec": {"role": "viewer"}}).json()["status"]["token"]
        old = f"peerings?revision={before}"
        for token, name, status in ((node, "n1", 200), (node, "n2", 403), (viewer, "n2", 200)):
            answer = self.must("GET", f"{GROUP}/nodes/{name}/{old}", None, {"Authorization": f"Bearer {token}"}, (status,))
            self.assertNotIn(b"correct-horse", answer.body)
            if status == 200:
                self.assertIn("passwordFingerprint", answer.json()["items"][-1])
        why = self.must("GET", f"{GROUP}/nodes/n1/{old}&explain=192.0.2.1")
        self.assertIn(b'"tor"', why.body)
        self.assertNotIn(b'"tor"', self.must("GET", f"{GROUP}/nodes/n1/peerings?explain=192.0.2.1").body)
        self.assertIn("no such Node at revision", self.must("GET", f"{GROUP}/nodes/n2/peerings?revision=1", status=(404,)).json()["message"])
        self.assertIn("the newest is", self.must("GET", f"{GROUP}/nodes/n1/peerings?revision=99", status=(400,)).json()["message"])
        for query in ("revision=x", "revision=", "at=yesterday", "at=", "revision=2020-01-01T00:00:00Z", f"revision={before}&at=2026-01-01T00:00:00Z",
                      f"revision={before}&wait=1s", f"revision={before}&passwords=true", f"revision={before}&format=ios"):
            with self.subTest(query=query):
                self.must("GET", f"{GROUP}/nodes/n1/peerings?{query}", status=(400,))

    def test_versions_that_a_node_was_given(self):
        path = f"{GROUP}/nodes/n1/peerings"
        node = {"Authorization": "Bearer " + self.must("POST", f"{OURS}/tokens", {"spec": {"role": "node", "node": "n1"}}).json()["status"]["token"]}
        given = []
        for asn in (65002, 65003, 65004):
            self.must("PATCH", f"{GROUP}/bgppeers/tor", json.dumps({"spec": {"asNumber": asn}}), {**MERGE, "Bgppeerd-Reason": f"AS {asn}"})
            self.must("GET", path)  # an admin asks: that is no version that the node was given
            if asn != 65003:
                given.insert(0, self.must("GET", path, None, node))
                self.must("GET", path, None, {**node, "If-None-Match": given[0].headers["ETag"]}, (304,))
        versions = self.must("GET", f"{path}/history").json()["items"]
        self.assertEqual([v["resourceVersion"] for v in versions], [a.json()["metadata"]["resourceVersion"] for a in given])
        self.assertEqual([(v["change"]["reason"], v["change"]["objects"][0]["name"]) for v in versions], [("AS 65004", "tor"), ("AS 65002", "tor")])
        for version, answer in zip(versions, given):
            then = self.must("GET", f"{path}?revision={version['resourceVersion']}").json()
            self.assertEqual(then["items"][0]["asNumber"], answer.json()["items"][0]["asNumber"])
        page = self.must("GET", f"{path}/history?limit=1").json()
        self.assertEqual(page["items"], versions[:1])
        self.assertEqual(self.must("GET", f"{path}/history?limit=1&continue={page['metadata']['continue']}").json()["items"], versions[1:])
        self.service.stop()
        self.service.start()
        self.assertEqual(self.must("GET", f"{path}/history").json()["items"], versions)
        own = self.must("GET", f"{path}/history", None, node).json()["items"]
        self.assertEqual([set(v) for v in own], [{"resourceVersion", "etag", "made", "given"}] * 2)  # changes name Secrets
        self.must("GET", f"{GROUP}/nodes/n2/peerings/history", None, node, (403,))
        self.assertEqual(self.must("GET", f"{GROUP}/nodes/nobody/peerings/history").json()["items"], [])


if __name__ == "__main__":
    unittest.main()
