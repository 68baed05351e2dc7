"""Secrets and namespaces: what Kubernetes' clients do with them, and that nobody reads a value back."""
import base64
import json
import unittest

from wire import GROUP, MERGE, ServiceTest, compact

SECRETS = "/api/v1/namespaces/default/secrets"
MARKER = base64.b64encode(b"**redacted**").decode()
PASSWORD = "correct-horse-battery"
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
PROTOBUF = {"Content-Type": "application/vnd.kubernetes.protobuf"}
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def field(number, value):
    """A field of a protobuf message: bytes, or a nested message's fields."""
    value = value.encode() if isinstance(value, str) else value
    head, length = bytes([number << 3 | 2]), len(value)
    while length >= 0x80:
        head, length = head + bytes([length & 0x7F | 0x80]), length >> 7
    return head + bytes([length]) + value


def entry(key, value):
    return field(1, key) + field(2, value)


def envelope(raw, kind="Secret"):
    return b"k8s\0" + field(1, field(1, "v1") + field(2, kind)) + field(2, raw) + field(3, "") + field(4, "")


class SecretsTest(ServiceTest):
    def make(self, name="pw", **more):
        answer = self.request("POST", SECRETS, {"metadata": {"name": name}, **(more or {"stringData": {"key": PASSWORD}})})
        self.assertEqual(answer.status, 201, answer.body)
        return answer.json()

    def values(self, name="pw"):
        return json.loads(self.request("GET", f"{SECRETS}/{name}").json()["metadata"]["annotations"]["bgppeerd.io/values"])

    def refused(self, status, reason, answer):
        self.assertEqual((answer.status, answer.json()["kind"], answer.json()["reason"]), (status, "Status", reason), answer.body)
        self.assertNotIn(PASSWORD.encode(), answer.body)
        return answer.json()

    def tearDown(self):
        for namespace in ("default", "other"):
            self.assertEqual(self.request("DELETE", f"/api/v1/namespaces/{namespace}/secrets").status, 200)
        self.assertNotIn(PASSWORD, self.service.log())
        self.assertNotIn(encoded(PASSWORD), self.service.log())

    def test_what_is_answered(self):
        made = self.make(data={"a": encoded(PASSWORD)}, stringData={"b": "x"}, type="bgp")
        self.assertEqual((made["apiVersion"], made["kind"], made["type"]), ("v1", "Secret", "bgp"))
        self.assertEqual(made["data"], {"a": MARKER, "b": MARKER})
        self.assertNotIn("stringData", made)
        self.assertEqual(made["metadata"]["namespace"], "default")
        self.assertEqual(self.request("GET", f"{SECRETS}/pw").json(), made)
        values = self.values()
        self.assertEqual(values["a"]["size"], -(-len(PASSWORD) // 8) * 8)  # a length helps guessing
        self.assertRegex(values["a"]["fingerprint"], r"^[0-9a-f]{16}$")
        self.assertNotEqual(values["a"]["fingerprint"], values["b"]["fingerprint"])
        self.assertEqual(self.make("untyped")["type"], "Opaque")

    def test_the_marker_keeps_a_value(self):
        made = self.make()
        before = self.values()
        made["metadata"]["labels"] = {"a": "b"}
        answer = self.request("PUT", f"{SECRETS}/pw", made)
        self.assertEqual((answer.status, self.values()), (200, before))
        again = self.request("PUT", f"{SECRETS}/pw", answer.json())
        self.assertEqual(again.json()["metadata"]["resourceVersion"], answer.json()["metadata"]["resourceVersion"])
        made = answer.json()
        made["data"]["new"] = MARKER
        status = self.refused(422, "Invalid", self.request("PUT", f"{SECRETS}/pw", made))
        self.assertEqual([cause["field"] for cause in status["details"]["causes"]], ["data[new]"])
        self.refused(422, "Invalid", self.request("POST", SECRETS, {"metadata": {"name": "x"}, "data": {"a": MARKER}}))

    def test_patches(self):
        self.make()
        before = self.values()
        patch = {"$setElementOrder/x": ["a"], "metadata": {"labels": {"l": "1"}}, "stringData": {"two": "2"}}
        answer = self.request("PATCH", f"{SECRETS}/pw", json.dumps(patch), STRATEGIC)
        self.assertEqual((answer.status, sorted(answer.json()["data"])), (200, ["key", "two"]))
        self.assertEqual(self.values()["key"], before["key"])
        answer = self.request("PATCH", f"{SECRETS}/pw", '{"data":{"two":null}}', MERGE)
        self.assertEqual(answer.json()["data"], {"key": MARKER})
        answer = self.request("PATCH", f"{SECRETS}/pw", json.dumps([{"op": "add", "path": "/data/k3", "value": encoded("3")}]), JSON_PATCH)
        self.assertEqual(sorted(answer.json()["data"]), ["k3", "key"])
        self.refused(415, "UnsupportedMediaType", self.request("PATCH", f"{SECRETS}/pw", '{"$patch":"replace"}', STRATEGIC))
        self.refused(415, "UnsupportedMediaType", self.request("PATCH", f"{SECRETS}/pw", "{}", {"Content-Type": "application/apply-patch+yaml"}))

    def test_a_strategic_patch_without_directives_is_a_merge_patch(self):
        """What kubectl patch sends unless it is told otherwise; no kind here has lists that are merged by a key."""
        self.create_peer("p", filters=["a", "b"])
        answer = self.request("PATCH", f"{GROUP}/bgppeers/p", '{"metadata":{"labels":{"a":"b"}},"spec":{"filters":["c"],"asNumber":null}}', STRATEGIC)
        self.assertEqual((answer.status, answer.json()["metadata"]["labels"], answer.json()["spec"]), (200, {"a": "b"}, {"peerIP": "192.0.2.1", "filters": ["c"]}))
        for directive in ('{"$patch":"replace"}', '{"spec":{"$deleteFromPrimitiveList/filters":["c"]}}'):
            self.refused(415, "UnsupportedMediaType", self.request("PATCH", f"{GROUP}/bgppeers/p", directive, STRATEGIC))
        self.request("DELETE", f"{GROUP}/bgppeers/p")

    def test_the_annotation_of_apply(self):
        whole = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pw"}, "stringData": {"key": PASSWORD}}
        body = {**whole, "metadata": {"name": "pw", "annotations": {LAST_APPLIED: json.dumps(whole)}}}
        kept = self.make(**body)["metadata"]["annotations"][LAST_APPLIED]
        self.assertEqual(json.loads(kept)["stringData"], {"key": ""})
        merged = self.request("PATCH", f"{SECRETS}/pw", json.dumps({"metadata": {"annotations": {LAST_APPLIED: json.dumps(
            {**whole, "data": {"key": encoded(PASSWORD)}})}}}), MERGE)
        self.assertEqual(json.loads(merged.json()["metadata"]["annotations"][LAST_APPLIED])["data"], {"key": ""})
        for path in (f"{SECRETS}/pw", SECRETS, "/api/v1/secrets", f"{SECRETS}?watch=1&timeoutSeconds=1"):
            answer = self.request("GET", path)
            self.assertNotIn(PASSWORD.encode(), answer.body)
            self.assertNotIn(encoded(PASSWORD).encode(), answer.body)

    def test_protobuf(self):
        """kubectl create secret, from 1.32 on."""
        meta = field(1, "pb") + field(3, "default") + field(11, entry("l", "1"))
        raw = field(1, meta) + field(2, entry("key", PASSWORD)) + field(2, entry("two", b"\0\1")) + field(3, "Opaque")
        answer = self.request("POST", SECRETS + "?fieldManager=kubectl-create&fieldValidation=Strict", envelope(raw), PROTOBUF)
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (201, "application/json"), answer.body)
        self.assertEqual((answer.json()["data"], answer.json()["metadata"]["labels"]), ({"key": MARKER, "two": MARKER}, {"l": "1"}))
        # Equal values are equal only to themselves: not in another Secret, not under another key.
        self.make("same", data={"key": encoded(PASSWORD), "other": encoded(PASSWORD)})
        shown = [self.values("pb")["key"], *self.values("same").values()]
        self.assertEqual(len({value["fingerprint"] for value in shown}), 3)
        self.request("PUT", f"{SECRETS}/same", {"metadata": {"name": "same"}, "data": {"key": encoded(PASSWORD), "other": encoded("changed")}})
        self.assertEqual(self.values("same")["key"], shown[1])
        self.assertNotEqual(self.values("same")["other"], shown[2])
        self.refused(400, "BadRequest", self.request("POST", SECRETS, envelope(raw)[:40], PROTOBUF))
        self.refused(400, "BadRequest", self.request("POST", SECRETS, envelope(raw, "ConfigMap"), PROTOBUF))
        self.refused(415, "UnsupportedMediaType", self.request("POST", f"{GROUP}/bgppeers", envelope(raw), PROTOBUF))

    def test_dry_runs_do_not_help_guessing(self):
        """Whether the guess is right or wrong, the answer is the same, in every form of a dry run."""
        guesses = (PASSWORD, PASSWORD[:-1] + "x", "y" * len(PASSWORD))
        self.make(stringData={"key": PASSWORD, "other": "z"})
        stored = self.values("pw")

        def answers(method, path, body, headers=None):
            for guess in guesses:
                answer = self.request(method, path, json.dumps(body(guess)).encode(), {"Content-Type": "application/json", **(headers or {})})
                document = answer.json()
                shown = json.loads(document["metadata"]["annotations"]["bgppeerd.io/values"]) if answer.status < 300 else {}
                for key, value in shown.items():
                    # Of a key that is there, what is stored of it, whatever was guessed; of a new one, nothing.
                    self.assertIn(value["fingerprint"], ("", stored.get(key, {}).get("fingerprint", "")))
                for value in shown.values():
                    value.pop("modified")
                document.get("metadata", {}).get("annotations", {}).pop("bgppeerd.io/values", None)
                document["metadata"].pop("creationTimestamp", None)
                if method == "POST":
                    document["metadata"].pop("uid", None)
                yield answer.status, compact(document), compact(shown), answer.headers.get("ETag")

        whole = {"metadata": {"name": "pw"}}
        for method, path, body, headers in (
                ("PUT", f"{SECRETS}/pw", lambda guess: {**whole, "data": {"key": encoded(guess), "other": MARKER}}, None),
                ("PATCH", f"{SECRETS}/pw", lambda guess: {"stringData": {"key": guess}}, MERGE),
                ("PATCH", f"{SECRETS}/pw", lambda guess: [{"op": "replace", "path": "/data/key", "value": encoded(guess)}],
                 {"Content-Type": "application/json-patch+json"}),
                ("PATCH", f"{SECRETS}/pw?fieldManager=x", lambda guess: {"data": {"key": encoded(guess)}},
                 {"Content-Type": "application/strategic-merge-patch+json"}),
                ("POST", SECRETS, lambda guess: {"metadata": {"name": "another"}, "data": {"key": encoded(guess)}}, None)):
            found = set(answers(method, path + ("&" if "?" in path else "?") + "dryRun=All", body, headers))
            self.assertEqual(len(found), 1, found)
            self.assertLess(found.pop()[0], 300)
        # Nor does an immutable one tell, though it may then refuse what it would take.
        self.assertEqual(self.request("PATCH", f"{SECRETS}/pw", '{"immutable":true}', MERGE).status, 200)
        self.assertEqual(len(set(answers("PATCH", f"{SECRETS}/pw?dryRun=All", lambda guess: {"stringData": {"key": guess}}, MERGE))), 1)

    def test_tables(self):
        self.make(stringData={"a": "1", "b": "2"})
        self.request("PATCH", f"{SECRETS}/pw", '{"metadata":{"labels":{"l":"1"},"annotations":{"note":"x"}}}', MERGE)
        table = self.request("GET", "/api/v1/secrets", headers=TABLE).json()
        self.assertEqual([column["name"] for column in table["columnDefinitions"]], ["Name", "Type", "Data", "Age"])
        row = table["rows"][0]
        self.assertEqual(row["cells"][:3], ["pw", "Opaque", 2])
        self.assertEqual(row["object"]["metadata"], {"name": "pw", "namespace": "default", "labels": {"l": "1"}})

    def test_namespaces(self):
        names = lambda path="/api/v1/namespaces": [item["metadata"]["name"] for item in self.request("GET", path).json()["items"]]
        self.assertEqual(names(), ["default"])
        self.assertEqual(self.request("POST", "/api/v1/namespaces/other/secrets", {"metadata": {"name": "x"}}).status, 201)
        self.make()
        self.assertEqual(names(), ["default", "other"])
        self.assertEqual(names("/api/v1/namespaces?fieldSelector=metadata.name%3Dother"), ["other"])
        self.assertEqual(names("/api/v1/namespaces?labelSelector=kubernetes.io/metadata.name%3Ddefault"), ["default"])
        one = self.request("GET", "/api/v1/namespaces/other").json()
        self.assertEqual((one["kind"], one["apiVersion"], one["status"]), ("Namespace", "v1", {"phase": "Active"}))
        self.refused(404, "NotFound", self.request("GET", "/api/v1/namespaces/none"))
        table = self.request("GET", "/api/v1/namespaces", headers=TABLE).json()
        self.assertEqual([row["cells"] for row in table["rows"]], [["default", "Active", 1], ["other", "Active", 1]])
        for method in ("POST", "DELETE", "PUT"):
            self.refused(405, "MethodNotAllowed", self.request(method, "/api/v1/namespaces", {}))
        self.refused(405, "MethodNotAllowed", self.request("GET", "/api/v1/namespaces?watch=1"))

    def test_namespaces_are_not_made(self):
        for method, path in (("POST", "/api/v1/namespaces"), ("DELETE", "/api/v1/namespaces/default"), ("PATCH", "/api/v1/namespaces/default")):
            status = self.assert_status(self.request(method, path, {}), 405, "MethodNotAllowed")
            self.assertIn("A namespace is there while it has Secrets", status["message"])
        self.assertNotIn("namespace", self.assert_status(self.request("POST", "/api/v1/secrets", {}), 405)["message"])

    def test_lists_are_of_a_namespace(self):
        self.make("a")
        self.request("POST", "/api/v1/namespaces/other/secrets", {"metadata": {"name": "a"}})
        listed = lambda path: [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in self.request("GET", path).json()["items"]]
        self.assertEqual(listed(SECRETS), [("default", "a")])
        self.assertEqual(listed("/api/v1/secrets"), [("default", "a"), ("other", "a")])
        self.assertEqual(listed("/api/v1/secrets?fieldSelector=metadata.namespace%3Dother"), [("other", "a")])
        self.assertEqual(self.request("DELETE", SECRETS).status, 200)
        self.assertEqual(listed("/api/v1/secrets"), [("other", "a")])

    def test_refusals(self):
        self.make()
        status = self.refused(409, "AlreadyExists", self.request("POST", SECRETS, {"metadata": {"name": "pw"}, "stringData": {"a": PASSWORD}}))
        self.assertEqual((status["details"]["kind"], status["details"]["name"], status["message"]), ("secrets", "pw", 'secrets "pw" already exists'))
        self.assertEqual(self.refused(404, "NotFound", self.request("GET", f"{SECRETS}/none"))["message"], 'secrets "none" not found')
        elsewhere = {"metadata": {"name": "x", "namespace": "other"}}
        self.refused(400, "BadRequest", self.request("POST", SECRETS, elsewhere))
        for bad in ({"data": {"a": PASSWORD}}, {"stringData": {"a": 1, "b": PASSWORD}}, {"stringdata": {"a": PASSWORD}}, {"stringData": PASSWORD}):
            self.refused(400, "BadRequest", self.request("POST", SECRETS, {"metadata": {"name": "y"}, **bad}))
        self.refused(400, "BadRequest", self.request("POST", SECRETS, '{"metadata":{"name":"y"},"stringData":{"a":"%s",}}' % PASSWORD,
                                                     {"Content-Type": "application/json"}))
        self.refused(422, "Invalid", self.request("POST", SECRETS, {"metadata": {"name": "y"}, "stringData": {"no/slash": PASSWORD}}))

    def test_immutable(self):
        self.make(immutable=True, stringData={"key": PASSWORD})
        self.refused(422, "Invalid", self.request("PATCH", f"{SECRETS}/pw", '{"stringData":{"key":"other"}}', MERGE))
        self.assertEqual(self.request("PATCH", f"{SECRETS}/pw", '{"metadata":{"labels":{"a":"b"}}}', MERGE).status, 200)

    def test_watch(self):
        self.make()
        answer = self.request("GET", "/api/v1/secrets?watch=1&timeoutSeconds=1")
        events = [json.loads(line) for line in answer.body.splitlines()]
        self.assertEqual([(event["type"], event["object"]["data"]) for event in events], [("ADDED", {"key": MARKER})])

    def test_what_sessions_need(self):
        """Warnings about Secrets that BGPPeers name."""
        spec = {"peerIP": "192.0.2.1", "nodeSelector": "all()", "password": {"secretKeyRef": {"name": "pw", "key": "key"}}}
        made = self.request("POST", f"{GROUP}/bgppeers", {"metadata": {"name": "p"}, "spec": spec})
        self.assertIn('there is no Secret \\"pw\\"', " ".join(made.headers.get_all("Warning")))
        self.make(stringData={"other": "x"})
        again = self.request("PATCH", f"{GROUP}/bgppeers/p", '{"spec":{"ttlSecurity":1}}', MERGE)
        self.assertIn('has no key \\"key\\"', " ".join(again.headers.get_all("Warning")))
        self.refused(422, "Invalid", self.request("PATCH", f"{SECRETS}/pw", json.dumps({"stringData": {"key": PASSWORD + "\n"}}), MERGE))
        gone = self.request("DELETE", f"{SECRETS}/pw")
        self.assertIn("still use Secret", " ".join(gone.headers.get_all("Warning")))
        self.request("DELETE", f"{GROUP}/bgppeers/p")


if __name__ == "__main__":
    unittest.main()
