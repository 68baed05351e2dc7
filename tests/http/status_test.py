"""What sessions really do: agents' reports, verdicts over HTTP, the fleet's sessions, convergence, transitions.

Agents are simulated: they fetch their lists and report what a daemon that took them would do.
"""
import threading
import time
import unittest

from service import Service
from wire import GROUP, OURS, ServiceTest

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
NOW = "2026-01-01T00:00:00Z"


class Agent:
    """The agent of one node, with a daemon that takes every list at once."""

    def __init__(self, service, node, token=None):
        self.service, self.node, self.sequence, self.boot = service, node, 0, f"boot-of-{node}"
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.path = f"{GROUP}/nodes/{node}/peerings"
        self.sessions, self.list, self.changes = [], None, {}

    def fetch(self):
        answer = self.service.request("GET", self.path, None, self.headers)
        assert answer.status == 200, answer.body
        self.list = answer.headers["ETag"].strip('"').removesuffix("-p")
        self.sessions = [{"peerIP": item["peerIP"], "port": item.get("port", 179), "state": "Established", "since": NOW,
                          "transitions": 1, "received": 5, "sent": 2, "holdTimeSeconds": 90} for item in answer.json()["items"]]
        return self

    def session(self, peer):
        return next(session for session in self.sessions if session["peerIP"] == peer)

    def report(self, **members):
        self.sequence += 1
        body = {"apiVersion": "bgppeerd.io/v1", "kind": "PeeringStatus", "list": self.list, "appliedAt": NOW,
                "agent": {"version": "1", "daemon": "BIRD 2.0.12", "boot": self.boot, "sequence": self.sequence},
                "sessions": self.sessions, **members}
        return self.service.request("PUT", f"{self.path}/status", {name: value for name, value in body.items() if value is not None},
                                    self.headers)


class FleetTest(ServiceTest):
    """Two nodes that peer with each other, and one with a switch, for each test by itself."""

    def fleet(self, name, subnet):
        nodes = [f"{name}-1", f"{name}-2"]
        for number, node in enumerate(nodes, 1):
            self.create_node(node, f"{subnet}.{number}/24", {"fleet": name})
        self.create_peer(f"{name}-tor", node=nodes[0], peerIP=f"{subnet}.254", asNumber=64999)
        agents = [Agent(self.service, node).fetch() for node in nodes]
        for agent in agents:
            self.assertEqual(agent.report().status, 200)
        return agents

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.service.request("POST", f"{GROUP}/bgpconfigurations", {"metadata": {"name": "default"}, "spec": {"nodeToNodeMeshEnabled": True}})

    def rows(self, node):
        answer = self.request("GET", f"{GROUP}/nodes/{node}/peerings/status")
        self.assertEqual(answer.status, 200, answer.body)
        return {row["peerIP"]: row for row in answer.json()["items"]}

    def sessions(self, query):
        answer = self.request("GET", f"{OURS}/sessions?{query}")
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()["items"]


class StatusTest(FleetTest):
    def test_both_ends_up(self):
        one, two = self.fleet("up", "10.10.1")
        rows = self.rows(one.node)
        self.assertEqual(rows["10.10.1.254"]["verdict"], "Up")
        row = rows["10.10.1.2"]
        self.assertEqual((row["verdict"], row["here"]["state"], row["there"]["state"]), ("Up", "Established", "Established"))
        self.assertEqual(row["desired"]["origin"]["remoteNode"], two.node)
        self.assertNotIn("message", row)
        status = self.request("GET", f"{GROUP}/nodes/{one.node}/peerings/status").json()["status"]
        self.assertEqual((status["list"], status["applied"], status["daemon"]), ("current", one.list, "BIRD 2.0.12"))

    def test_a_fault_is_named_at_both_ends(self):
        one, two = self.fleet("fault", "10.10.2")
        one.session("10.10.2.2").update(state="Idle", lastError={"code": "OpenMessage/BadPeerAS", "from": "Local", "at": "2026-02-01T00:00:00Z"})
        two.session("10.10.2.1").update(state="Active")
        self.assertEqual((one.report().status, two.report().status), (200, 200))
        for node, peer in ((one.node, "10.10.2.2"), (two.node, "10.10.2.1")):
            row = self.rows(node)[peer]
            self.assertEqual(row["verdict"], "Down")
            self.assertEqual(row["message"], f"wrong AS at the far end, as {one.node} sees it (Bad Peer AS)")
        self.assertEqual(self.rows(one.node)["10.10.2.254"]["verdict"], "Up")

    def test_the_kernels_counters_tell_a_wrong_password(self):
        one, two = self.fleet("md5", "10.10.3")
        counters = {"md5Failure": 3, "md5NotFound": 0, "md5Unexpected": 0, "minTTLDrop": 0}
        one.report(kernel=counters)
        one.session("10.10.3.2").update(state="Connect")
        two.session("10.10.3.1").update(state="Connect")
        one.report(kernel={**counters, "md5Failure": 9})
        two.report()
        self.assertIn("passwords differ", self.rows(two.node)["10.10.3.1"]["message"])

    def test_what_ended_a_session_does_not_say_why_it_stays_down(self):
        """A Cease is the last word of a daemon whose password was changed; from then on only the kernel knows more."""
        one, _ = self.fleet("cease", "10.10.16")
        counters = {"md5Failure": 0, "md5NotFound": 0, "md5Unexpected": 0, "minTTLDrop": 0}
        one.session("10.10.16.254").update(state="Idle", lastError={
            "code": "Cease/OtherConfigurationChange", "from": "Remote", "at": "2026-02-01T00:00:00Z"})
        one.report(kernel=counters)
        self.assertEqual(self.rows(one.node)["10.10.16.254"]["message"], f"the far end of {one.node} closed it")
        one.session("10.10.16.254").update(state="Connect")
        one.report(kernel={**counters, "md5Failure": 1})
        words = f"passwords differ: {one.node} drops segments whose signature does not match"
        self.assertEqual(self.rows(one.node)["10.10.16.254"]["message"], words)
        one.session("10.10.16.254").update(state="Active")
        one.report(kernel={**counters, "md5Failure": 1})
        self.assertEqual(self.rows(one.node)["10.10.16.254"]["message"], words, "it is still down, for no other reason")

    def test_a_list_that_is_not_applied(self):
        one, two = self.fleet("late", "10.10.4")
        self.create_peer("late-more", node=one.node, peerIP="10.10.4.253", asNumber=64998)
        rows = self.rows(one.node)
        self.assertEqual(rows["10.10.4.253"]["verdict"], "Converging")
        self.assertEqual(rows["10.10.4.253"]["message"], f"list not yet applied by {one.node}")
        self.assertEqual(rows["10.10.4.2"]["verdict"], "Up", "a session that did not change is what it was")
        one.fetch().report(applyError="bird.conf:7:1 syntax error", list="0123")
        self.assertEqual(self.rows(one.node)["10.10.4.253"]["verdict"], "Down")
        self.assertIn("bird.conf:7:1 syntax error", self.rows(one.node)["10.10.4.253"]["message"])

    def test_a_node_that_nobody_has_heard_of(self):
        self.create_node("quiet-1", "10.10.5.1/24")
        for row in self.rows("quiet-1").values():
            self.assertEqual(row["verdict"], "Unknown")
            self.assertIn("nothing was heard of quiet-1", row["message"])
        self.assertEqual(self.request("GET", f"{GROUP}/nodes/quiet-1/peerings/status").json()["status"]["list"], "silent")

    def test_ends_that_do_not_fit_are_told_before_anybody_reports(self):
        self.create_node("unfit-1", "10.10.14.1/24", {"fleet": "unfit"})
        self.create_node("unfit-2", "10.10.14.2/24", {"fleet": "unfit"})
        self.create_peer("unfit", node="unfit-1", peerIP="10.10.14.2", asNumber=64777, reversePeering="Manual")
        one = Agent(self.service, "unfit-1").fetch()
        self.assertEqual(one.report().status, 200)
        row = self.rows("unfit-1")["10.10.14.2"]
        self.assertEqual(row["verdict"], "Incompatible")
        self.assertEqual(row["message"], "AS numbers differ: AS 64777 is expected of unfit-2, which is AS 64512")

    def test_same(self):
        one, _ = self.fleet("same", "10.10.6")
        answer = one.report().json()
        self.assertEqual(answer["result"], "Unchanged")
        digest = answer["digest"]
        self.assertEqual(one.report(same=digest, sessions=None).json()["result"], "Unchanged")
        self.assertEqual(one.report(same="0" * 32, sessions=None).status, 409)
        one.sequence -= 3
        self.assertEqual(one.report().json()["result"], "Outdated")

    def test_two_agents_for_one_node(self):
        one, _ = self.fleet("twice", "10.10.15")
        path = f"{GROUP}/nodes/{one.node}/peerings/status"
        other = Agent(self.service, one.node).fetch()
        other.boot = "boot-of-another-host"
        self.assertEqual(other.report().status, 200)
        self.assertNotIn("problems", self.request("GET", path).json()["status"], "one that takes over is no problem")
        self.assertEqual(one.report().status, 200)
        problem, = self.request("GET", path).json()["status"]["problems"]
        self.assertEqual(problem["reason"], "TwoAgents")
        self.assertIn(f'two agents report for node "{one.node}" in turns', problem["message"])

    def test_bad_reports(self):
        one, _ = self.fleet("bad", "10.10.7")
        session = one.sessions[0]
        for change, code, words in (
                ({"sessions": [{**session, "peerIP": "no"}]}, 422, "sessions[0].peerIP: not an IP address"),
                ({"sessions": [{**session, "port": 0}]}, 422, "sessions[0].port"),
                ({"sessions": [session, {**session, "state": "Up"}]}, 422, "sessions[1].state: not one of Idle"),
                ({"sessions": [{**session, "since": "today"}]}, 422, "sessions[0].since: not a time"),
                ({"sessions": [{**session, "received": -1}]}, 422, "sessions[0].received"),
                ({"sessions": [{**session, "lastError": {"code": "Cease", "from": "Me"}}]}, 422, "lastError.from"),
                ({"sessions": [{**session, "sendt": 1}]}, 400, 'did you mean "sessions[0].sent"'),
                ({"agent": {"version": "1"}}, 422, "agent.boot"),
                ({"agent": {"boot": "b"}}, 422, "agent.sequence"),
                ({"kind": "Node"}, 400, "PeeringStatus"),
                ({"sessions": [session] * 4097}, 413, None)):
            with self.subTest(words or code):
                while (answer := one.report(**change)).status == 429:  # the limit of reports is ten a second
                    time.sleep(0.05)
                status = self.assert_status(answer, code)
                if words:
                    self.assertIn(words, status["message"])
        self.assert_status(Agent(self.service, "nobody").report(), 404, "NotFound")
        self.assertEqual(self.rows(one.node)["10.10.7.2"]["verdict"], "Up", "nothing of it was taken")

    def test_reports_that_come_too_often(self):
        one, _ = self.fleet("often", "10.10.8")
        answers = [one.report() for _ in range(60)]
        self.assertIn(429, [answer.status for answer in answers])
        limited = next(answer for answer in answers if answer.status == 429)
        self.assertGreaterEqual(int(limited.headers["Retry-After"]), 1)

    def test_sessions_of_the_fleet(self):
        one, two = self.fleet("all", "10.10.9")
        items = self.sessions("labelSelector=fleet%3Dall")
        keys = [(item["node"], item["peerIP"]) for item in items]
        self.assertIn((one.node, "10.10.9.2"), keys)
        self.assertIn((two.node, "10.10.9.1"), keys)
        self.assertEqual(keys, sorted(keys, key=lambda key: (key[0], [int(part) for part in key[1].split(".")])))
        tor = self.sessions("labelSelector=fleet%3Dall&bgpPeer=all-tor")
        self.assertEqual([(item["node"], item["peerIP"], item["asNumber"], item["type"]) for item in tor],
                         [(one.node, "10.10.9.254", 64999, "external")])
        self.assertEqual(self.sessions("labelSelector=fleet%3Dall&state=Idle"), [])
        self.assertEqual(len(self.sessions("labelSelector=fleet%3Dall&verdict=Up&bgpPeer=all-tor")), 1)
        # Pages are whole nodes, and together they are everything, each once.
        seen, token = [], ""
        while token is not None:
            page = self.request("GET", f"{OURS}/sessions?limit=1&continue={token}").json()
            seen += [(item["node"], item["peerIP"]) for item in page["items"]]
            token = page["metadata"].get("continue")
        self.assertEqual(len(seen), len(set(seen)))
        self.assertTrue(set(keys) <= set(seen))
        for query, words in (("verdict=up", "is not one of Up"), ("state=Nope", "is not one of Idle"), ("limit=0", "limit=0"),
                             ("labelSelector=a%20in", "labelSelector")):
            self.assertIn(words, self.assert_status(self.request("GET", f"{OURS}/sessions?{query}"), 400)["message"])
        self.assert_status(self.request("GET", f"{OURS}/sessions?node=nobody"), 404)

    def test_sessions_as_a_table(self):
        one, _ = self.fleet("table", "10.10.11")
        answer = self.request("GET", f"{OURS}/sessions?node={one.node}&bgpPeer=table-tor", None, {"Accept": TABLE}).json()
        self.assertEqual(answer["kind"], "Table")
        names = [column["name"] for column in answer["columnDefinitions"]]
        self.assertEqual(names[:10], ["Node", "Peer", "Remote node", "AS", "State", "Other end", "Verdict", "Uptime", "In", "Out"])
        cells = dict(zip(names, answer["rows"][0]["cells"]))
        self.assertEqual((cells["Node"], cells["Peer"], cells["Other end"], cells["Verdict"], cells["In"], cells["BGPPeer"]),
                         (one.node, "10.10.11.254", "external", "Up", 5, "table-tor"))
        groups = [group["name"] for group in self.request("GET", "/apis").json()["groups"]]
        self.assertEqual(groups, ["projectcalico.org", "bgppeerd.io"])
        resources = {resource["name"]: resource for resource in self.request("GET", "/apis/bgppeerd.io/v1").json()["resources"]}
        self.assertEqual((resources["sessions"]["kind"], resources["sessions"]["verbs"]), ("Session", ["list", "watch"]))

    def test_nodes_as_a_table(self):
        one, _ = self.fleet("column", "10.10.16")
        self.create_node("column-3", "10.10.16.3/24", {"fleet": "column"})

        def columns():
            table = self.request("GET", f"{GROUP}/nodes?labelSelector=fleet%3Dcolumn", None, {"Accept": TABLE}).json()
            names = [column["name"] for column in table["columnDefinitions"]]
            rows = [dict(zip(names, row["cells"])) for row in table["rows"]]
            return [(row["Name"], row["Sessions"], row["List"]) for row in rows]

        def until(wanted):
            end = time.monotonic() + 60
            while columns() != wanted:
                self.assertLess(time.monotonic(), end, f"{columns()} does not become {wanted}")
                time.sleep(0.05)

        def wants(node):
            return len(self.request("GET", f"{GROUP}/nodes/{node}/peerings").json()["items"])

        first, second, third = (wants(f"column-{number}") for number in (1, 2, 3))
        until([("column-1", f"2/{first}", "behind"), ("column-2", f"1/{second}", "behind"), ("column-3", f"0/{third}", "silent")])
        one.session("10.10.16.254").update(state="Idle")
        one.fetch().report()
        one.session("10.10.16.254").update(state="Idle", lastError={"code": "Cease/AdministrativeShutdown", "from": "Remote", "at": NOW})
        one.report()
        until([("column-1", f"1/{first}", "current"), ("column-2", f"1/{second}", "behind"), ("column-3", f"0/{third}", "silent")])

    def test_a_node_that_is_deleted_and_made_again(self):
        one, two = self.fleet("again", "10.10.13")
        self.assertEqual(self.request("DELETE", f"{GROUP}/nodes/{two.node}").status, 200)
        self.assert_status(self.request("GET", f"{GROUP}/nodes/{two.node}/peerings/status"), 404)
        self.create_node(two.node, "10.10.13.2/24", {"fleet": "again"})
        self.assertEqual(self.rows(two.node)["10.10.13.1"]["verdict"], "Unknown", "it is another node")


class TransitionsTest(FleetTest):
    def until(self, condition, seconds=30):
        end = time.monotonic() + seconds
        while not (value := condition()):
            self.assertLess(time.monotonic(), end, "it did not become so")
            time.sleep(0.05)
        return value

    def test_transitions(self):
        one, two = self.fleet("moves", "10.10.12")

        def moved():
            return self.request("GET", f"{OURS}/transitions?node={one.node}&peer=10.10.12.254").json()["items"]

        # The first verdict of all is none; what comes after it is.
        self.until(lambda: 'bgppeerd_session_verdicts{verdict="Up",type="external"} 1' in self.request("GET", "/metrics").body.decode())
        one.session("10.10.12.254").update(state="Idle", lastError={"code": "Cease/AdministrativeShutdown", "from": "Remote", "at": NOW})
        one.report()
        items = self.until(moved)
        self.assertEqual((items[0]["node"], items[0]["peerIP"], items[0]["from"], items[0]["to"]), (one.node, "10.10.12.254", "Up", "Down"))
        self.assertIn("shut down by hand at the far end", items[0]["message"])
        one.session("10.10.12.254").update(state="Established")
        one.report()
        items = self.until(lambda: moved() if len(moved()) == 2 else None)
        self.assertEqual([item["to"] for item in items], ["Up", "Down"])
        page = self.request("GET", f"{OURS}/transitions?node={one.node}&peer=10.10.12.254&limit=1").json()
        rest = self.request("GET", f"{OURS}/transitions?node={one.node}&peer=10.10.12.254&continue={page['metadata']['continue']}").json()
        self.assertEqual(page["items"] + rest["items"], items)
        self.assert_status(self.request("GET", f"{OURS}/transitions?since=yesterday"), 400)
        table = self.request("GET", f"{OURS}/transitions?node={one.node}&peer=10.10.12.254", None, {"Accept": TABLE}).json()
        names = [column["name"] for column in table["columnDefinitions"]]
        self.assertEqual(names, ["Time", "Node", "Peer", "Remote node", "From", "To", "Age", "Folded", "Message"])
        self.assertEqual([row["cells"][1:6] for row in table["rows"]],
                         [[one.node, "10.10.12.254", "-", "Down", "Up"], [one.node, "10.10.12.254", "-", "Up", "Down"]])
        metrics = self.request("GET", "/metrics").body.decode()
        self.assertIn('bgppeerd_session_transitions_total{to="Down"} 1', metrics)
        self.assertIn('bgppeerd_nodes_reporting{state="current"} 2', metrics)


    def test_they_survive_a_restart_which_makes_none(self):
        def figure(name):
            return next(int(line.split()[-1]) for line in service.request("GET", "/metrics").body.decode().splitlines() if line.startswith(name))

        def rows():
            return service.request("GET", f"{OURS}/transitions").json()["items"]

        with Service() as service:
            service.request("POST", f"{GROUP}/nodes", {"metadata": {"name": "n1"}, "spec": {"bgp": {"ipv4Address": "10.0.0.1"}}})
            service.request("POST", f"{GROUP}/bgppeers", {"metadata": {"name": "p"}, "spec": {"peerIP": "192.0.2.9", "asNumber": 64999}})
            agent = Agent(service, "n1").fetch()
            agent.report()
            self.until(lambda: figure('bgppeerd_session_verdicts{verdict="Up",type="external"}') == 1)
            commits = figure("bgppeerd_store_commit_duration_seconds_count")
            agent.sessions[0].update(state="Idle", lastError={"code": "Cease/AdministrativeShutdown", "from": "Remote", "at": NOW})
            agent.report()
            self.until(lambda: figure("bgppeerd_transitions_stored_total") == 1)
            before = rows()
            self.assertEqual([(row["from"], row["to"]) for row in before], [("Up", "Down")])
            self.assertEqual(figure("bgppeerd_store_commit_duration_seconds_count"), commits + 1)
            for _ in range(10):
                agent.report()
            service.stop()
            service.start()
            self.assertEqual(rows(), before)
            self.assertEqual(service.request("GET", f"{OURS}/sessions").json()["items"][0]["verdict"], "Unknown")
            # Its agent goes on; what comes next is the next row, and there is none between.
            agent.fetch().report()
            self.until(lambda: figure('bgppeerd_session_verdicts{verdict="Up",type="external"}') == 1)
            agent.sessions[0].update(state="Idle", lastError={"code": "Cease/AdministrativeShutdown", "from": "Remote", "at": NOW})
            agent.report()
            after = self.until(lambda: rows() if len(rows()) > 1 else None)
            self.assertEqual([row["sequence"] for row in after], [2, 1])
            self.until(lambda: figure("bgppeerd_transitions_stored_total") == 1)


class ConvergenceTest(unittest.TestCase):
    def test_who_may_do_what_and_who_has_what(self):
        with Service(auth=True) as service:
            for number in (1, 2, 3):
                service.request("POST", f"{GROUP}/nodes", {"metadata": {"name": f"n{number}"}, "spec": {"bgp": {"ipv4Address": f"10.0.0.{number}"}}})

            def token(role, node=None):
                spec = {"role": role, **({"node": node} if node else {})}
                return service.request("POST", f"{OURS}/tokens", {"spec": spec}).json()["status"]["token"]

            one = Agent(service, "n1", token("node", "n1"))
            one.fetch()
            self.assertEqual(one.report().status, 200)
            self.assertEqual(service.request("GET", f"{one.path}/status", None, one.headers).status, 200)
            other = Agent(service, "n2")
            other.headers = one.headers
            self.assertEqual(other.report().status, 403)
            for path in (f"{OURS}/sessions", f"{OURS}/convergence", f"{OURS}/transitions", f"{GROUP}/nodes/n2/peerings/status"):
                self.assertEqual(service.request("GET", path, None, one.headers).status, 403, path)
            viewer = {"Authorization": f"Bearer {token('viewer')}"}
            for path in (f"{OURS}/sessions", f"{OURS}/convergence", f"{OURS}/transitions", f"{GROUP}/nodes/n2/peerings/status"):
                self.assertEqual(service.request("GET", path, None, viewer).status, 200, path)
            self.assertEqual(service.request("PUT", f"{one.path}/status", {}, viewer).status, 403)

            # n1 has reported, n2 polls only, n3 was never heard of.
            two = Agent(service, "n2", token("node", "n2"))
            tag = service.request("GET", two.path, None, two.headers).headers["ETag"]
            self.assertEqual(service.request("GET", two.path, None, {**two.headers, "If-None-Match": tag}).status, 304)
            convergence = service.request("GET", f"{OURS}/convergence").json()
            self.assertEqual({key: convergence[key] for key in ("nodes", "fetched", "applied", "silent", "behindCount", "behind")},
                             {"nodes": 3, "fetched": 2, "applied": 1, "silent": 1, "behindCount": 0, "behind": []})
            made = service.request("POST", f"{GROUP}/bgppeers", {"metadata": {"name": "p"}, "spec": {"peerIP": "192.0.2.9", "asNumber": 64999}})
            revision = made.json()["metadata"]["resourceVersion"]
            convergence = service.request("GET", f"{OURS}/convergence?resourceVersion={revision}").json()
            self.assertEqual((convergence["fetched"], sorted(convergence["behind"])), (0, ["n1", "n2"]))
            self.assertEqual(service.request("GET", f"{OURS}/convergence?resourceVersion={int(revision) + 1}").status, 400)
            one.fetch().report()
            self.assertEqual(service.request("GET", f"{OURS}/convergence").json()["behind"], ["n2"])

    def test_waiting_until_nobody_is_behind(self):
        with Service(auth=True) as service:
            agents = []
            for number in (1, 2, 3):
                service.request("POST", f"{GROUP}/nodes", {"metadata": {"name": f"n{number}"}, "spec": {"bgp": {"ipv4Address": f"10.0.0.{number}"}}})
                spec = {"role": "node", "node": f"n{number}"}
                agents.append(Agent(service, f"n{number}", service.request("POST", f"{OURS}/tokens", {"spec": spec}).json()["status"]["token"]))
            one, two, _ = agents  # the third is silent, and not waited for
            one.fetch().report()
            two.fetch().report()

            def fetches():
                metrics = service.request("GET", "/metrics").body.decode()
                return next(int(line.split()[-1]) for line in metrics.splitlines() if line.startswith("bgppeerd_convergence_seconds_count"))

            self.assertEqual(fetches(), 0, "a first list is of no change")
            made = service.request("POST", f"{GROUP}/bgppeers", {"metadata": {"name": "p"}, "spec": {"peerIP": "192.0.2.9", "asNumber": 64999}})
            path = f"{OURS}/convergence?resourceVersion={made.json()['metadata']['resourceVersion']}"
            started = time.monotonic()
            self.assertEqual(service.request("GET", f"{path}&wait=1s").json()["behind"], ["n1", "n2"])
            self.assertGreaterEqual(time.monotonic() - started, 1)
            answers = []
            waiter = threading.Thread(target=lambda: answers.append(service.request("GET", f"{path}&wait=120s").json()))
            waiter.start()
            one.fetch().report()
            one.fetch()
            self.assertEqual(fetches(), 1, "each change counts once for each node")
            self.assertEqual(answers, [])
            two.fetch().report()
            waiter.join(60)
            self.assertEqual({key: answers[0][key] for key in ("nodes", "fetched", "applied", "silent", "behindCount")},
                             {"nodes": 3, "fetched": 2, "applied": 2, "silent": 1, "behindCount": 0})
            self.assertEqual(fetches(), 2)
            # Right after a count that found nobody behind: the next change is not answered with that one.
            self.assertEqual(service.request("GET", f"{OURS}/convergence?wait=1s").json()["behindCount"], 0)
            made = service.request("PATCH", f"{GROUP}/bgppeers/p", {"spec": {"asNumber": 64998}}, {"Content-Type": "application/merge-patch+json"})
            path = f"{OURS}/convergence?resourceVersion={made.json()['metadata']['resourceVersion']}"
            started = time.monotonic()
            self.assertEqual(service.request("GET", f"{path}&wait=1s").json()["behindCount"], 2)
            self.assertGreaterEqual(time.monotonic() - started, 1)
            for bad in ("wait=soon", "wait=301s", "wait=-1s"):
                self.assertEqual(service.request("GET", f"{OURS}/convergence?{bad}").status, 400, bad)


if __name__ == "__main__":
    unittest.main()
