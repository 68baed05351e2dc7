"""Query parameters: a misspelt one never does harm, an unknown one is not taken for an answer, previews write nothing."""
import json
import unittest
import urllib.parse

from service import Service

GROUP = "/apis/projectcalico.org/v3"
OURS = "/apis/bgppeerd.io/v1"
PEERS = f"{GROUP}/bgppeers"
MERGE = {"Content-Type": "application/merge-patch+json"}
JSON = {"Content-Type": "application/json"}
PREVIEW = "dryRun=All&preview=peerings"


def peer(name, number=65001):
    return {"apiVersion": "projectcalico.org/v3", "kind": "BGPPeer", "metadata": {"name": name, "labels": {"rack": name}},
            "spec": {"peerIP": "192.0.2.1", "asNumber": number}}


class QueryCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service()
        cls.addClassCleanup(cls.service.close)
        cls.service.start()
        node = {"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": "n1"}, "spec": {"bgp": {"ipv4Address": "192.0.2.101"}}}
        assert cls.service.request("POST", f"{GROUP}/nodes", node).status == 201
        for name in ("kept", "other"):
            assert cls.service.request("POST", PEERS, peer(name)).status == 201

    def request(self, *arguments):
        return self.service.request(*arguments)

    def version(self):
        return self.request("GET", f"{GROUP}/nodes").json()["metadata"]["resourceVersion"]

    def assert_refused(self, answer, *words):
        self.assertEqual(answer.status, 400, answer.body)
        self.assertEqual(answer.json()["reason"], "BadRequest")
        for word in words:
            self.assertIn(word, answer.json()["message"])

    def writes(self):
        """Every method that writes, as (method, path, body, headers); each of them would change something."""
        return [("POST", PEERS, peer("new"), {}), ("PUT", f"{PEERS}/kept", peer("kept", 65009), {}),
                ("PATCH", f"{PEERS}/kept", {"spec": {"asNumber": 65009}}, MERGE), ("DELETE", f"{PEERS}/kept", None, {}),
                ("DELETE", PEERS, None, {})]

    def send(self, write, query):
        method, path, body, headers = write
        return self.request(method, f"{path}?{query}", json.dumps(body) if body else None, {**(JSON if body else {}), **headers})


class SpellingTest(QueryCase):
    def test_a_misspelt_name_never_writes(self):
        before = self.version()
        writes = self.writes() + [("POST", f"{OURS}/applies", [peer("new")], {})]
        for write in writes:
            for name in ("dryrun", "DryRun", "DRYRUN", "dry-run", "dry_run", "dry%20run", "dryRun%5B%5D", "dryRun.", "-dryRun", "d%52yRun%20"):
                answer = self.send(write, f"{name}=All")
                self.assert_refused(answer, '"dryRun"')
        self.assertEqual(self.version(), before)

    def test_every_known_name_is_held_to_its_spelling_everywhere(self):
        paths = (PEERS, f"{PEERS}/kept", f"{GROUP}/nodes/n1/peerings", f"{OURS}/audit", "/openapi.json", "/apis", "/livez", "/api/v1/namespaces")
        for path in paths:
            for wrong, right in (("Preview", "preview"), ("fieldvalidation", "fieldValidation"), ("label_selector", "labelSelector"),
                                 ("Wait", "wait"), ("resource-version", "resourceVersion"), ("WATCH", "watch"), ("Limit", "limit")):
                self.assert_refused(self.request("GET", f"{path}?{wrong}=x"), f'did you mean "{right}"')

    def test_unknown_names_with_methods_that_write(self):
        before = self.version()
        for write in self.writes():
            self.assert_refused(self.send(write, "dryRn=All"), 'did you mean "dryRun"')
            self.assert_refused(self.send(write, "simulate=true"), "simulate", "dryRun")
        self.assertEqual(self.version(), before)

    def test_values_that_are_empty_or_none_of_those_there_are(self):
        before = self.version()
        for write in self.writes():
            for query in ("dryRun=", "dryRun", "dryRun=true", "dryRun=all", "preview=peerings", "dryRun=All&preview=", "dryRun=All&preview=bogus",
                          "dryRun=All&preview=Peerings", "preview=bogus", "fieldValidation=strict"):
                if write[0] != "DELETE" or "fieldValidation" not in query:
                    self.assert_refused(self.send(write, query))
        self.assertEqual(self.version(), before)
        for query in ("wait=", "wait", "wait=%20", "explain="):
            self.assert_refused(self.request("GET", f"{GROUP}/nodes/n1/peerings?{query}"))

    def test_the_same_parameter_twice(self):
        before = self.version()
        for write in self.writes():
            self.assert_refused(self.send(write, "dryRun=All&dryRun="), "more than once")
            self.assertIn(self.send(write, "dryRun=All&dryRun=All").status, (200, 201))
        self.assert_refused(self.request("GET", f"{PEERS}?limit=1&limit=2"), "limit")
        self.assertEqual(self.version(), before)


class UnknownTest(QueryCase):
    def test_paths_of_our_own_take_what_they_say_and_nothing_else(self):
        for path in (f"{GROUP}/nodes/n1/peerings", f"{GROUP}/bgppeers/kept/peerings", f"{OURS}/tokens", f"{OURS}/vault", f"{OURS}/audit"):
            for query in ("at=5", "access_token=secret", "index=5", "resourceVersion=1", "fieldManager=x", "_=1", "=1"):
                answer = self.request("GET", f"{path}?{query}")
                self.assert_refused(answer)
                self.assertNotIn(b"secret", answer.body)
            self.assertEqual(self.request("GET", f"{path}?pretty=true").status, 200)
        self.assert_refused(self.request("GET", f"{OURS}/audit?requestID=x"), "requestID", "since")
        self.assert_refused(self.request("GET", f"{OURS}/audit?users=x"), 'did you mean "user"')
        self.assert_refused(self.request("GET", f"{GROUP}/nodes/n1/peerings?wiat=3s"), 'did you mean "wait"')
        for path in ("previews", "applies", "tokens", "vault/rotations"):
            self.assert_refused(self.request("POST", f"{OURS}/{path}?preview=peerings", [peer("new")]), "preview")

    def test_what_kubernetes_knows_is_taken_on_its_paths(self):
        known = ("timeout=32s", "fieldManager=kubectl-client-side-apply", "force=true", "pretty=false", "gracePeriodSeconds=0",
                 "propagationPolicy=Background", "orphanDependents=false", "ignoreStoreReadErrorWithClusterBreakingPotential=false")
        for query in known:
            for path in (PEERS, f"{PEERS}/kept", "/api", "/apis", "/version", "/openapi/v2", "/openapi/v3", "/readyz", "/api/v1/namespaces"):
                self.assertEqual(self.request("GET", f"{path}?{query}").status, 200, (path, query))
            for write in self.writes():
                self.assertIn(self.send(write, f"dryRun=All&{query}").status, (200, 201), (write, query))
        for path in ("/livez", "/readyz", "/healthz"):
            self.assertEqual(self.request("GET", f"{path}?verbose&exclude=etcd").status, 200)

    def test_reading_ignores_what_nobody_knows_and_refuses_what_is_nearly_known(self):
        self.assertEqual(self.request("GET", f"{PEERS}?_=1732000000&cachebuster=x").status, 200)
        self.assert_refused(self.request("GET", f"{PEERS}?limits=1"), 'did you mean "limit"')
        self.assert_refused(self.request("GET", f"{PEERS}?wait=3s"), "wait", "labelSelector")
        self.assert_refused(self.request("GET", f"{PEERS}?{PREVIEW}"), "preview")

    def test_what_is_not_served_is_refused_with_the_reason(self):
        before = self.version()
        for query in ("limit=1", "continue=x", "resourceVersion=1", "resourceVersionMatch=Exact"):
            self.assert_refused(self.request("DELETE", f"{PEERS}?{query}"), query.split("=", maxsplit=1)[0])
        for query in ("resourceVersion=1", "labelSelector=rack=none", "fieldSelector=metadata.name=none"):
            self.assert_refused(self.request("DELETE", f"{PEERS}/kept?{query}"), query.split("=", maxsplit=1)[0])
        for write in self.writes()[1:3]:
            self.assert_refused(self.send(write, "resourceVersion=1"), "If-Match")
        self.assertEqual(self.version(), before)
        self.assertEqual(self.request("DELETE", f"{PEERS}?dryRun=All&limit=&resourceVersion=").status, 200)

    def test_an_error_of_the_query_does_not_tell_who_has_no_credential(self):
        with Service(auth=True) as service:
            for path in (PEERS, f"{OURS}/audit", "/nowhere"):
                self.assertEqual(service.request("GET", f"{path}?dryrun=All", None, {"Authorization": None}).status, 401)


class PreviewTest(QueryCase):
    def preview(self, answer):
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.json()["kind"], "Preview")
        return answer.json()

    def test_every_method_that_writes_previews(self):
        before = self.version()
        for write in self.writes():
            preview = self.preview(self.send(write, PREVIEW))
            self.assertEqual(preview["metadata"]["resourceVersion"], before)
            self.assertIn("totals", preview["changes"])
        self.assertEqual(self.version(), before)

    def test_a_collection(self):
        before = self.version()
        listed = self.request("GET", f"{GROUP}/nodes/n1/peerings").json()["items"]
        preview = self.preview(self.request("DELETE", f"{PEERS}?{PREVIEW}"))
        self.assertEqual([item["metadata"]["name"] for item in preview["objects"]], ["kept", "other"])
        self.assertEqual(preview["changes"]["totals"], {"nodes": 1, "added": 0, "removed": len(listed), "changed": 0, "disruptive": len(listed)})
        self.assertIn("node n1 would lose its last session", preview["warnings"])
        selected = self.preview(self.request("DELETE", f"{PEERS}?{PREVIEW}&labelSelector=" + urllib.parse.quote("rack=other")))
        self.assertEqual([item["metadata"]["name"] for item in selected["objects"]], ["other"])
        none = self.preview(self.request("DELETE", f"{PEERS}?{PREVIEW}&labelSelector=rack=none"))
        self.assertEqual((none["objects"], none["changes"]["nodes"], none["metadata"]["resourceVersion"]), ([], [], before))
        # dryRun may come in the body, as kubectl sends it.
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "dryRun": ["All"]}
        self.preview(self.request("DELETE", f"{PEERS}?preview=peerings", options))
        self.assertEqual(self.version(), before)

    def test_a_collection_of_secrets_shows_no_password(self):
        secrets = "/api/v1/namespaces/default/secrets"
        self.assertEqual(self.request("POST", secrets, {"metadata": {"name": "s"}, "stringData": {"password": "correct horse"}}).status, 201)
        answer = self.request("DELETE", f"{secrets}?{PREVIEW}")
        self.preview(answer)
        self.assertNotIn(b"correct horse", answer.body)
        self.assertEqual(self.request("GET", f"{secrets}/s").status, 200)

    def test_the_largest_collection_that_is_previewed(self):
        with Service() as service:
            documents = [peer(f"p{number:04}") for number in range(1000)]
            self.assertEqual(service.request("POST", f"{OURS}/applies", documents).status, 200)
            self.assertEqual(len(self.preview(service.request("DELETE", f"{PEERS}?{PREVIEW}"))["objects"]), 1000)
            self.assertEqual(service.request("POST", PEERS, peer("one-more")).status, 201)
            answer = service.request("DELETE", f"{PEERS}?{PREVIEW}")
            self.assertEqual(answer.status, 413, answer.body)
            self.assertIn("1001 objects", answer.json()["message"])
            self.assertEqual(len(service.request("GET", PEERS).json()["items"]), 1001)


class PathTest(QueryCase):
    def test_a_slash_at_the_end_is_not_looked_at(self):
        for path in (PEERS, f"{PEERS}/kept", f"{GROUP}/nodes/n1/peerings", f"{OURS}/vault", "/livez", "/metrics", "/apis", "/api/v1/namespaces/default/secrets"):
            self.assertEqual(self.request("GET", path + "/").status, self.request("GET", path).status, path)
        for path in (f"{PEERS}//", f"{GROUP}//bgppeers", "//"):
            self.assertEqual(self.request("GET", path).status, 404, path)

    def test_a_missing_name_does_not_delete_everything(self):
        before = self.version()
        for path in (f"{PEERS}/", f"{PEERS}/?labelSelector=rack", "/api/v1/namespaces/default/secrets/"):
            answer = self.request("DELETE", path)
            self.assertEqual(answer.status, 404, answer.body)
            self.assertIn("name", answer.json()["message"])
        self.assertEqual(self.version(), before)

    def test_the_root(self):
        answer = self.request("GET", "/")
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        paths = answer.json()["paths"]
        self.assertEqual(len(paths), len(set(paths)))
        described = self.request("GET", "/openapi.json").json()["paths"]
        self.assertEqual(set(paths), set(described))
        for accept in ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html", "application/xml, text/html;q=0.9, */*;q=0.1"):
            page = self.request("GET", "/", None, {"Accept": accept})
            self.assertEqual((page.status, page.headers["Content-Type"]), (200, "text/html; charset=utf-8"))
            self.assertIn(b"Authorization: Bearer", page.body)
        for accept in ("*/*", "application/json", "application/json, text/html", "text/html;q=0, */*"):
            self.assertEqual(self.request("GET", "/", None, {"Accept": accept}).json()["paths"], paths)

    def test_the_root_without_a_credential(self):
        with Service(auth=True) as service:
            self.assertEqual(service.request("GET", "/", None, {"Authorization": None}).status, 401)
            self.assertEqual(service.request("GET", "/", None, {"Authorization": None, "Accept": "text/html"}).status, 200)
            self.assertEqual(service.request("GET", "/").status, 200)


if __name__ == "__main__":
    unittest.main()
