"""One change in detail, what differs between two moments, and going back: what is shown, refused and stored."""
import json
import unittest

from service import Service
from wire import GROUP

OURS = "/apis/bgppeerd.io/v1"
SECRETS = "/api/v1/namespaces/default/secrets"
MERGE = {"Content-Type": "application/merge-patch+json"}


def node(name, number):
    return {"metadata": {"name": name}, "spec": {"bgp": {"ipv4Address": f"10.0.0.{number}/24"}}}


def peer(name, asn, **spec):
    return {"metadata": {"name": name}, "spec": {"peerIP": "192.0.2.1", "asNumber": asn, **spec}}


class RollbackTest(unittest.TestCase):
    def setUp(self):
        self.service = Service(auth=True)
        self.addCleanup(self.service.close)
        self.service.start()
        for i in (1, 2):
            self.must("POST", f"{GROUP}/nodes", node(f"n{i}", i))

    def must(self, method, path, body=None, headers=None, status=(200, 201)):
        answer = self.service.request(method, path, body, headers)
        self.assertIn(answer.status, status, answer.body)
        return answer.json()

    def patch(self, path, patch):
        return self.must("PATCH", path, json.dumps(patch), MERGE)["metadata"]["resourceVersion"]

    def lists(self):
        return [self.must("GET", f"{GROUP}/nodes/n{i}/peerings")["items"] for i in (1, 2)]

    def test_one_change(self):
        self.must("POST", f"{GROUP}/bgppeers", peer("tor", 65001))
        txn = self.must("POST", f"{OURS}/applies", {"kind": "ChangeSet", "spec": {"reason": "renamed", "changes": [
            {"op": "delete", "kind": "BGPPeer", "name": "tor"}, {"op": "create", "object": {"kind": "BGPPeer", "apiVersion": GROUP[6:], **peer("spine", 65001)}},
            {"op": "patch", "kind": "Node", "name": "n1", "patch": {"metadata": {"labels": {"rack": "a"}}}}]}})["metadata"]["resourceVersion"]
        txn = str(int(txn) - 2)  # the first of three
        self.patch(f"{GROUP}/bgppeers/spine", {"spec": {"asNumber": 65002}})

        change = self.must("GET", f"{OURS}/changes/{txn}")
        listed = next(item for item in self.must("GET", f"{OURS}/changes")["items"] if item["txn"] == txn)
        self.assertEqual({key: change[key] for key in listed if key not in ("objects", "totals")},
                         {key: value for key, value in listed.items() if key not in ("objects", "totals")})
        self.assertEqual([(o["op"], o["name"], o["before"] is None, o["after"] is None) for o in change["objects"]],
                         [("delete", "tor", False, True), ("create", "spine", True, False), ("update", "n1", False, False)])
        self.assertEqual(change["objects"][1]["after"]["spec"]["asNumber"], 65001)  # as it was then
        self.assertEqual(change["changes"]["totals"], {"nodes": 2, "added": 0, "removed": 0, "changed": 2, "disruptive": 0})
        self.assertEqual([n["node"] for n in self.must("GET", f"{OURS}/changes/{txn}?node=n2")["changes"]["nodes"]], ["n2"])
        self.assertEqual(change["reason"], "renamed")

        # An object that is deleted and made anew is one object of the change.
        body = {"kind": "BGPPeer", "apiVersion": GROUP[6:], **peer("spine", 65003)}
        last = self.must("POST", f"{OURS}/applies", {"kind": "ChangeSet", "spec": {"changes": [
            {"op": "delete", "kind": "BGPPeer", "name": "spine"}, {"op": "create", "object": body}]}})["metadata"]["resourceVersion"]
        objects = self.must("GET", f"{OURS}/changes/{int(last) - 1}")["objects"]
        self.assertEqual([(o["op"], o["before"]["spec"]["asNumber"], o["after"]["spec"]["asNumber"]) for o in objects], [("update", 65002, 65003)])
        # Neither a later row of a change nor what is no number names one.
        for name in (last, "9999", "0", "tor"):
            self.must("GET", f"{OURS}/changes/{name}", status=(404,))

    def test_totals_and_causes(self):
        cause = "kubernetes.io/change-cause"
        self.must("POST", f"{GROUP}/bgppeers", {**peer("tor", 65001), "metadata": {"name": "tor", "annotations": {cause: "CHG-1"}}})
        self.patch(f"{GROUP}/bgppeers/tor", {"spec": {"asNumber": 65002}})  # the annotation is the one of before
        self.patch(f"{GROUP}/bgppeers/tor", {"metadata": {"annotations": {cause: "CHG-2", "other": "x"}}})
        self.must("PATCH", f"{GROUP}/bgppeers/tor", json.dumps({"metadata": {"annotations": {cause: "CHG-3"}}}), {**MERGE, "Bgppeerd-Reason": "said twice"})
        self.patch(f"{GROUP}/bgppeers/tor", {"metadata": {"annotations": {cause: "two\nlines"}}})
        self.must("POST", f"{OURS}/applies", {"kind": "ChangeSet", "spec": {"changes": [
            {"op": "delete", "kind": "Node", "name": "n2"}, {"op": "patch", "kind": "BGPPeer", "name": "tor", "patch": {"spec": {"asNumber": 65003}}}]}})
        items = self.must("GET", f"{OURS}/changes")["items"]
        self.assertEqual([item.get("reason") for item in items[:6]], [None, None, "said twice", "CHG-2", None, "CHG-1"])
        names = ("nodes", "added", "removed", "changed", "disruptive")
        self.assertEqual([tuple(item["totals"][name] for name in names) for item in items[:6]],
                         [(2, 0, 3, 1, 4), (0,) * 5, (0,) * 5, (0,) * 5, (2, 0, 0, 2, 2), (2, 2, 0, 0, 0)])
        for item in items:
            self.assertEqual(self.must("GET", f"{OURS}/changes/{item['txn']}")["changes"]["totals"], item["totals"])
        # The whole change counts, whatever of it is asked for.
        self.assertEqual(self.must("GET", f"{OURS}/changes?kind=Node&name=n2")["items"][0]["totals"], items[0]["totals"])

    def test_secrets_are_named_only(self):
        self.must("POST", SECRETS, {"metadata": {"name": "bgp"}, "stringData": {"tor": "correct-horse", "spine": "same"}})
        first = self.must("POST", f"{GROUP}/bgppeers", peer("tor", 65001, password={"secretKeyRef": {"name": "bgp", "key": "tor"}}))["metadata"]["resourceVersion"]
        then = self.lists()
        second = self.patch(f"{SECRETS}/bgp", {"stringData": {"tor": "other-horse", "new": "battery"}})
        self.assertNotEqual(self.lists(), then)
        expected = [("new", None, second), ("tor", first and "3", second)]

        diff = self.must("GET", f"{OURS}/diff?from={first}")
        self.assertEqual([(s["key"], s["from"], s["to"]) for s in diff["secrets"]], expected)
        self.assertEqual(diff["changeSet"]["spec"]["changes"], [])
        self.assertEqual(diff["changes"]["totals"]["changed"], 2)  # the password is another one
        undo = self.must("POST", f"{OURS}/rollbacks", {"undo": {"txn": second}})
        self.assertEqual([(s["key"], s["to"], s["from"]) for s in undo["rollback"]["secrets"]], expected)
        self.assertEqual((undo["kind"], undo["objects"], undo["metadata"]["resourceVersion"]), ("Apply", [], second))
        everything = b""
        for path in (f"changes/{second}", "changes/3", f"diff?from={first}", "diff?from=0"):
            everything += self.service.request("GET", f"{OURS}/{path}").body
        for password in (b"correct-horse", b"other-horse", b"battery"):
            self.assertNotIn(password, everything)
        self.assertIn(b'"passwordFingerprint"', everything)

    def test_there_and_back(self):
        start = self.must("POST", f"{GROUP}/bgppeers", peer("tor", 65001))["metadata"]["resourceVersion"]
        then = self.lists()
        middle = self.patch(f"{GROUP}/bgppeers/tor", {"spec": {"asNumber": 65002}})
        self.must("POST", f"{GROUP}/bgpfilters", {"metadata": {"name": "f"}, "spec": {}})
        end = self.must("DELETE", f"{GROUP}/nodes/n2") and self.must("GET", f"{OURS}/changes")["metadata"]["resourceVersion"]

        shown = self.must("POST", f"{OURS}/rollbacks", {"to": {"revision": start}, "dryRun": True})
        self.assertEqual(shown["kind"], "Preview")
        self.assertEqual(shown["metadata"]["resourceVersion"], end)
        again = self.must("POST", f"{OURS}/rollbacks?dryRun=All", {"to": {"revision": int(start)}})
        self.assertEqual({**shown, "objects": 0}, {**again, "objects": 0})  # what would be made gets another uid each time
        # What a diff shows is what a rollback does, and a change set that can be sent as it is.
        diff = self.must("GET", f"{OURS}/diff?from=now&to={start}")
        strip = lambda changes: [{k: v for k, v in change.items() if k != "ifResourceVersion"} for change in changes]
        self.assertEqual(strip(shown["rollback"]["changeSet"]["spec"]["changes"]), diff["changeSet"]["spec"]["changes"])
        self.assertEqual(diff["changes"]["totals"], shown["changes"]["totals"])
        back = self.must("GET", f"{OURS}/diff?from={start}&view=sessions")
        self.assertEqual((back["changes"]["totals"]["added"], "changeSet" in back), (diff["changes"]["totals"]["removed"], False))
        self.assertEqual(self.must("POST", f"{OURS}/previews", diff["changeSet"])["changes"], shown["changes"])

        done = self.must("POST", f"{OURS}/rollbacks", {"to": {"revision": start}, "only": {"kinds": ["BGPPeer", "Node"]}, "reason": "not yet"})
        self.assertEqual([(r["kind"], r["name"], r["result"]) for r in done["results"]], [("BGPPeer", "tor", "updated"), ("Node", "n2", "created")])
        self.assertEqual(self.lists(), then)
        self.must("GET", f"{GROUP}/bgpfilters/f")
        newest = self.must("GET", f"{OURS}/changes?limit=1")["items"][0]
        self.assertEqual((newest["reason"], len(newest["objects"])), ("not yet", 2))
        audited = self.must("GET", f"{OURS}/audit?event=write&name=tor&limit=1")["items"][0]
        self.assertEqual(audited["requestID"], newest["request"])

        # Undone, and that undone.
        undo = self.must("POST", f"{OURS}/rollbacks", {"undo": {"txn": newest["txn"]}})
        self.assertEqual(self.must("GET", f"{OURS}/diff?from={end}&view=objects")["changeSet"]["spec"]["changes"], [])
        txn = self.must("GET", f"{OURS}/changes?limit=1")["items"][0]
        self.assertEqual((txn["reason"], txn["resourceVersion"]), (f"undo of change {newest['txn']}", undo["metadata"]["resourceVersion"]))
        self.must("POST", f"{OURS}/rollbacks", {"undo": {"txn": txn["txn"]}})
        self.assertEqual(self.lists(), then)

        # To a time; and what is there already is not written again.
        time = self.must("GET", f"{OURS}/changes/{middle}")["time"]
        self.must("POST", f"{OURS}/rollbacks", {"to": {"time": time}, "only": {"names": ["tor"]}})
        self.assertEqual(self.must("GET", f"{GROUP}/bgppeers/tor")["spec"]["asNumber"], 65002)
        again = self.must("POST", f"{OURS}/rollbacks", {"to": {"time": time}, "only": {"names": ["tor"]}})
        self.assertEqual((again["results"], again["changes"]["totals"]["nodes"]), ([], 0))

    def test_what_is_refused(self):
        first = self.must("POST", f"{GROUP}/bgppeers", peer("tor", 65001))["metadata"]["resourceVersion"]
        txn = self.patch(f"{GROUP}/bgppeers/tor", {"spec": {"asNumber": 65002}})
        later = self.patch(f"{GROUP}/bgppeers/tor", {"spec": {"asNumber": 65003}})
        conflict = self.must("POST", f"{OURS}/rollbacks", {"undo": {"txn": txn}}, status=(409,))
        self.assertEqual([(c["field"], c["message"]) for c in conflict["details"]["causes"]],
                         [('BGPPeer "tor"', f"it has been changed since, at revision {later}")])
        self.must("POST", f"{OURS}/rollbacks", {"undo": {"txn": txn}, "only": {"kinds": ["Node"]}})
        limited = self.must("POST", f"{OURS}/rollbacks", {"to": {"revision": first}, "maxDisruptive": 1}, status=(409,))
        self.assertEqual(limited["reason"], "TooDisruptive")
        for body in ({}, {"to": {}}, {"to": {"revision": "1"}, "undo": {"txn": "1"}}, {"to": {"revision": "x"}}, {"to": {"time": "412"}},
                     {"to": {"revision": "1", "time": "2026-01-01T00:00:00Z"}}, {"undo": {"txn": -1}}, {"undo": {}}, {"to": {"revision": "99"}},
                     {"to": {"revision": "1"}, "only": {"kinds": ["Pod"]}}, {"to": {"revision": "1"}, "reason": "two\nlines"}, {"to": {"revision": "1"}, "force": 1}, []):
            with self.subTest(body=body):
                self.must("POST", f"{OURS}/rollbacks", body, status=(400,))
        self.must("POST", f"{OURS}/rollbacks", {"to": {"revision": "1"}, "only": {"names": ["x"] * 1001}}, status=(413,))
        self.must("POST", f"{OURS}/rollbacks", {"undo": {"txn": "99"}}, status=(404,))
        for query in ("", "from=99", "from=x", "from=1&view=all", "from=1&to=99"):
            self.must("GET", f"{OURS}/diff?{query}", status=(400,))
        for role, status in (("operator", 200), ("viewer", 403)):
            token = self.must("POST", f"{OURS}/tokens", {"spec": {"role": role}})["status"]["token"]
            headers = {"Authorization": f"Bearer {token}"}
            self.must("GET", f"{OURS}/changes/{txn}", None, headers, (status,))
            self.must("GET", f"{OURS}/diff?from=1", None, headers, (status,))
            self.must("POST", f"{OURS}/rollbacks", {"undo": {"txn": later}, "dryRun": True}, headers, (status,))
        self.assertEqual(self.must("GET", f"{GROUP}/bgppeers/tor")["spec"]["asNumber"], 65003)

    def test_behind_the_horizon(self):
        self.must("POST", f"{GROUP}/bgppeers", peer("tor", 65001))
        self.service.stop()
        self.service.arguments += ["--keep-changes", "1000", "--max-history-bytes", "1000000"]
        self.service.start()
        for part in range(3):
            self.must("POST", f"{OURS}/applies", [{"kind": "BGPFilter", "apiVersion": GROUP[6:], "metadata": {"name": f"f{part}-{i:03d}", "annotations": {"note": "x" * 700}}, "spec": {}}
                                                 for i in range(900)])
        for method, path, body in (("GET", "changes/3", None), ("GET", "diff?from=1", None), ("GET", "diff?from=2020-01-01T00:00:00Z", None),
                                   ("POST", "rollbacks", {"to": {"revision": "1"}}), ("POST", "rollbacks", {"undo": {"txn": "3"}})):
            with self.subTest(path=path):
                answer = self.must(method, f"{OURS}/{path}", body, status=(410,))
                self.assertEqual(answer["reason"], "Expired")
                self.assertRegex(answer["message"], r"(revision|is) \d+.*20\d\d-")
        oldest = int(self.must("GET", f"{OURS}/changes/3", status=(410,))["message"].split()[-1])
        newest = int(self.must("GET", f"{OURS}/changes")["metadata"]["resourceVersion"])
        self.assertGreater(newest - oldest, 1000)  # more than one change set holds
        refused = self.must("POST", f"{OURS}/rollbacks", {"to": {"revision": str(oldest)}, "dryRun": True}, status=(413,))
        self.assertIn(f"{newest - oldest} objects differ", refused["message"])
        names = [f"f2-{i:03d}" for i in range(1000)]
        self.assertEqual(len(self.must("POST", f"{OURS}/rollbacks", {"to": {"revision": str(oldest)}, "only": {"names": names}})["results"]), 900)


if __name__ == "__main__":
    unittest.main()
