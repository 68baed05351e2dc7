"""Objects over HTTP: create, read, replace, patch, delete, and every precondition."""
import unittest

from service import Service
from wire import GROUP, MERGE, ServiceTest

PEERS = f"{GROUP}/bgppeers"
UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"


class ObjectsTest(ServiceTest):
    def test_create_fills_in_the_metadata(self):
        answer = self.request("POST", PEERS, {"metadata": {"name": "new"}, "spec": {"peerIP": "192.0.2.9", "asNumber": 1}})
        self.assertEqual(answer.status, 201)
        made = answer.json()
        self.assertEqual((made["apiVersion"], made["kind"]), ("projectcalico.org/v3", "BGPPeer"))
        meta = made["metadata"]
        self.assertRegex(meta["uid"], UUID)
        self.assertRegex(meta["creationTimestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(meta["generation"], 1)
        self.assertRegex(meta["resourceVersion"], r"^[1-9]\d*$")
        self.assertEqual(answer.headers["ETag"], f'"{meta["resourceVersion"]}"')
        read = self.request("GET", f"{PEERS}/new")
        self.assertEqual((read.status, read.json()), (200, made))
        self.assertEqual(read.headers["ETag"], answer.headers["ETag"])

    def test_every_kind_is_served(self):
        for plural, name, spec in (("nodes", "every-kind", {"bgp": {"ipv4Address": "10.9.9.9/24"}}),
                                   ("bgppeers", "every-kind", {"peerIP": "192.0.2.77", "asNumber": 64600}),
                                   ("bgpconfigurations", "default", {"asNumber": 64512}),
                                   ("bgpfilters", "every-kind", {"importV4": [{"action": "Accept"}]})):
            made = self.create(plural, name, spec)
            path = f"{GROUP}/{plural}/{name}"
            self.assertEqual(self.request("GET", path).json(), made)
            made["metadata"]["labels"] = {"a": "b"}
            self.assertEqual(self.request("PUT", path, made).status, 200)
            self.assertIn(name, [o["metadata"]["name"] for o in self.request("GET", f"{GROUP}/{plural}").json()["items"]])
            self.assertEqual(self.request("DELETE", path).status, 200)
            self.assert_status(self.request("GET", path), 404, "NotFound")

    def test_create_of_an_existing_name(self):
        self.create_peer("twice")
        answer = self.request("POST", PEERS, {"metadata": {"name": "twice"}, "spec": {"peerIP": "192.0.2.9", "asNumber": 1}})
        status = self.assert_status(answer, 409, "AlreadyExists")
        self.assertEqual(status["details"], {"name": "twice", "group": "projectcalico.org", "kind": "bgppeers"})
        self.assertEqual(self.request("GET", f"{PEERS}/twice").json()["spec"]["peerIP"], "192.0.2.1")

    def test_generate_name(self):
        names = set()
        for _ in range(3):
            answer = self.request("POST", PEERS, {"metadata": {"generateName": "gen-"}, "spec": {"peerIP": "192.0.2.9", "asNumber": 1}})
            self.assertEqual(answer.status, 201, answer.body)
            names.add(answer.json()["metadata"]["name"])
        self.assertEqual(len(names), 3)
        for name in names:
            self.assertRegex(name, r"^gen-[a-z0-9]+$")

    def test_not_found(self):
        for method, body in (("GET", None), ("PUT", {"metadata": {"name": "nobody"}, "spec": {"peerIP": "192.0.2.9", "asNumber": 1}}),
                             ("DELETE", None)):
            status = self.assert_status(self.request(method, f"{PEERS}/nobody", body), 404, "NotFound")
            self.assertEqual(status["message"], 'bgppeers.projectcalico.org "nobody" not found', method)
            self.assertEqual(status["details"], {"name": "nobody", "group": "projectcalico.org", "kind": "bgppeers"})
        self.assert_status(self.request("PATCH", f"{PEERS}/nobody", '{"spec":{}}', MERGE), 404, "NotFound")

    def test_replace_moves_version_and_generation(self):
        made = self.create_peer("replaced")
        made["spec"]["asNumber"] = 65001
        after = self.request("PUT", f"{PEERS}/replaced", made).json()
        self.assertGreater(int(after["metadata"]["resourceVersion"]), int(made["metadata"]["resourceVersion"]))
        self.assertEqual(after["metadata"]["generation"], 2)
        self.assertEqual(after["metadata"]["uid"], made["metadata"]["uid"])
        self.assertEqual(after["metadata"]["creationTimestamp"], made["metadata"]["creationTimestamp"])
        after["metadata"]["labels"] = {"only": "metadata"}
        last = self.request("PUT", f"{PEERS}/replaced", after).json()
        self.assertEqual(last["metadata"]["generation"], 2, "metadata is not spec")
        self.assertGreater(int(last["metadata"]["resourceVersion"]), int(after["metadata"]["resourceVersion"]))

    def test_a_write_that_changes_nothing(self):
        made = self.create_peer("same", filters=["a", "b"])
        without_version = {"metadata": {"name": "same"}, "spec": made["spec"]}
        for body in (made, without_version):
            again = self.request("PUT", f"{PEERS}/same", body)
            self.assertEqual((again.status, again.json()), (200, made))
        again = self.request("PATCH", f"{PEERS}/same", '{"spec":{"asNumber":64999}}', MERGE)
        self.assertEqual((again.status, again.json()), (200, made))

    def test_stale_resource_version(self):
        made = self.create_peer("stale")
        changed = {**made, "spec": {**made["spec"], "asNumber": 65002}}
        self.assertEqual(self.request("PUT", f"{PEERS}/stale", changed).status, 200)
        again = {**made, "spec": {**made["spec"], "asNumber": 65003}}
        status = self.assert_status(self.request("PUT", f"{PEERS}/stale", again), 409, "Conflict")
        self.assertEqual(status["details"]["name"], "stale")
        patch = f'{{"metadata":{{"resourceVersion":"{made["metadata"]["resourceVersion"]}"}},"spec":{{"asNumber":65004}}}}'
        self.assert_status(self.request("PATCH", f"{PEERS}/stale", patch, MERGE), 409, "Conflict")
        self.assertEqual(self.request("GET", f"{PEERS}/stale").json()["spec"]["asNumber"], 65002)

    def test_wrong_uid(self):
        made = self.create_peer("uid")
        made["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000"
        made["spec"]["asNumber"] = 65002
        self.assert_status(self.request("PUT", f"{PEERS}/uid", made), 409, "Conflict")

    def test_if_match(self):
        made = self.create_peer("match")
        tag = f'"{made["metadata"]["resourceVersion"]}"'
        body = {"metadata": {"name": "match"}, "spec": {**made["spec"], "asNumber": 65010}}
        for header in ('"0"', '"999999"', 'W/"0"', '"0-gzip"', "0", '"x", "y"'):
            self.assert_status(self.request("PUT", f"{PEERS}/match", body, {"If-Match": header}), 412, "PreconditionFailed")
            self.assert_status(self.request("DELETE", f"{PEERS}/match", None, {"If-Match": header}), 412)
        self.assertEqual(self.request("PUT", f"{PEERS}/match", body, {"If-Match": f'"x", {tag}'}).status, 200)
        self.assert_status(self.request("PUT", f"{PEERS}/match", made, {"If-Match": tag}), 412)
        self.assert_status(self.request("PUT", f"{PEERS}/match", made, {"If-Match": "*"}), 409, "Conflict")
        self.assertEqual(self.request("PATCH", f"{PEERS}/match", '{"spec":{"asNumber":1}}', {**MERGE, "If-Match": "*"}).status, 200)
        tag = self.request("GET", f"{PEERS}/match").headers["ETag"]
        self.assertEqual(self.request("DELETE", f"{PEERS}/match", None, {"If-Match": tag}).status, 200)

    def test_if_none_match_on_writes(self):
        made = self.create_peer("none-match")
        self.assert_status(self.request("PUT", f"{PEERS}/none-match", made, {"If-None-Match": "*"}), 412)

    def test_if_none_match_on_reads(self):
        tag = f'"{self.create_peer("get-match")["metadata"]["resourceVersion"]}"'
        for header in (tag, f"W/{tag}", f'"a", {tag}', "*"):
            answer = self.request("GET", f"{PEERS}/get-match", None, {"If-None-Match": header})
            self.assertEqual((answer.status, answer.body), (304, b""), header)
            self.assertEqual(answer.headers["ETag"], tag)
        self.assertEqual(self.request("GET", f"{PEERS}/get-match", None, {"If-None-Match": '"0"'}).status, 200)

    def test_delete(self):
        made = self.create_peer("gone")
        answer = self.request("DELETE", f"{PEERS}/gone")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json(), {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": {
            "name": "gone", "group": "projectcalico.org", "kind": "bgppeers", "uid": made["metadata"]["uid"]}})
        self.assert_status(self.request("DELETE", f"{PEERS}/gone"), 404, "NotFound")
        again = self.create_peer("gone")
        self.assertNotEqual(again["metadata"]["uid"], made["metadata"]["uid"])
        self.assertGreater(int(again["metadata"]["resourceVersion"]), int(made["metadata"]["resourceVersion"]) + 1)

    def test_delete_preconditions(self):
        made = self.create_peer("guarded")["metadata"]
        for preconditions in ({"uid": "other"}, {"resourceVersion": "1000000"}):
            self.assert_status(self.request("DELETE", f"{PEERS}/guarded", {"preconditions": preconditions}), 409, "Conflict")
        self.assert_status(self.request("DELETE", f"{PEERS}/guarded", "{nonsense"), 400, "BadRequest")
        for misspelt in ({"dryrun": ["All"]}, {"precondition": {"uid": "other"}}, {"preconditions": {"UID": "other"}}):
            for path in (f"{PEERS}/guarded", PEERS):
                status = self.assert_status(self.request("DELETE", path, misspelt), 400, "BadRequest")
                self.assertIn("did you mean", status["message"])
        self.assertEqual(self.request("GET", f"{PEERS}/guarded").json()["metadata"], made)
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background", "gracePeriodSeconds": 0,
                   "preconditions": {"uid": made["uid"], "resourceVersion": made["resourceVersion"]}}
        self.assertEqual(self.request("DELETE", f"{PEERS}/guarded", options).status, 200)

    def test_dry_run_stores_nothing(self):
        body = {"metadata": {"name": "dry"}, "spec": {"peerIP": "192.0.2.9", "asNumber": 1}}
        answer = self.request("POST", f"{PEERS}?dryRun=All", body)
        self.assertEqual((answer.status, answer.json()["metadata"]["name"]), (201, "dry"))
        self.assert_status(self.request("GET", f"{PEERS}/dry"), 404)
        made = self.create_peer("dry")
        changed = {**made, "spec": {**made["spec"], "asNumber": 65002}}
        answer = self.request("PUT", f"{PEERS}/dry?dryRun=All", changed)
        self.assertEqual((answer.status, answer.json()["spec"]["asNumber"]), (200, 65002))
        answer = self.request("PATCH", f"{PEERS}/dry?dryRun=All", '{"spec":{"asNumber":7}}', MERGE)
        self.assertEqual((answer.status, answer.json()["spec"]["asNumber"]), (200, 7))
        self.assertEqual(self.request("DELETE", f"{PEERS}/dry?dryRun=All").status, 200)
        self.assertEqual(self.request("DELETE", f"{PEERS}/dry", {"dryRun": ["All"]}).status, 200)
        self.assertEqual(self.request("DELETE", f"{PEERS}?dryRun=All").status, 200)
        self.assertEqual(self.request("GET", f"{PEERS}/dry").json(), made)
        for path in (f"{PEERS}/dry?dryRun=Some", f"{PEERS}/dry?dryRun=all"):
            self.assert_status(self.request("DELETE", path), 400, "BadRequest")
        self.assert_status(self.request("POST", f"{PEERS}?dryRun=All", {"metadata": {"name": "d"}, "spec": {"peerIP": "x"}}), 422)

    def test_patches(self):
        self.create_peer("patched", filters=["a"])
        path = f"{PEERS}/patched"
        answer = self.request("PATCH", path, '{"spec":{"asNumber":65005,"filters":null}}', MERGE)
        self.assertEqual(answer.json()["spec"], {"peerIP": "192.0.2.1", "asNumber": 65005})
        json_patch = {"Content-Type": "application/json-patch+json"}
        answer = self.request("PATCH", path, '[{"op":"test","path":"/spec/asNumber","value":65005},'
                              '{"op":"add","path":"/spec/ttlSecurity","value":1}]', json_patch)
        self.assertEqual(answer.json()["spec"]["ttlSecurity"], 1)
        self.assert_status(self.request("PATCH", path, '[{"op":"test","path":"/spec/asNumber","value":1}]', json_patch), 422, "Invalid")
        self.assert_status(self.request("PATCH", path, '{"spec":{"bogus":1}}', MERGE), 400, "BadRequest")
        self.assert_status(self.request("PATCH", path, '{"spec":{"ttlSecurity":256}}', MERGE), 422, "Invalid")
        self.assert_status(self.request("PATCH", path, '{"metadata":{"name":"other"}}', MERGE), 400)
        for body in ("", "{", "[]", "7"):
            self.assert_status(self.request("PATCH", path, body, MERGE), 400, "BadRequest")
        for content_type in ("application/json", "application/apply-patch+yaml", ""):
            self.assert_status(self.request("PATCH", path, "{}", {"Content-Type": content_type}), 415, "UnsupportedMediaType")
        self.assertEqual(self.request("GET", path).json()["metadata"]["generation"], 3)

    def test_every_validation_error_at_once(self):
        body = {"metadata": {"name": "-bad-", "labels": {"a b": "c"}},
                "spec": {"peerIP": "300.1.1.1", "ttlSecurity": 256, "sourceAddress": "Elsewhere", "nodeSelector": "has("}}
        status = self.assert_status(self.request("POST", PEERS, body), 422, "Invalid")
        fields = {cause["field"] for cause in status["details"]["causes"]}
        self.assertGreaterEqual(fields, {"metadata.name", "spec.peerIP", "spec.ttlSecurity", "spec.sourceAddress", "spec.nodeSelector"})
        self.assertEqual((status["details"]["kind"], status["details"]["group"]), ("BGPPeer", "projectcalico.org"))
        self.assertEqual(status["details"]["name"], "-bad-")
        self.assertRegex(status["message"], r'^BGPPeer\.projectcalico\.org "-bad-" is invalid: \[')
        for cause in status["details"]["causes"]:
            self.assertTrue(cause["reason"].startswith("FieldValue") and cause["message"], cause)

    def test_a_refused_document_is_named(self):
        spec = {"peerIP": "nowhere", "asNumber": -4}
        for metadata, name in (({"name": "refused"}, "refused"), ({"generateName": "refused-"}, "refused-"), ({}, "")):
            status = self.assert_status(self.request("POST", PEERS, {"metadata": metadata, "spec": spec}), 422, "Invalid")
            self.assertIn(f'BGPPeer.projectcalico.org "{name}" is invalid', status["message"])
            self.assertEqual(status["details"].get("name", ""), name)
        status = self.assert_status(self.request("POST", PEERS, {"metadata": {"name": "refused"}, "spec": {"peerIp": "192.0.2.9"}}), 400)
        self.assertEqual(status["details"]["name"], "refused")
        self.create_peer("named-by-path")
        status = self.assert_status(self.request("PUT", f"{PEERS}/named-by-path", {"metadata": {"name": "other"}, "spec": spec}), 400)
        self.assertEqual(status["details"]["name"], "named-by-path")

    def test_unknown_fields(self):
        body = {"metadata": {"name": "unknown"}, "spec": {"peerIp": "192.0.2.9", "peerIP": "192.0.2.9", "asNumber": 1}}
        status = self.assert_status(self.request("POST", PEERS, body), 400, "BadRequest")
        self.assertIn('unknown field "spec.peerIp"', status["message"])
        self.assertIn("peerIP", status["message"].split('unknown field "spec.peerIp"')[1], "a suggestion")
        answer = self.request("POST", f"{PEERS}?fieldValidation=Warn&dryRun=All", body)
        self.assertEqual(answer.status, 201)
        self.assertIn("spec.peerIp", "".join(answer.headers.get_all("Warning")))
        answer = self.request("POST", f"{PEERS}?fieldValidation=Ignore", body)
        self.assertEqual(answer.status, 201)
        self.assertNotIn("peerIp", answer.json()["spec"])
        self.assertNotIn("spec.peerIp", "".join(answer.headers.get_all("Warning") or []))
        self.assert_status(self.request("POST", f"{PEERS}?fieldValidation=Maybe", body), 400)

    def test_warnings_are_quoted(self):
        answer = self.request("POST", PEERS, {"metadata": {"name": "Warned_Name"}, "spec": {
            "peerIP": "192.0.2.9", "asNumber": 64496, "nodeSelector": "rack == \"ü\""}})
        self.assertEqual(answer.status, 201, answer.body)
        warnings = answer.headers.get_all("Warning")
        self.assertTrue(warnings)
        for warning in warnings:
            self.assertRegex(warning, r'^299 - "(?:[ !#-\[\]-~]|\\["\\])*"$')

    def test_a_generated_name_is_advised_about(self):
        def warnings(beginning):
            answer = self.request("POST", f"{PEERS}?dryRun=All", {"metadata": {"generateName": beginning}, "spec": {"peerIP": "192.0.2.9"}})
            self.assertEqual(answer.status, 201, answer.body)
            return "".join(answer.headers.get_all("Warning"))
        self.assertIn("metadata.generateName: 'Up_' is not portable", warnings("Up_"))
        for beginning in ("fine-", "fine.", "fine"):
            self.assertNotIn("portable", warnings(beginning))

    def test_names(self):
        for name in ("UPPER_case.9", "a" * 253, "0"):
            self.create_peer(name)
            self.assertEqual(self.request("GET", f"{PEERS}/{name}").status, 200)
        for name in ("", "-a", "a-", "a b", "a/b", "ä", "a" * 254):
            body = {"metadata": {"name": name}, "spec": {"peerIP": "192.0.2.9", "asNumber": 1}}
            self.assertIn(self.request("POST", PEERS, body).status, (400, 422), name)

    def test_name_and_kind_must_be_the_paths(self):
        made = self.create_peer("path")
        for change in ({"kind": "Node"}, {"apiVersion": "projectcalico.org/v1"}, {"metadata": {"name": "other"}}):
            self.assert_status(self.request("PUT", f"{PEERS}/path", {**made, **change}), 400, "BadRequest")
        unnamed = {"spec": {**made["spec"], "asNumber": 65002}}
        self.assertEqual(self.request("PUT", f"{PEERS}/path", unnamed).status, 200)

    def test_what_was_read_can_be_created_again(self):
        made = self.create_peer("again")
        self.request("DELETE", f"{PEERS}/again")
        answer = self.request("POST", PEERS, made)
        self.assertEqual(answer.status, 201, answer.body)
        self.assertNotEqual(answer.json()["metadata"]["uid"], made["metadata"]["uid"])
        self.assertGreater(int(answer.json()["metadata"]["resourceVersion"]), int(made["metadata"]["resourceVersion"]))


class DeleteCollectionTest(ServiceTest):
    def names(self, query=""):
        return [o["metadata"]["name"] for o in self.request("GET", f"{PEERS}{query}").json()["items"]]

    def test_selected_and_all(self):
        for i in range(150):
            self.create_peer(f"peer-{i:03}", node=f"n{i}") if i % 3 else self.create(
                "bgppeers", f"peer-{i:03}", {"node": f"n{i}", "peerIP": "192.0.2.1", "asNumber": 64999}, labels={"third": "yes"})
        self.assert_status(self.request("DELETE", f"{PEERS}?labelSelector=a+b"), 400)
        self.assert_status(self.request("DELETE", PEERS, {"preconditions": {"uid": "x"}}), 400)
        self.assertEqual(len(self.names()), 150)
        answer = self.request("DELETE", f"{PEERS}?labelSelector=third")
        self.assertEqual((answer.status, answer.json()["kind"], len(answer.json()["items"])), (200, "BGPPeerList", 50))
        self.assertEqual(len(self.names()), 100)
        answer = self.request("DELETE", f"{PEERS}?fieldSelector=metadata.name%3Dpeer-001")
        self.assertEqual([o["metadata"]["name"] for o in answer.json()["items"]], ["peer-001"])
        answer = self.request("DELETE", PEERS)
        self.assertEqual((answer.status, len(answer.json()["items"])), (200, 99))
        self.assertEqual(self.names(), [])
        self.assertEqual(self.request("DELETE", PEERS).json()["items"], [])


class RestartTest(unittest.TestCase):
    def test_everything_is_kept(self):
        with Service() as service:
            service.apply_examples()
            body = {"metadata": {"name": "one"}, "spec": {"peerIP": "192.0.2.9", "asNumber": 1}}
            service.request("POST", PEERS, body)
            service.request("DELETE", f"{PEERS}/one")
            plurals = ("nodes", "bgppeers", "bgpconfigurations", "bgpfilters")
            before = {plural: service.request("GET", f"{GROUP}/{plural}").json() for plural in plurals}
            nodes = [node["metadata"]["name"] for node in before["nodes"]["items"]]
            self.assertTrue(nodes)
            tags = {node: service.request("GET", f"{GROUP}/nodes/{node}/peerings").headers["ETag"] for node in nodes}
            for end in (service.stop, service.kill):
                end()
                service.start()
                after = {plural: service.request("GET", f"{GROUP}/{plural}").json() for plural in plurals}
                self.assertEqual(after, before)
                self.assertEqual({node: service.request("GET", f"{GROUP}/nodes/{node}/peerings").headers["ETag"]
                                  for node in nodes}, tags)
            made = service.request("POST", PEERS, body).json()
            newest = max(int(kind["metadata"]["resourceVersion"]) for kind in before.values())
            self.assertGreater(int(made["metadata"]["resourceVersion"]), newest)


if __name__ == "__main__":
    unittest.main()
