"""The brake: writes that would disrupt much of the fleet are refused unless they say that they mean it. And the freeze."""
import concurrent.futures
import datetime
import json
import time
import unittest

from exposition import parse
from service import Service

GROUP = "/apis/projectcalico.org/v3"
OURS = "/apis/bgppeerd.io/v1"
SECRETS = "/api/v1/namespaces/default/secrets"
DEFAULT = f"{GROUP}/bgpconfigurations/default"
FORCE = "bgppeerd.io/force"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MERGE, JSON_PATCH, STRATEGIC = ({"Content-Type": f"application/{kind}+json"} for kind in ("merge-patch", "json-patch", "strategic-merge-patch"))
NODES = 12
SESSIONS = NODES * (NODES - 1)


def document(kind, name, spec, **metadata):
    return {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def node(number, **metadata):
    return document("Node", f"n{number:02}", {"bgp": {"ipv4Address": f"192.0.2.{number}/24"}}, **metadata)


def configuration(as_number, **metadata):
    return document("BGPConfiguration", "default",
                    {"asNumber": as_number, "nodeMeshPassword": {"secretKeyRef": {"name": "mesh", "key": "password"}}, "nodeToNodeMeshEnabled": True}, **metadata)


def secret(value, **metadata):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mesh", "namespace": "default", **metadata}, "stringData": {"password": value}}


def with_annotation(body, force="disruptive"):
    body = json.loads(json.dumps(body))
    body["metadata"].setdefault("annotations", {})[FORCE] = force
    return body


def change_set(*changes, **spec):
    return {"apiVersion": "bgppeerd.io/v1", "kind": "ChangeSet", "spec": {"changes": list(changes), **spec}}


class Fleet(unittest.TestCase):
    """A mesh of a dozen nodes with a password: 132 ends of sessions."""
    arguments = ()
    auth = False

    @classmethod
    def setUpClass(cls):
        cls.service = Service(*cls.arguments, auth=cls.auth)
        cls.service.start()
        cls.addClassCleanup(cls.service.close)
        cls.build()

    @classmethod
    def build(cls, nodes=NODES):
        for body, path in [(secret("one"), SECRETS), (configuration(64512), f"{GROUP}/bgpconfigurations")]:
            assert cls.service.request("POST", path, body).status == 201
        for number in range(1, nodes + 1):
            answer = cls.service.request("POST", f"{GROUP}/nodes", node(number, labels={"half": str(number % 2)}))
            assert answer.status == 201, answer.body

    def request(self, method, path, body=None, headers=None):
        return self.service.request(method, path, body, headers)

    def version(self):
        return self.request("GET", f"{GROUP}/nodes").json()["metadata"]["resourceVersion"]

    def done(self, answer, *statuses):
        self.assertIn(answer.status, statuses or (200, 201), answer.body)
        return answer.json()

    def metric(self, name, **labels):
        samples = parse(self.request("GET", "/metrics").body.decode())[name].samples
        return int(samples[(name, tuple(labels.items()))])

    def refused(self, answer, reason="TooDisruptive"):
        self.assertEqual(answer.status, 409, answer.body)
        status = answer.json()
        self.assertEqual((status["kind"], status["reason"], status["code"]), ("Status", reason, 409))
        return status


# Every way to change all sessions of the fleet: (method, path, body, headers), made for a value that is not there yet.
def disruptive_writes(value):
    as_number = 64600 + value
    patch = [{"op": "replace", "path": "/spec/asNumber", "value": as_number}]
    return {
        "put": ("PUT", DEFAULT, configuration(as_number), {}),
        "merge patch": ("PATCH", DEFAULT, {"spec": {"asNumber": as_number}}, MERGE),
        "strategic patch": ("PATCH", DEFAULT, {"spec": {"asNumber": as_number}}, STRATEGIC),
        "json patch": ("PATCH", DEFAULT, patch, JSON_PATCH),
        "secret put": ("PUT", f"{SECRETS}/mesh", secret(f"password-{value}"), {}),
        "secret patch": ("PATCH", f"{SECRETS}/mesh", {"stringData": {"password": f"password-{value}"}}, MERGE),
        "documents": ("POST", f"{OURS}/applies", [configuration(as_number)], {}),
        "change set": ("POST", f"{OURS}/applies", change_set({"op": "patch", "kind": "BGPConfiguration", "name": "default", "patch": patch}), {}),
        "import": ("POST", f"{OURS}/imports", configuration(as_number), {}),
    }


def undone(service):
    """Everything deleted, whatever that disrupts."""
    for path in (f"{GROUP}/nodes", f"{GROUP}/bgpconfigurations", f"{GROUP}/bgppeers", SECRETS):
        answer = service.request("DELETE", path + "?force=disruptive")
        assert answer.status == 200, answer.body


class PathsTest(Fleet):
    def test_a_first_fleet_is_built_without_meeting_it(self):
        """setUpClass has built one; and the next one costs nothing either."""
        undone(self.service)
        before = self.metric("bgppeerd_brake_lists_computed_total")
        self.build()
        self.assertEqual(self.metric("bgppeerd_brake_lists_computed_total"), before)

    def test_every_path_is_refused_and_says_how_to_go_on(self):
        version, refused = self.version(), self.metric("bgppeerd_writes_refused_total", reason="TooDisruptive")
        writes = {**disruptive_writes(1), "delete": ("DELETE", f"{SECRETS}/mesh", None, {}), "collection": ("DELETE", f"{GROUP}/nodes", None, {})}
        for name, (method, path, body, headers) in writes.items():
            with self.subTest(name):
                status = self.refused(self.request(method, path, body, headers))
                for text in (f"{SESSIONS} of the fleet's {SESSIONS} sessions (100 %", f"on {NODES} nodes", "50 sessions or 25 %", "preview", "force=disruptive",
                             "Bgppeerd-Force", "spec.force", FORCE):
                    self.assertIn(text, status["message"])
                self.assertEqual([(cause["reason"], cause["message"]) for cause in status["details"]["causes"]],
                                 [("DisruptiveSessions", str(SESSIONS)), ("FleetSessions", str(SESSIONS)), ("ChangedNodes", str(NODES))])
        self.assertEqual(self.version(), version, "nothing is stored")
        self.assertEqual(self.metric("bgppeerd_writes_refused_total", reason="TooDisruptive"), refused + len(writes))

    def test_a_dry_run_is_refused_as_well_but_for_secrets(self):
        for name, (method, path, body, headers) in disruptive_writes(2).items():
            if name == "import":
                continue  # its dry run is a preview
            answer = self.request(method, path + "?dryRun=All", body, headers)
            if name.startswith("secret"):
                self.assertEqual(answer.status, 200, "a dry run does not tell whether a password is the one that is stored")
            else:
                self.refused(answer)

    def test_every_path_can_be_forced(self):
        value = 10
        for name in disruptive_writes(0):
            for how in ("query", "header", "annotation", "spec"):
                method, path, body, headers = disruptive_writes(value)[name]
                value += 1
                with self.subTest(name=name, how=how):
                    self.refused(self.request(method, path, body, headers))
                    if how == "query":
                        path += "?force=disruptive"
                    elif how == "header":
                        headers = {**headers, "Bgppeerd-Force": "disruptive"}
                    elif how == "spec":
                        if name != "change set":
                            continue
                        body = change_set(*body["spec"]["changes"], force="disruptive")
                    elif name == "documents":
                        body = [with_annotation(body[0])]
                    elif name == "json patch":
                        body = body + [{"op": "add", "path": "/metadata/annotations", "value": {FORCE: "disruptive"}}]
                    elif name == "change set":
                        body = change_set({"op": "patch", "kind": "BGPConfiguration", "name": "default",
                                           "patch": {"metadata": {"annotations": {FORCE: "disruptive"}}, "spec": {"asNumber": 65000 + value}}})
                    else:
                        body = with_annotation({"metadata": {}, **body})
                    self.done(self.request(method, path, body, headers))
                    entry = self.request("GET", f"{OURS}/audit?limit=1").json()["items"][0]
                    self.assertEqual((entry["event"], entry["force"]), ("write", "disruptive"))
        for path in (DEFAULT, f"{SECRETS}/mesh"):
            self.assertNotIn(FORCE, self.request("GET", path).body.decode())
        self.assertIn("force=disruptive", self.service.log())

    def test_a_deletion_is_forced_in_the_query_or_header(self):
        for path, headers in ((f"{SECRETS}/mesh?force=disruptive", {}), (f"{GROUP}/nodes", {"Bgppeerd-Force": "disruptive"})):
            self.done(self.request("DELETE", path, None, headers))
        self.assertEqual(self.request("GET", f"{GROUP}/nodes").json()["items"], [])
        undone(self.service)
        self.build()

    def test_what_cannot_be_forced_is_said(self):
        for path, headers in ((DEFAULT + "?force=yes", {}), (DEFAULT + "?force=", {}), (DEFAULT + "?force=disruptive,disruptive", {}),
                              (DEFAULT, {"Bgppeerd-Force": "true"})):
            answer = self.request("PATCH", path, {"spec": {"asNumber": 64999}}, {**MERGE, **headers})
            self.assertEqual(answer.status, 400, answer.body)
            self.assertIn("disruptive, frozen", answer.json()["message"])
        for force in ("yes", "", "Disruptive", "disruptive,"):
            answer = self.request("PUT", DEFAULT, with_annotation(configuration(64999), force))
            self.assertEqual(answer.status, 400, answer.body)
            self.assertIn(FORCE, answer.json()["message"])
        answer = self.request("POST", f"{OURS}/applies", change_set({"op": "delete", "kind": "Node", "name": "n01"}, force="yes"))
        self.assertEqual(answer.status, 422, answer.body)
        self.assertEqual(answer.json()["details"]["causes"][0]["field"], "spec.force")
        self.assertEqual(self.request("POST", f"{OURS}/applies?force=true", [configuration(64999)]).status, 400)
        # Kubernetes' own word, of a server-side apply, forces nothing.
        self.refused(self.request("PATCH", DEFAULT + "?force=true", {"spec": {"asNumber": 64999}}, MERGE))

    def test_what_kubectl_notes_forgets_the_annotation(self):
        body = with_annotation(configuration(64777))
        body["metadata"]["annotations"].update({"note": "kept", LAST_APPLIED: json.dumps(body, separators=(",", ":")) + "\n"})
        stored = self.done(self.request("PUT", DEFAULT, body))
        annotations = stored["metadata"]["annotations"]
        self.assertEqual(annotations["note"], "kept")
        noted = json.loads(annotations[LAST_APPLIED])
        self.assertEqual((noted["metadata"]["annotations"], noted["spec"]["asNumber"]), ({}, 64777))
        # Said again it changes nothing, and nothing says it the next time.
        again = self.done(self.request("PUT", DEFAULT, body))
        self.assertEqual(again["metadata"]["resourceVersion"], stored["metadata"]["resourceVersion"])
        self.refused(self.request("PATCH", DEFAULT, {"spec": {"asNumber": 64778}}, MERGE))

    def test_previews_say_that_it_would_be_refused(self):
        for name, (method, path, body, headers) in disruptive_writes(5).items():
            with self.subTest(name):
                path = path.replace("/applies", "/previews") + ("?dryRun=All" + ("" if "bgppeerd.io" in path else "&preview=peerings"))
                preview = self.done(self.request(method, path, body, headers))
                self.assertEqual(preview["refused"]["reason"], "TooDisruptive")
                self.assertIn(f"{SESSIONS} of the fleet's {SESSIONS}", preview["refused"]["message"])
                self.assertTrue([text for text in preview["warnings"] if text.startswith("it would be refused (TooDisruptive)")])
                forced = self.done(self.request(method, path + "&force=disruptive", body, headers))
                self.assertNotIn("refused", forced)
                self.assertFalse([text for text in forced["warnings"] if "would be refused" in text])

    def test_neighbours_are_judged_by_themselves(self):
        """Writes that come together: what is refused takes no other with it, and small ones do not add up."""
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            for attempt in range(3):
                bad = [pool.submit(self.request, "PATCH", DEFAULT, {"spec": {"asNumber": 64800 + attempt}}, MERGE) for _ in range(8)]
                good = [pool.submit(self.request, "PATCH", f"{GROUP}/nodes/n{number:02}", {"spec": {"bgp": {"routerID": f"203.0.113.{20 * attempt + number}"}}}, MERGE)
                        for number in range(1, NODES + 1)]
                for answer in bad:
                    self.refused(answer.result())
                for answer in good:
                    self.done(answer.result())
        everything = [{"op": "patch", "kind": "Node", "selector": "all()", "patch": {"spec": {"bgp": {"routerID": None}}}}]
        self.refused(self.request("POST", f"{OURS}/applies", change_set(*everything)))
        self.done(self.request("POST", f"{OURS}/applies", change_set(*everything, force="disruptive")))


class BoundsTest(unittest.TestCase):
    """Deleting k of n nodes disrupts 2k(n-1) - k(k-1) of n(n-1) sessions."""

    def service(self, sessions, percent):
        class Bounded(Fleet):
            arguments = ("--max-disruptive-sessions", str(sessions), "--max-disruptive-percent", str(percent))
        Bounded.setUpClass()
        self.addCleanup(Bounded.service.close)
        return Bounded.service

    def delete(self, service, count, refused):
        changes = [{"op": "delete", "kind": "Node", "name": f"n{number:02}"} for number in range(1, count + 1)]
        answer = service.request("POST", f"{OURS}/applies?dryRun=All", change_set(*changes))
        self.assertEqual(answer.status, 409 if refused else 200, answer.body)

    def test_the_number_of_sessions(self):
        one = 2 * (NODES - 1)
        for sessions, refused in ((one - 1, True), (one, False), (one + 1, False)):
            self.delete(self.service(sessions, 1), 1, refused)

    def test_the_share_of_the_fleet(self):
        two = 2 * 2 * (NODES - 1) - 2  # 42 of 132: 31.8 %
        for percent, refused in ((31, True), (32, False)):
            self.delete(self.service(1, percent), 2, refused)
        self.assertEqual(two * 100 // SESSIONS, 31)

    def test_it_can_be_switched_off(self):
        for arguments in ((0, 25), (50, 0)):
            service = self.service(*arguments)
            answer = service.request("PATCH", DEFAULT, {"spec": {"asNumber": 64999}}, MERGE)
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual(service.request("DELETE", f"{GROUP}/nodes").status, 200)

    def test_a_collection_is_judged_as_one(self):
        service = self.service(50, 25)
        for number in range(1, NODES + 1):
            answer = service.request("DELETE", f"{GROUP}/nodes/n{number:02}?dryRun=All")
            self.assertEqual(answer.status, 200, "each by itself is few")
        answer = service.request("DELETE", f"{GROUP}/nodes?labelSelector=half%3D1")
        self.assertEqual((answer.status, answer.json()["reason"]), (409, "TooDisruptive"))
        self.assertEqual(len(service.request("GET", f"{GROUP}/nodes").json()["items"]), NODES)
        answer = service.request("DELETE", f"{GROUP}/nodes?labelSelector=half%3D1&force=disruptive")
        self.assertEqual(answer.status, 200, answer.body)
        left = service.request("GET", f"{GROUP}/nodes").json()["items"]
        self.assertEqual(len(left), NODES // 2)
        self.assertEqual(service.request("DELETE", f"{GROUP}/nodes").status, 200, "30 sessions are few")


class RolesTest(Fleet):
    auth = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tokens = {"admin": cls.service.token}
        for name, spec in (("operator", {"role": "operator"}), ("other", {"role": "operator"}), ("viewer", {"role": "viewer"}),
                           ("node", {"role": "node", "node": "n01"})):
            cls.tokens[name] = cls.service.request("POST", f"{OURS}/tokens", {"spec": spec}).json()["status"]["token"]

    def as_(self, who, method, path, body=None, headers=None):
        return self.service.request(method, path, body, {**(headers or {}), "Authorization": f"Bearer {self.tokens[who]}"})

    def tearDown(self):
        self.done(self.as_("admin", "DELETE", f"{OURS}/freeze"))

    def test_who_may_force_what(self):
        address = {"spec": {"bgp": {"ipv4Address": "192.0.2.201/24"}}}
        for force, allowed in (("disruptive", ("operator", "admin")), ("frozen", ("admin",)), ("disruptive,frozen", ("admin",))):
            for who in ("node", "operator", "admin"):
                for path, headers in ((f"?force={force}", {}), ("", {"Bgppeerd-Force": force})):
                    answer = self.as_(who, "PATCH", f"{GROUP}/nodes/n01{path}", address, {**MERGE, **headers})
                    self.assertEqual(answer.status, 200 if who in allowed else 403, (who, force, answer.body))
                answer = self.as_(who, "PATCH", f"{GROUP}/nodes/n01", {**address, "metadata": {"annotations": {FORCE: force}}}, MERGE)
                self.assertEqual(answer.status, 200 if who in allowed else 403, (who, force, answer.body))
        answer = self.as_("operator", "POST", f"{OURS}/applies", change_set({"op": "patch", "kind": "Node", "name": "n01", "patch": address}, force="frozen"))
        self.assertEqual(answer.status, 403, answer.body)

    def test_who_may_freeze(self):
        freeze = {"reason": "holidays"}
        for who, status in (("viewer", 403), ("node", 403), ("operator", 200)):
            self.assertEqual(self.as_(who, "PUT", f"{OURS}/freeze", freeze).status, status)
        for who in ("viewer", "operator", "other", "admin"):
            self.assertIs(self.done(self.as_(who, "GET", f"{OURS}/freeze"))["frozen"], True)
        for method in ("PUT", "DELETE"):
            answer = self.as_("other", method, f"{OURS}/freeze", freeze if method == "PUT" else None)
            self.assertEqual(answer.status, 403)
            self.assertIn("frozen by token:", answer.json()["message"])
        self.assertIs(self.done(self.as_("operator", "DELETE", f"{OURS}/freeze"))["frozen"], False)
        self.done(self.as_("operator", "PUT", f"{OURS}/freeze", freeze))
        self.done(self.as_("admin", "PUT", f"{OURS}/freeze", {"reason": "audit"}))
        self.assertEqual(self.as_("operator", "DELETE", f"{OURS}/freeze").status, 403)
        events = [(entry["verb"], entry.get("name")) for entry in self.done(self.as_("admin", "GET", f"{OURS}/audit?event=freeze&limit=2"))["items"]]
        self.assertEqual(events[0], ("update", "audit"))

    def test_refusals_do_not_help_guessing_passwords(self):
        """A write with the stored value changes nothing and is taken; others are refused, but not often."""
        statuses = []
        for guess in range(70):
            statuses.append(self.as_("other", "PATCH", f"{SECRETS}/mesh", {"stringData": {"password": f"guess-{guess}"}}, MERGE).status)
        self.assertEqual(statuses[0], 409)
        self.assertIn(429, statuses)
        for _ in range(70):
            self.done(self.as_("operator", "PATCH", f"{SECRETS}/mesh", {"stringData": {"password": "one"}}, MERGE))


class OwnNodeTest(Fleet):
    """What a node writes about itself: its address is in a sixth of the mesh's sessions."""
    arguments = ("--max-disruptive-sessions", "10", "--max-disruptive-percent", "10")
    auth = True

    def test_a_node_is_judged_as_everybody_and_cannot_force(self):
        token = self.service.request("POST", f"{OURS}/tokens", {"spec": {"role": "node", "node": "n01"}}).json()["status"]["token"]
        change = ("PATCH", f"{GROUP}/nodes/n01", {"spec": {"bgp": {"ipv4Address": "192.0.2.201/24"}}})
        status = self.refused(self.request(*change, {**MERGE, "Authorization": f"Bearer {token}"}))
        self.assertIn(f"22 of the fleet's {SESSIONS} sessions (16 %", status["message"])
        self.assertEqual(self.request(*change, {**MERGE, "Authorization": f"Bearer {token}", "Bgppeerd-Force": "disruptive"}).status, 403)
        self.done(self.request(*change, {**MERGE, "Bgppeerd-Force": "disruptive"}))


class FreezeTest(Fleet):
    def setUp(self):
        self.thaw()

    def thaw(self):
        self.assertEqual(self.done(self.request("DELETE", f"{OURS}/freeze")), {"apiVersion": "bgppeerd.io/v1", "kind": "Freeze", "frozen": False})

    def freeze(self, reason="nobody touches anything", **more):
        return self.done(self.request("PUT", f"{OURS}/freeze", {"reason": reason, **more}))

    def test_it_is_shown(self):
        self.assertIn("[+]freeze ok", self.request("GET", "/readyz?verbose").body.decode())
        shown = self.freeze(until="2099-01-01T00:00:00Z")
        self.assertEqual({key: shown[key] for key in ("kind", "frozen", "reason", "user", "until")},
                         {"kind": "Freeze", "frozen": True, "reason": "nobody touches anything", "user": "anonymous", "until": "2099-01-01T00:00:00Z"})
        self.assertEqual(self.done(self.request("GET", f"{OURS}/freeze")), shown)
        self.assertEqual(self.metric("bgppeerd_frozen"), 1)
        text = self.request("GET", "/readyz?verbose").body.decode()
        self.assertIn("until 2099-01-01T00:00:00Z", text)
        self.assertNotIn("nobody touches anything", text, "that is public")
        self.assertEqual(self.request("GET", "/readyz").body, b"ok\n")
        self.thaw()
        self.assertEqual(self.metric("bgppeerd_frozen"), 0)

    def test_what_changes_sessions_is_refused(self):
        self.freeze("change window closed", until="2099-01-01T00:00:00Z")
        version = self.version()
        small = {"one node": ("PATCH", f"{GROUP}/nodes/n01", {"spec": {"bgp": {"asNumber": 64700}}}, MERGE),
                 "a new node": ("POST", f"{GROUP}/nodes", node(99), {}),
                 "a new session": ("POST", f"{GROUP}/bgppeers", document("BGPPeer", "tor", {"node": "n01", "peerIP": "198.51.100.1", "asNumber": 64600}), {}),
                 "delete": ("DELETE", f"{GROUP}/nodes/n02", None, {}), "collection": ("DELETE", f"{GROUP}/nodes?fieldSelector=metadata.name%3Dn02", None, {})}
        for name, (method, path, body, headers) in {**disruptive_writes(6), **small}.items():
            with self.subTest(name):
                status = self.refused(self.request(method, path, body, headers), "Frozen")
                for text in ("frozen by anonymous since 20", "until 2099-01-01T00:00:00Z", "change window closed", "DELETE /apis/bgppeerd.io/v1/freeze", "force=frozen"):
                    self.assertIn(text, status["message"])
                self.refused(self.request(method, path + ("&" if "?" in path else "?") + "force=disruptive", body, headers), "Frozen")
        self.assertEqual(self.version(), version)
        self.assertGreater(self.metric("bgppeerd_writes_refused_total", reason="Frozen"), 0)
        preview = self.done(self.request("PATCH", f"{GROUP}/nodes/n01?dryRun=All&preview=peerings", {"spec": {"bgp": {"asNumber": 64700}}}, MERGE))
        self.assertEqual(preview["refused"]["reason"], "Frozen")
        # One over the brake needs both words.
        method, path, body, headers = disruptive_writes(7)["merge patch"]
        self.refused(self.request(method, path + "?force=frozen", body, headers))
        self.done(self.request(method, path + "?force=disruptive,frozen", body, headers))
        self.done(self.request("PATCH", f"{GROUP}/nodes/n01?force=frozen", {"spec": {"bgp": {"asNumber": 64701}}}, MERGE))
        self.assertEqual(self.request("GET", f"{OURS}/audit?limit=1").json()["items"][0]["force"], "frozen")
        self.assertEqual(self.metric("bgppeerd_frozen"), 1)

    def test_what_changes_no_session_goes_on(self):
        self.freeze()
        self.done(self.request("PATCH", f"{GROUP}/nodes/n01", {"metadata": {"labels": {"rack": "r1"}, "annotations": {"a": "b"}}}, MERGE))
        self.done(self.request("POST", f"{GROUP}/bgpfilters", document("BGPFilter", "unused", {})))
        self.done(self.request("POST", SECRETS, {"metadata": {"name": "unused"}, "stringData": {"a": "b"}}))
        self.done(self.request("POST", f"{GROUP}/bgppeers", document("BGPPeer", "nobody", {"nodeSelector": "rack == 'none'", "peerIP": "198.51.100.9", "asNumber": 64600})))
        for path in (f"{GROUP}/bgpfilters/unused", f"{SECRETS}/unused", f"{GROUP}/bgppeers/nobody"):
            self.done(self.request("DELETE", path))

    def test_it_outlives_a_restart(self):
        shown = self.freeze(until="2099-01-01T00:00:00Z")
        self.service.stop()
        self.service.start()
        self.assertEqual(self.done(self.request("GET", f"{OURS}/freeze")), shown)
        self.refused(self.request("DELETE", f"{GROUP}/nodes/n02"), "Frozen")
        self.thaw()
        self.service.kill()
        self.service.start()
        self.assertIs(self.done(self.request("GET", f"{OURS}/freeze"))["frozen"], False)

    def test_it_ends_by_itself(self):
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
        self.freeze(until=until.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        change = ("PATCH", f"{GROUP}/nodes/n03", {"spec": {"bgp": {"asNumber": 64703}}}, MERGE)
        first = self.request(*change)
        if datetime.datetime.now(datetime.timezone.utc) < until:
            self.refused(first, "Frozen")
        while self.request("GET", f"{OURS}/freeze").json()["frozen"]:
            time.sleep(0.05)
        self.assertGreaterEqual(datetime.datetime.now(datetime.timezone.utc), until)
        self.done(self.request(*change))

    def test_bad_freezes_are_refused(self):
        for body, status, text in (({}, 422, "reason"), ({"reason": ""}, 422, "reason"), ({"reason": "two\nlines"}, 422, "one line"), ({"reason": "x" * 513}, 422, "512"),
                                   ({"reason": "x", "until": "tomorrow"}, 422, "until"), ({"reason": "x", "until": "2001-01-01T00:00:00Z"}, 422, "to come"),
                                   ({"reason": "x", "till": "2099-01-01T00:00:00Z"}, 400, "till"), ("", 400, "empty"), ("[", 400, "")):
            answer = self.request("PUT", f"{OURS}/freeze", body, {"Content-Type": "application/json"})
            self.assertEqual(answer.status, status, (body, answer.body))
            self.assertIn(text, answer.json()["message"])
        self.assertIs(self.done(self.request("GET", f"{OURS}/freeze"))["frozen"], False)


if __name__ == "__main__":
    unittest.main()
