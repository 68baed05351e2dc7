"""Watches of sessions: what comes, changes and goes; filters; where a watch may begin; Tables."""
import unittest

from service import Service
from status_test import TABLE, Agent, FleetTest
from watch_test import Watch
from wire import GROUP, OURS

PATH = f"{OURS}/sessions"


class SessionWatchTest(FleetTest):
    def watch(self, query="", headers=""):
        watch = Watch(self.service, PATH, query, headers)
        self.addCleanup(watch.socket.close)
        return watch

    def version(self):
        return self.request("GET", f"{PATH}?limit=1").json()["metadata"]["resourceVersion"]

    @staticmethod
    def until(watch, wanted):
        """The first event that is wanted; a watch tells every change, and a test waits for one."""
        while (event := watch.event()) is not None:
            if wanted(event):
                return event
        raise AssertionError("the watch has ended")

    def settled(self, name, subnet):
        """A fleet of whose sessions it has been told that they are up."""
        version = self.version()
        agents = self.fleet(name, subnet)
        watch = self.watch(f"&labelSelector=fleet%3D{name}&resourceVersion={version}")
        seen = set()
        while len(seen) < 3:
            session = watch.event()["object"]
            if session["verdict"] == "Up":
                seen.add((session["node"], session["peerIP"]))
        return agents

    def test_what_is_there_and_what_happens(self):
        one, two = self.settled("flow", "10.11.1")
        watch = self.watch(f"&node={one.node}")
        names = []
        for _ in range(2):
            event = watch.event()
            self.assertEqual((event["type"], event["object"]["kind"], event["object"]["node"]), ("ADDED", "Session", one.node))
            names.append(event["object"]["metadata"]["name"])
        self.assertEqual(sorted(names), [f"{one.node}/10.11.1.2", f"{one.node}/10.11.1.254"])
        one.session("10.11.1.254").update(state="Idle")
        one.report()
        event = self.until(watch, lambda event: event["object"].get("here", {}).get("state") == "Idle")
        self.assertEqual((event["type"], event["object"]["peerIP"]), ("MODIFIED", "10.11.1.254"))
        self.assertTrue(event["object"]["message"])
        self.assertGreater(int(event["object"]["metadata"]["resourceVersion"]), 0)
        # What the other end says is news as well.
        two.session("10.11.1.1").update(state="Active")
        two.report()
        event = self.until(watch, lambda event: event["object"]["peerIP"] == "10.11.1.2")
        self.assertEqual(event["object"]["there"]["state"], "Active")
        self.assertEqual(self.request("DELETE", f"{GROUP}/bgppeers/flow-tor").status, 200)
        one.fetch().report()
        event = self.until(watch, lambda event: event["type"] == "DELETED")
        self.assertEqual(event["object"]["metadata"]["name"], f"{one.node}/10.11.1.254")

    def test_a_node_that_goes(self):
        one, two = self.settled("gone", "10.11.2")
        watch = self.watch(f"&labelSelector=fleet%3Dgone&resourceVersion={self.version()}")
        self.assertEqual(self.request("DELETE", f"{GROUP}/nodes/{two.node}").status, 200)
        wanted = {("DELETED", two.node, "10.11.2.1", "Up"), ("MODIFIED", one.node, "10.11.2.2", "Converging")}
        while wanted:
            event = watch.event()
            session = event["object"]
            wanted.discard((event["type"], session["node"], session["peerIP"], session["verdict"]))

    def test_filters_are_entered_and_left(self):
        one, _ = self.settled("enter", "10.11.3")
        version = self.version()
        down = self.watch(f"&labelSelector=fleet%3Denter&verdict=Down&resourceVersion={version}")
        idle = self.watch(f"&labelSelector=fleet%3Denter&state=Idle&resourceVersion={version}")
        tor = self.watch(f"&bgpPeer=enter-tor&resourceVersion={version}")
        session = one.session("10.11.3.254")
        session.update(state="Idle", lastError={"code": "Cease/AdministrativeShutdown", "from": "Remote", "at": "2026-02-01T00:00:00Z"})
        one.report()
        for watch in (down, idle):
            event = watch.event()
            self.assertEqual((event["type"], event["object"]["peerIP"]), ("ADDED", "10.11.3.254"))
        self.assertEqual(tor.event()["type"], "MODIFIED")
        session.update(state="Established")
        one.report()
        for watch in (down, idle):
            self.assertEqual(self.until(watch, lambda event: event["type"] != "MODIFIED")["type"], "DELETED")

    def test_where_it_may_begin(self):
        one, _ = self.settled("begin", "10.11.4")
        version = int(self.version())
        watch = self.watch(f"&resourceVersion={version}&node={one.node}")
        one.session("10.11.4.254").update(state="Connect")
        one.report()
        self.assertEqual(self.until(watch, lambda event: True)["object"]["here"]["state"], "Connect")
        for other in (1, version + 10**12):
            watch = self.watch(f"&resourceVersion={other}")
            self.assertEqual(watch.status, 410, "a number of another process")
        self.assertEqual(self.watch("&resourceVersion=soon").status, 400)
        self.assertEqual(self.watch("&node=nobody").status, 404)
        # Pages of one list have one version, from which nothing is missed.
        page = self.request("GET", f"{PATH}?limit=1").json()["metadata"]
        one.session("10.11.4.254").update(state="Active")
        one.report()
        self.until(self.watch(f"&resourceVersion={version}&node={one.node}"), lambda event: event["object"]["here"]["state"] == "Active")
        follow = self.request("GET", f"{PATH}?limit=1&continue={page['continue']}").json()["metadata"]
        self.assertEqual(follow["resourceVersion"], page["resourceVersion"])
        for bad in ("nonsense", "x:node", "7:"):
            self.assertEqual(self.request("GET", f"{PATH}?continue={bad}").status, 400)

    def test_its_end_and_its_bookmarks(self):
        self.settled("end", "10.11.5")
        version = self.version()
        watch = self.watch("&timeoutSeconds=1&allowWatchBookmarks=true&node=end-1&sendInitialEvents=true")
        events = []
        while (event := watch.event()) is not None:
            events.append(event)
        self.assertEqual(events[-1]["type"], "BOOKMARK")
        self.assertEqual((events[-1]["object"]["kind"], events[-1]["object"]["apiVersion"]), ("Session", "bgppeerd.io/v1"))
        self.assertGreaterEqual(int(events[-1]["object"]["metadata"]["resourceVersion"]), int(version))
        marks = [event for event in events if "annotations" in event["object"]["metadata"]]
        self.assertEqual(len(marks), 1)

    def test_as_tables(self):
        one, _ = self.settled("rows", "10.11.6")
        watch = self.watch(f"&node={one.node}&resourceVersion={self.version()}", f"Accept: {TABLE}\r\n")
        for state in ("Idle", "Active"):
            one.session("10.11.6.254").update(state=state)
            one.report()
            event = watch.event()
            while event["object"]["rows"][0]["cells"][4] != state:
                event = watch.event()
            cells = event["object"]["rows"][0]["cells"]
            self.assertEqual((event["type"], event["object"]["kind"], cells[:2]), ("MODIFIED", "Table", [one.node, "10.11.6.254"]))
            self.assertEqual(event["object"]["rows"][0]["object"]["metadata"]["name"], f"{one.node}/10.11.6.254")
        self.assertNotIn("columnDefinitions", event["object"], "they come once")
        whole = self.request("GET", f"{PATH}?node={one.node}&includeObject=Object", None, {"Accept": TABLE}).json()
        self.assertEqual(whole["rows"][0]["object"]["kind"], "Session")

    def test_after_a_restart_a_watch_begins_anew(self):
        with Service() as service:
            service.request("POST", f"{GROUP}/nodes", {"metadata": {"name": "n1"}, "spec": {"bgp": {"ipv4Address": "10.0.0.1"}}})
            service.request("POST", f"{GROUP}/bgppeers", {"metadata": {"name": "p"}, "spec": {"peerIP": "192.0.2.9", "asNumber": 64999}})
            Agent(service, "n1").fetch().report()
            first = Watch(service, PATH, "&timeoutSeconds=60")
            version = first.event()["object"]["metadata"]["resourceVersion"]
            first.socket.close()
            service.stop()
            service.start()
            again = Watch(service, PATH, f"&resourceVersion={version}")
            self.assertEqual(again.status, 410)
            again.socket.close()


class LargeFleetTest(FleetTest):
    """Where a page may mean looking at many sessions, the worker makes it; the answer is the same."""

    def test_pages_of_a_large_mesh(self):
        count = 60
        for number in range(count):
            self.create_node(f"big-{number:03}", f"10.12.0.{number + 1}/24")
        rows = self.request("GET", f"{PATH}?verdict=Unknown&limit=5000").json()
        self.assertEqual(len(rows["items"]), count * (count - 1))
        self.assertEqual(self.sessions("state=Established"), [])
        self.assertEqual(len(self.sessions("node=big-007")), count - 1)


if __name__ == "__main__":
    unittest.main()
