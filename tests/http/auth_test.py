"""Who may do what: every route of the service × every kind of caller, from the document that lists the routes."""
import http.client
import json
import os
import re
import subprocess
import time
import unittest

from service import PROGRAM, Service

GROUP = "/apis/projectcalico.org/v3"
OURS = "/apis/bgppeerd.io/v1"
PUBLIC = {"/livez", "/readyz", "/healthz", "/version"}
MERGE = "application/merge-patch+json"

# What each role may do, written down a second time, apart from the service's own table: per resource the verbs.
# get, list, create, update, patch, delete, deletecollection: g l c u p d D.
BGP = ("bgppeers", "bgpconfigurations", "bgpfilters", "nodes")
OBSERVED = {"nodes/peeringstatus": "g", "sessions": "gl", "convergence": "gl", "transitions": "gl"}
MAY = {
    "operator": {**{kind: "glcupdD" for kind in BGP}, "secrets": "glcup", "nodes/peerings": "g", "bgppeers/peerings": "g",
                 "previews": "c", "applies": "c", "imports": "c", "rollbacks": "c", "changes": "gl", "diff": "gl", "namespaces": "gl", "reviews": "c", "documents": "g", "metrics": "g",
                 "freeze": "luD", **OBSERVED},  # the one there is, which has no name
    "viewer": {**{kind: "gl" for kind in BGP}, **OBSERVED, "freeze": "l", "nodes/peerings": "g", "bgppeers/peerings": "g", "namespaces": "gl",
               "reviews": "c", "documents": "g", "metrics": "g"},
    "own node": {"nodes": "gup", "nodes/peerings": "g", "nodes/peeringstatus": "gu", "reviews": "c", "documents": "g"},
    "other node": {"reviews": "c", "documents": "g"},
}


def resource_of(path):
    """(resource, is a collection) of a path in the document."""
    if path.startswith((GROUP + "/", OURS + "/", "/api/v1/")):
        words = [word for word in path.split("/")[4 if path.startswith("/apis") else 3:]]
        if words[0] == "namespaces" and len(words) > 2:
            words = words[2:]
        if words[2:] == ["peerings", "status"]:
            return f"{words[0]}/peeringstatus", False
        if len(words) == 3:
            return f"{words[0]}/{words[2]}", False
        return words[0], len(words) == 1
    if path.endswith(("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews")):
        return "reviews", True
    if path == "/metrics":
        return "metrics", False
    return "documents", False


def verb_of(method, collection, resource):
    if method == "get":
        return "l" if collection else "g"
    return {"post": "c", "put": "u", "patch": "p", "delete": "D" if collection and resource != "tokens" else "d"}[method]


class Callers:
    """Tokens of every sort for one service."""

    def __init__(self, service):
        self.service = service
        self.headers = {"admin": service.token}
        for name, spec in (("operator", {"role": "operator"}), ("viewer", {"role": "viewer"}),
                           ("own node", {"role": "node", "node": "rack1-host1"}),
                           ("other node", {"role": "node", "node": "rack1-host2"})):
            self.headers[name] = self.make(spec)[1]
        identity, self.headers["revoked"] = self.make({"role": "admin"})
        assert service.request("DELETE", f"{OURS}/tokens/{identity}").status == 200
        soon = int(time.time()) + 4
        self.headers["expired"] = self.make({"role": "admin", "expires": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(soon))})[1]
        time.sleep(max(0.0, soon + 0.1 - time.time()))
        self.headers["altered"] = service.token[:-1] + ("A" if service.token[-1] != "A" else "B")
        self.headers["nobody"] = None

    def make(self, spec):
        answer = self.service.request("POST", f"{OURS}/tokens", body={"spec": spec})
        assert answer.status == 201, answer.body
        document = answer.json()
        return document["metadata"]["name"], document["status"]["token"]

    def request(self, caller, method, path, **options):
        token = self.headers[caller]
        headers = {**options.pop("headers", {}), "Authorization": None if token is None else f"Bearer {token}"}
        return self.service.request(method, path, headers=headers, **options)


class TableTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service("--max-auth-failures", "0", auth=True)
        cls.addClassCleanup(cls.service.close)
        cls.service.start()
        cls.service.apply_examples()
        cls.callers = Callers(cls.service)
        cls.document = cls.service.request("GET", "/openapi.json").json()

    def ask(self, caller, method, path):
        """A request that changes nothing when it is let through: a dry run, or a body that is refused."""
        headers = {"Content-Type": MERGE if method == "patch" else "application/json"}
        if method == "get":
            return self.callers.request(caller, "GET", path)
        return self.callers.request(caller, method.upper(), path + "?dryRun=All", body=b"{\"refused\":1}" if method != "delete" else None,
                                    headers=headers)

    def operations(self):
        count = 0
        for path, item in self.document["paths"].items():
            for method in item:
                if method != "parameters":
                    count += 1
                    yield path, method
        self.assertGreater(count, 40)

    def test_every_route_for_every_caller(self):
        for template, method in self.operations():
            path = template.replace("{namespace}", "default").replace("{name}", "rack1-host1")
            resource, collection = resource_of(template)
            verb = verb_of(method, collection, resource)
            for caller in self.callers.headers:
                with self.subTest(caller=caller, method=method, path=template):
                    answer = self.ask(caller, method, path)
                    if template in PUBLIC:
                        self.assertEqual(answer.status, 200)
                    elif caller in ("revoked", "expired", "altered", "nobody"):
                        self.assertEqual(answer.status, 401, answer.body)
                        self.assertIn("Bearer", answer.headers["WWW-Authenticate"])
                        self.assertEqual(answer.json()["reason"], "Unauthorized")
                    elif caller == "admin" or verb in MAY[caller].get(resource, ""):
                        self.assertNotIn(answer.status, (401, 403), answer.body)
                    else:
                        self.assertEqual(answer.status, 403, answer.body)
                        status = answer.json()
                        self.assertEqual(status["reason"], "Forbidden")
                        self.assertRegex(status["message"], r'is forbidden: User "[^"]+" cannot [a-z]+ resource "')

    def test_a_denial_does_not_tell_what_exists(self):
        for caller in ("own node", "other node", "nobody"):
            for plural, there in (("nodes", "rack2-host1"), ("bgppeers", "rack1-tor"), ("bgpfilters", "only-pods")):
                for method in ("GET", "DELETE", "PUT"):
                    with self.subTest(caller=caller, plural=plural, method=method):
                        answers = [self.callers.request(caller, method, f"{GROUP}/{plural}/{name}") for name in (there, "there-is-none")]
                        texts = [json.loads(answer.body.decode().replace(there, "there-is-none")) for answer in answers]
                        self.assertEqual(answers[0].status, 401 if caller == "nobody" else 403)
                        self.assertEqual(texts[0], texts[1])
        self.assertEqual(self.callers.request("own node", "GET", f"{GROUP}/nodes/there-is-none/peerings").status, 403)

    def test_unknown_paths_need_a_credential(self):
        for path in ("//", "/nowhere", f"{GROUP}/pods", f"{GROUP}/nodes/%zz", "/metrics/x"):
            self.assertEqual(self.callers.request("nobody", "GET", path).status, 401, path)
            self.assertIn(self.callers.request("viewer", "GET", path).status, (400, 404), path)
        self.assertEqual(self.callers.request("nobody", "DELETE", "/api").status, 401)
        self.assertEqual(self.callers.request("viewer", "DELETE", "/api").status, 405)

    def test_credentials_that_are_none(self):
        for value in ("", "Bearer", "Bearer ", "Basic YTpi", self.service.token, f"Bearer {self.service.token} x", "Bearer bpd_x",
                      f"Token {self.service.token}", "Bearer " + "a" * 3000):
            answer = self.service.request("GET", f"{GROUP}/nodes", headers={"Authorization": value})
            self.assertEqual(answer.status, 401, value)
            self.assertNotIn(self.service.token[30:], answer.body.decode())
        for value in (f"bearer {self.service.token}", f"BEARER   {self.service.token} "):
            self.assertEqual(self.service.request("GET", f"{GROUP}/nodes", headers={"Authorization": value}).status, 200, value)

    def test_what_a_node_may_not_ask(self):
        own = f"{GROUP}/nodes/rack1-host1"
        self.assertEqual(self.callers.request("own node", "GET", f"{own}/peerings").status, 200)
        self.assertEqual(self.callers.request("own node", "GET", f"{own}/peerings?explain=10.0.1.1").status, 403)
        self.assertEqual(self.callers.request("viewer", "GET", f"{own}/peerings?explain=10.0.1.1").status, 200)
        patch = {"body": b'{"spec":{"bgp":{"ipv4Address":"10.0.1.99/24"}}}', "headers": {"Content-Type": MERGE}}
        self.assertEqual(self.callers.request("own node", "PATCH", f"{own}?dryRun=All&preview=peerings", **patch).status, 403)
        self.assertEqual(self.callers.request("own node", "PATCH", f"{own}?dryRun=All", **patch).status, 200)

    def test_reviews(self):
        def may(caller, **attributes):
            answer = self.callers.request(caller, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                                          body={"spec": {"resourceAttributes": attributes}})
            self.assertEqual(answer.status, 201, answer.body)
            return answer.json()["status"]["allowed"]

        calico = {"group": "projectcalico.org"}
        self.assertTrue(may("viewer", verb="list", resource="bgppeers", **calico))
        self.assertTrue(may("viewer", verb="get", resource="nodes", subresource="peerings", **calico))
        self.assertFalse(may("viewer", verb="delete", resource="bgppeers", **calico))
        self.assertFalse(may("viewer", verb="list", resource="secrets"))
        self.assertTrue(may("operator", verb="create", resource="secrets", namespace="default"))
        self.assertFalse(may("operator", verb="*", resource="*"))
        self.assertTrue(may("admin", verb="*", resource="*", group="*"))
        self.assertTrue(may("own node", verb="update", resource="nodes", name="rack1-host1", **calico))
        self.assertFalse(may("own node", verb="update", resource="nodes", **calico))
        self.assertFalse(may("admin", verb="list", resource="pods"))
        for body, status in (({}, 400), ({"spec": {}}, 400), ({"spec": {"resourceAttributes": {"verbs": "x"}}}, 400), ("[", 400)):
            answer = self.callers.request("viewer", "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=body,
                                          headers={"Content-Type": "application/json"})
            self.assertEqual(answer.status, status, answer.body)
        def rules(caller):
            answer = self.callers.request(caller, "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body={"spec": {}})
            self.assertEqual((answer.status, answer.json()["kind"]), (201, "SelfSubjectRulesReview"), answer.body)
            return {rule["resources"][0]: (rule["apiGroups"], rule["verbs"], rule.get("resourceNames"))
                    for rule in answer.json()["status"]["resourceRules"]}

        everything = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
        self.assertEqual({verbs == everything for _, verbs, _ in rules("admin").values()}, {True})
        self.assertEqual(rules("operator")["secrets"], ([""], everything[:6], None))
        self.assertEqual(rules("viewer")["bgppeers"], (["projectcalico.org"], everything[:3], None))
        self.assertNotIn("secrets", rules("viewer"))
        own = rules("own node")
        self.assertEqual(own.pop("nodes"), (["projectcalico.org"], ["get", "update", "patch"], ["rack1-host1"]))
        self.assertEqual(own.pop("nodes/peerings"), (["projectcalico.org"], ["get"], ["rack1-host1"]))
        self.assertEqual(own.pop("nodes/peeringstatus"), (["projectcalico.org"], ["get", "update"], ["rack1-host1"]))
        self.assertEqual({(tuple(verbs), names) for _, verbs, names in own.values()}, {(("create",), None)})
        who = self.callers.request("own node", "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body={}).json()
        self.assertEqual(who["status"]["userInfo"], {"username": "system:node:rack1-host1", "groups": ["system:nodes", "system:authenticated"]})


class NodeWriteTest(unittest.TestCase):
    """A node's own Node: its addresses and nothing else, whichever way it is written."""

    @classmethod
    def setUpClass(cls):
        cls.service = Service(auth=True)
        cls.addClassCleanup(cls.service.close)
        cls.service.start()
        cls.service.apply_examples()
        cls.callers = Callers.__new__(Callers)
        cls.callers.service = cls.service
        cls.callers.headers = {"node": cls.callers.make({"role": "node", "node": "rack1-host1"})[1]}
        answer = cls.service.request("PATCH", cls.path, body=b'{"spec":{"bgp":{"asNumber":64513}}}', headers={"Content-Type": MERGE})
        assert answer.status == 200, answer.body

    path = f"{GROUP}/nodes/rack1-host1"

    def patch(self, body, kind=MERGE):
        return self.callers.request("node", "PATCH", self.path, body=json.dumps(body).encode(), headers={"Content-Type": kind})

    def test_addresses(self):
        for body in ({"spec": {"bgp": {"ipv4Address": "10.0.1.77/24"}}}, {"spec": {"bgp": {"ipv6Address": "2001:db8::7/64"}}},
                     {"spec": {"bgp": {"ipv6Address": None}}}):
            answer = self.patch(body)
            self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(self.patch([{"op": "replace", "path": "/spec/bgp/ipv4Address", "value": "10.0.1.11/24"}],
                                    "application/json-patch+json").status, 200)
        whole = self.callers.request("node", "GET", self.path).json()
        whole["spec"]["bgp"]["ipv4Address"] = "10.0.1.78/24"
        answer = self.callers.request("node", "PUT", self.path, body=whole)
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.json()["spec"]["bgp"]["ipv4Address"], "10.0.1.78/24")

    def test_everything_else(self):
        before = self.service.request("GET", self.path).json()
        for body in ({"metadata": {"labels": {"rack": "rack2"}}}, {"metadata": {"annotations": {"a": "b"}}}, {"spec": {"bgp": {"asNumber": 65000}}},
                     {"spec": {"bgp": {"routeReflectorClusterID": "244.0.0.9"}}}, {"spec": {"bgp": None}},
                     {"spec": {"bgp": {"ipv4Address": "10.0.1.79/24", "asNumber": 65000}}}, {"spec": {"addresses": [{"address": "10.0.0.1"}]}},
                     {"status": {"podCIDRs": ["10.1.0.0/16"]}}):
            answer = self.patch(body)
            self.assertEqual(answer.status, 403, f"{body}: {answer.body}")
            self.assertIn("ipv4Address", answer.json()["message"])
        whole = self.callers.request("node", "GET", self.path).json()
        whole["metadata"]["labels"] = {}
        self.assertEqual(self.callers.request("node", "PUT", self.path, body=whole).status, 403)
        for method in ("DELETE",):
            self.assertEqual(self.callers.request("node", method, self.path).status, 403)
        self.assertEqual(self.service.request("GET", self.path).json()["spec"].get("bgp", {}).get("asNumber"),
                         before["spec"].get("bgp", {}).get("asNumber"))
        self.assertEqual(self.service.request("GET", self.path).json()["metadata"]["labels"], before["metadata"]["labels"])


class TokenTest(unittest.TestCase):
    def test_first_start_and_restart(self):
        with Service(auth=True) as service:
            path = os.path.join(service.data, "admin.token")
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            self.assertRegex(service.token, r"^bpd_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$")
            service.wait_for_log("file=admin.token")
            first = service.token
            service.stop()
            service.start()
            self.assertEqual(service.token, first)
            self.assertEqual(service.request("GET", f"{GROUP}/nodes").status, 200)
            service.wait_for_log("event=ready")
            self.assertEqual(service.log().count("event=admin-token"), 1)
            self.assertNotIn(first[30:], service.log())
            service.kill()
            service.start()
            self.assertEqual(service.request("GET", f"{GROUP}/nodes").status, 200)
            # No secret is in any file but that one.
            for name in os.listdir(service.data):
                if name != "admin.token":
                    with open(os.path.join(service.data, name), "rb") as file:
                        self.assertNotIn(first[21:].encode(), file.read(), name)

    def test_api(self):
        with Service(auth=True) as service:
            answer = service.request("POST", f"{OURS}/tokens", body={"apiVersion": "bgppeerd.io/v1", "kind": "Token", "spec": {
                "role": "viewer", "description": "a \"quoted\" line"}})
            self.assertEqual(answer.status, 201)
            self.assertEqual(answer.headers["Cache-Control"], "no-store")
            token = answer.json()
            name, text = token["metadata"]["name"], token["status"].pop("token")
            self.assertEqual(service.request("GET", f"{OURS}/tokens/{name}").json(), token)
            listed = service.request("GET", f"{OURS}/tokens")
            self.assertEqual([item["spec"]["role"] for item in listed.json()["items"]], ["admin", "viewer"])
            self.assertNotIn(text[21:], listed.body.decode())
            viewer = {"Authorization": f"Bearer {text}"}
            self.assertEqual(service.request("GET", f"{GROUP}/nodes", headers=viewer).status, 200)
            self.assertIn("lastUsed", service.request("GET", f"{OURS}/tokens/{name}").json()["status"])
            self.assertEqual(service.request("DELETE", f"{OURS}/tokens/{name}").status, 200)
            self.assertEqual(service.request("GET", f"{GROUP}/nodes", headers=viewer).status, 401)
            for method in ("GET", "DELETE"):
                for missing in (name, "x", "0123456789abcdef0"):
                    self.assertEqual(service.request(method, f"{OURS}/tokens/{missing}").status, 404)
            for spec, field in (({"role": "root"}, "spec.role"), ({}, "spec.role"), ({"role": "node"}, "spec.node"),
                                ({"role": "viewer", "node": "a"}, "spec.node"), ({"role": "node", "node": "-a"}, "spec.node"),
                                ({"role": "admin", "expires": "tomorrow"}, "spec.expires"),
                                ({"role": "admin", "expires": "2020-01-01T00:00:00Z"}, "spec.expires"),
                                ({"role": "admin", "description": "x" * 129}, "spec.description")):
                answer = service.request("POST", f"{OURS}/tokens", body={"spec": spec})
                self.assertEqual(answer.status, 422, answer.body)
                self.assertEqual(answer.json()["details"]["causes"][0]["field"], field)
            for body in (b"", b"{", b"[]", b'{"spec":{"rol":"admin"}}', b'{"kind":"Node","spec":{"role":"admin"}}'):
                self.assertEqual(service.request("POST", f"{OURS}/tokens", body=body, headers={"Content-Type": "application/json"}).status, 400)

    def run_token(self, service, *arguments):
        return subprocess.run([PROGRAM, "token", *arguments, "--data-dir", service.data], capture_output=True, text=True, timeout=60)

    def test_no_token_is_logged_wherever_it_was_put(self):
        with Service(auth=True) as service:
            secret = service.token[21:]
            for path in (f"{GROUP}/nodes?access_token={service.token}", f"{OURS}/tokens/{service.token}", f"/{service.token}/{service.token}?x"):
                for authorization in (None, f"Bearer {service.token}"):
                    service.request("GET", path, headers={"Authorization": authorization})
            viewer = service.request("POST", f"{OURS}/tokens", body={"spec": {"role": "viewer"}}).json()["status"]["token"]
            service.request("DELETE", f"{OURS}/tokens/{service.token}", headers={"Authorization": f"Bearer {viewer}"})
            self.assertNotIn(secret, service.request("GET", f"{OURS}/audit").body.decode())
            service.stop()
            self.assertIn(f"access_token={service.token[:21]}***", service.log())
            self.assertNotIn(secret, service.log())

    def test_the_command_line_without_a_token(self):
        with Service(auth=True) as service:
            os.remove(os.path.join(service.data, "admin.token"))
            failed = self.run_token(service, "list")
            self.assertEqual(failed.returncode, 1)
            self.assertIn("--token-file", failed.stderr)
            self.assertIn("token create --role admin", failed.stderr)
            service.stop()
            made = self.run_token(service, "create", "--role", "admin").stdout.strip()
            token = os.path.join(service.folder, "token")
            with open(token, "w", encoding="ascii") as file:
                file.write(made)
            service.auth, service.token = False, made
            service.start()
            self.assertEqual(self.run_token(service, "list", "--token-file", token).returncode, 0)

    def test_command_line_running_and_stopped(self):
        with Service(auth=True) as service:
            made = self.run_token(service, "create", "--role", "node", "--node", "n1", "--expires", "90d", "--description", "d")
            self.assertEqual(made.returncode, 0, made.stderr)
            text = made.stdout.strip()
            self.assertNotIn(text, made.stderr)
            self.assertEqual(service.request("GET", "/apis", headers={"Authorization": f"Bearer {text}"}).status, 200)
            running = self.run_token(service, "list").stdout
            self.assertIn(text[4:20], running)
            service.stop()
            stopped = self.run_token(service, "list").stdout
            self.assertEqual(re.sub(r"\S+Z|never", "", running), re.sub(r"\S+Z|never", "", stopped))
            other = self.run_token(service, "create", "--role", "viewer").stdout.strip()
            self.assertEqual(self.run_token(service, "revoke", text[4:20]).returncode, 0)
            self.assertEqual(self.run_token(service, "revoke", text[4:20]).returncode, 1)
            service.start()
            self.assertEqual(service.request("GET", "/apis", headers={"Authorization": f"Bearer {other}"}).status, 200)
            self.assertEqual(service.request("GET", "/apis", headers={"Authorization": f"Bearer {text}"}).status, 401)
            self.assertEqual(self.run_token(service, "revoke", other[4:20]).returncode, 0)
            self.assertEqual(service.request("GET", "/apis", headers={"Authorization": f"Bearer {other}"}).status, 401)
            failed = self.run_token(service, "revoke", other[4:20])
            self.assertEqual((failed.returncode, failed.stdout), (1, ""))
            self.assertIn("not found", failed.stderr)
            for arguments in (("create",), ("create", "--role", "king"), ("create", "--role", "node"), ("revoke",), ("revoke", "x"), ("frob",), (),
                              ("create", "--role", "viewer", "--expires", "soon"), ("create", "--role", "node", "--node", "-")):
                failed = self.run_token(service, *arguments)
                self.assertEqual((failed.returncode, failed.stdout), (2, ""), arguments)


class AuditTest(unittest.TestCase):
    def test_trail(self):
        with Service(auth=True) as service:
            service.apply_examples()
            document = {"metadata": {"name": "audited"}, "spec": {"bgp": {"asNumber": 65001}}}
            created = service.request("POST", f"{GROUP}/nodes", body=document, headers={"X-Request-Id": "audit-1"}).json()
            document["spec"]["bgp"]["asNumber"] = 65002
            replaced = service.request("PUT", f"{GROUP}/nodes/audited", body=document).json()
            service.request("PUT", f"{GROUP}/nodes/audited?dryRun=All", body=document)
            service.request("PUT", f"{GROUP}/nodes/audited", body=document)  # changes nothing
            service.request("DELETE", f"{GROUP}/nodes/audited")
            viewer = service.request("POST", f"{OURS}/tokens", body={"spec": {"role": "viewer"}}).json()
            service.request("DELETE", f"{GROUP}/nodes/x", headers={"Authorization": "Bearer " + viewer["status"]["token"]})
            service.request("GET", f"{GROUP}/nodes", headers={"Authorization": None})

            def audit(query):
                answer = service.request("GET", f"{OURS}/audit?{query}")
                self.assertEqual(answer.status, 200, answer.body)
                return answer.json()

            entries = audit("name=audited")["items"]
            self.assertEqual([entry["verb"] for entry in entries], ["delete", "update", "create"])
            self.assertEqual(entries[2]["requestID"], "audit-1")
            self.assertEqual(entries[2]["after"], created["metadata"]["resourceVersion"])
            self.assertEqual((entries[1]["before"], entries[1]["after"]),
                             (created["metadata"]["resourceVersion"], replaced["metadata"]["resourceVersion"]))
            self.assertRegex(entries[0]["source"], r"^127\.0\.0\.1:\d+$")
            self.assertTrue(all(entry["user"] == "token:" + service.token[4:20] for entry in entries))
            denied = audit("event=denied")["items"]
            self.assertEqual([(entry["verb"], entry["resource"], entry["name"]) for entry in denied], [("delete", "nodes", "x")])
            self.assertEqual(len(audit("event=unauthorized")["items"]), 1)
            self.assertEqual(audit("event=token")["items"][0]["name"], viewer["metadata"]["name"])
            # Pages: every entry once, newest first.
            seen, token = [], ""
            while True:
                page = audit(f"limit=4&continue={token}")
                seen += [entry["sequence"] for entry in page["items"]]
                token = page["metadata"].get("continue")
                if token is None:
                    break
            self.assertEqual(seen, list(range(len(seen), 0, -1)))
            self.assertEqual(audit("until=2020-01-01T00:00:00Z")["items"], [])
            for query in ("event=x", "limit=0", "limit=1001", "since=now", "continue=x"):
                self.assertEqual(service.request("GET", f"{OURS}/audit?{query}").status, 400, query)
            service.wait_for_log("event=audit type=write")
            self.assertNotIn(viewer["status"]["token"][21:], service.log())
            # What was written is still there after a restart.
            service.stop()
            service.start()
            self.assertEqual([entry["verb"] for entry in audit("name=audited&event=write")["items"]], ["delete", "update", "create"])


class WebPageTest(unittest.TestCase):
    """What a page in a browser on this machine could send (no preflight is needed for it) does nothing."""

    def test_no_auth(self):
        with Service() as service:
            body = b'{"metadata":{"name":"evil"},"spec":{"peerIP":"192.0.2.1","asNumber":1}}'
            for origin in ("https://example.org", "null", f"http://127.0.0.1:{service.port}"):
                answer = service.request("POST", f"{GROUP}/bgppeers", body, {"Origin": origin})
                self.assertEqual(answer.status, 403, answer.body)
                self.assertIn("web page", answer.json()["message"])
            # A name of the page's own that points here.
            for host in ("evil.example.org", f"evil.example.org:{service.port}", "127.0.0.1.example.org", "1.2.3.4.example.org:80", "localhost.example.org"):
                answer = service.request("GET", f"{GROUP}/nodes", None, {"Host": host})
                self.assertEqual(answer.status, 403, host)
                self.assertIn("--no-auth", answer.json()["message"])
            self.assertEqual(service.request("GET", f"{GROUP}/bgppeers").json()["items"], [])
            for host in ("127.0.0.1", f"127.0.0.1:{service.port}", "[::1]:8080", "localhost", f"LOCALHOST:{service.port}", "bgp.localhost", "rack1"):
                self.assertEqual(service.request("GET", f"{GROUP}/nodes", None, {"Host": host}).status, 200, host)
            denied = service.request("GET", f"{OURS}/audit?event=denied").json()["items"]
            self.assertEqual(len(denied), 8)

    def test_a_token_is_the_pages_own(self):
        with Service(auth=True) as service:
            headers = {"Origin": "https://example.org", "Host": "bgp.example.org"}
            self.assertEqual(service.request("GET", f"{GROUP}/nodes", None, headers).status, 200)


class PasswordTest(unittest.TestCase):
    password = "Xy7#kept-between-two"

    def test_who_sees_it(self):
        with Service("--log-level", "debug", auth=True) as service:
            service.apply_examples()
            callers = Callers.__new__(Callers)
            callers.service, callers.headers = service, {"admin": service.token}
            for name, spec in (("operator", {"role": "operator"}), ("viewer", {"role": "viewer"}),
                               ("own node", {"role": "node", "node": "rack1-host1"}), ("other node", {"role": "node", "node": "rack1-host2"})):
                callers.headers[name] = callers.make(spec)[1]
            secret = callers.request("operator", "POST", "/api/v1/namespaces/default/secrets",
                                     body={"metadata": {"name": "bgp"}, "stringData": {"tor": self.password}})
            self.assertEqual(secret.status, 201, secret.body)
            self.assertNotIn(self.password, secret.body.decode())
            patched = callers.request("operator", "PATCH", f"{GROUP}/bgppeers/rack1-host1-tor", headers={"Content-Type": MERGE},
                                      body=b'{"spec":{"password":{"secretKeyRef":{"name":"bgp","key":"tor"}}}}')
            self.assertEqual(patched.status, 200, patched.body)
            path = f"{GROUP}/nodes/rack1-host1/peerings"

            def ask(caller, query="", etag=None):
                return callers.request(caller, "GET", path + query, headers={"If-None-Match": etag} if etag else {})

            own = ask("own node")
            self.assertEqual([item["password"] for item in own.json()["items"] if "password" in item], [self.password])
            self.assertRegex(own.headers["ETag"], '^"[0-9a-f]{32}-p"$')
            self.assertEqual(own.headers["Cache-Control"], "private, no-cache")
            self.assertIn("Authorization", own.headers["Vary"])
            self.assertEqual(ask("own node", etag=own.headers["ETag"]).status, 304)
            plain = ask("viewer")
            self.assertEqual(plain.headers["ETag"], own.headers["ETag"].replace("-p", ""))
            # Who had the list without passwords has not seen the one with them.
            self.assertEqual(ask("own node", etag=plain.headers["ETag"]).status, 200)
            for caller in ("admin", "operator", "viewer"):
                answer = ask(caller)
                self.assertEqual(answer.status, 200)
                self.assertNotIn(self.password, answer.body.decode())
                self.assertIn("passwordFingerprint", answer.body.decode())
                self.assertEqual(ask(caller, etag=plain.headers["ETag"]).status, 304)
                self.assertEqual(ask(caller, etag=own.headers["ETag"]).status, 200)
            for caller in ("operator", "viewer"):
                self.assertEqual(ask(caller, "?passwords=true").status, 403)
            self.assertEqual(ask("other node").status, 403)
            shown = ask("admin", "?passwords=true")
            self.assertEqual(shown.json(), own.json())
            self.assertNotIn(self.password, ask("admin", "?passwords=false").body.decode())
            # With wait: a change of the password alone comes through, to the node.
            connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
            connection.request("GET", path + "?wait=200s", headers={"Authorization": "Bearer " + callers.headers["own node"],
                                                                   "If-None-Match": own.headers["ETag"]})
            time.sleep(0.2)
            changed = callers.request("operator", "PATCH", "/api/v1/namespaces/default/secrets/bgp", headers={"Content-Type": MERGE},
                                      body=json.dumps({"stringData": {"tor": self.password + "2"}}).encode())
            self.assertEqual(changed.status, 200, changed.body)
            self.assertIn(self.password + "2", connection.getresponse().read().decode())
            connection.close()
            entries = service.request("GET", f"{OURS}/audit?event=passwords").json()["items"]
            self.assertEqual([entry["user"] for entry in entries].count("token:" + service.token[4:20]), 1)
            self.assertEqual({entry["name"] for entry in entries}, {"rack1-host1"})
            self.assertEqual({entry["user"] for entry in service.request("GET", f"{OURS}/audit?event=denied&name=rack1-host1").json()["items"]},
                             {"token:" + callers.headers[name][4:20] for name in ("operator", "viewer")} | {"system:node:rack1-host2"})
            service.stop()
            self.assertNotIn(self.password, service.log())
        with Service() as service:  # without authentication everybody is admin, and must ask too
            self.assertEqual(service.request("GET", f"{GROUP}/nodes/x/peerings?passwords=true").status, 404)


class WaitingTest(unittest.TestCase):
    def test_a_revoked_token_gets_nothing_after_waiting(self):
        with Service(auth=True) as service:
            service.apply_examples()
            callers = Callers.__new__(Callers)
            callers.service, callers.headers = service, {}
            identity, callers.headers["node"] = callers.make({"role": "node", "node": "rack1-host1"})
            path = f"{GROUP}/nodes/rack1-host1/peerings"
            etag = callers.request("node", "GET", path).headers["ETag"]
            connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
            connection.request("GET", path + "?wait=200s", headers={"Authorization": "Bearer " + callers.headers["node"], "If-None-Match": etag})
            time.sleep(0.3)
            self.assertEqual(service.request("DELETE", f"{OURS}/tokens/{identity}").status, 200)
            self.assertEqual(service.request("DELETE", f"{GROUP}/bgppeers/rack1-host1-tor").status, 200)
            answer = connection.getresponse()
            self.assertEqual(answer.status, 401)
            answer.read()
            connection.close()

    def test_revoking_ends_waiting_at_once(self):
        """… of its own token: another one of the same node goes on waiting."""
        with Service(auth=True) as service:
            service.apply_examples()
            callers = Callers.__new__(Callers)
            callers.service, callers.headers = service, {}
            identity, callers.headers["revoked"] = callers.make({"role": "node", "node": "rack1-host1"})
            callers.headers["kept"] = callers.make({"role": "node", "node": "rack1-host1"})[1]
            path = f"{GROUP}/nodes/rack1-host1/peerings"
            etag = callers.request("kept", "GET", path).headers["ETag"]
            waiting = {}
            for name, token in callers.headers.items():
                waiting[name] = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
                waiting[name].request("GET", path + "?wait=200s", headers={"Authorization": "Bearer " + token, "If-None-Match": etag})
            time.sleep(0.3)
            self.assertEqual(service.request("DELETE", f"{OURS}/tokens/{identity}").status, 200)
            self.assertEqual(waiting["revoked"].getresponse().status, 401)  # long before its wait is over, or it is no answer at all
            self.assertEqual(service.request("DELETE", f"{GROUP}/bgppeers/rack1-host1-tor").status, 200)
            self.assertEqual(waiting["kept"].getresponse().status, 200)
            for connection in waiting.values():
                connection.close()


if __name__ == "__main__":
    unittest.main()
