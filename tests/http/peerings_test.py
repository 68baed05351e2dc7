"""The peering list over HTTP: entity tags, 304, waiting polls, and who is woken."""
import concurrent.futures
import json
import threading
import time
import unittest

from service import Service
from wire import GROUP, MERGE, ServiceTest, Wire

PEERS = f"{GROUP}/bgppeers"


def list_path(node):
    return f"{GROUP}/nodes/{node}/peerings"


class PeeringsTest(ServiceTest):
    def tag(self, node):
        return self.request("GET", list_path(node)).headers["ETag"]

    def poll(self, node, tag, wait=None):
        """(answer, seconds)"""
        started = time.monotonic()
        query = f"?wait={wait}" if wait is not None else ""
        answer = self.request("GET", list_path(node) + query, None, {"If-None-Match": tag})
        return answer, time.monotonic() - started

    def test_list(self):
        self.create_node("shown", "10.1.0.1/24", {"rack": "shown"})
        self.create_peer("shown-tor", nodeSelector="rack == 'shown'", peerIP="10.1.0.254", asNumber=63400, ttlSecurity=1)
        answer = self.request("GET", list_path("shown"))
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertEqual(answer.headers["Cache-Control"], "private, no-cache")
        self.assertEqual(answer.headers["Vary"], "Authorization, Accept")
        self.assertRegex(answer.headers["ETag"], r'^"[^"]+"$')
        document = answer.json()
        self.assertEqual((document["apiVersion"], document["kind"], document["metadata"]["node"]), ("bgppeerd.io/v1", "PeeringList", "shown"))
        entries = [entry for entry in document["items"] if entry["origin"].get("bgpPeer") == "shown-tor"]
        self.assertEqual(entries, [{"family": "IPv4", "peerIP": "10.1.0.254", "asNumber": 63400, "localASNumber": 64512, "type": "external",
                                    "sourceAddress": "10.1.0.1", "ttlSecurity": 1,
                                    "origin": {"bgpPeer": "shown-tor", "scope": "NodeSelector"}}])

    def test_unknown_node(self):
        for headers in ({}, {"If-None-Match": "*"}):
            status = self.assert_status(self.request("GET", list_path("nobody") + "?wait=10s", None, headers), 404, "NotFound")
            self.assertIn("create it", status["message"])
            self.assertEqual(status["details"]["name"], "nobody")

    def test_if_none_match(self):
        self.create_node("tagged", "10.2.0.1/24")
        tag = self.tag("tagged")
        for header in (tag, f"W/{tag}", tag.strip('"'), f'"other", {tag}', f'  "other" ,W/{tag},"x"', "*", " * "):
            answer = self.request("GET", list_path("tagged"), None, {"If-None-Match": header})
            self.assertEqual((answer.status, answer.body), (304, b""), header)
            self.assertEqual(answer.headers["ETag"], tag)
            self.assertEqual(answer.headers["Cache-Control"], "private, no-cache")
            self.assertTrue(answer.headers["X-Request-Id"])
        for header in ('"other"', tag[:-2] + '"', tag[:-1], '""', "", '"', "W/", f'"{tag}"', '"*"'):
            self.assertEqual(self.request("GET", list_path("tagged"), None, {"If-None-Match": header}).status, 200, header)

    def test_head(self):
        self.create_node("headed", "10.3.0.1/24")
        answer = self.request("HEAD", list_path("headed"))
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(answer.headers["ETag"], self.tag("headed"))

    def test_tag_follows_the_content(self):
        self.create_node("moving", "10.4.0.1/24", {"rack": "moving"})
        before = self.tag("moving")
        self.create_peer("moving-peer", nodeSelector="rack == 'moving'")
        during = self.tag("moving")
        self.assertNotEqual(during, before)
        self.request("PATCH", f"{PEERS}/moving-peer", '{"metadata":{"labels":{"no":"effect"}}}', MERGE)
        self.assertEqual(self.tag("moving"), during)
        self.request("DELETE", f"{PEERS}/moving-peer")
        self.assertEqual(self.tag("moving"), before)

    def test_bad_waits(self):
        self.create_node("waits", "10.5.0.1/24")
        tag = self.tag("waits")
        for wait in ("", "x", "-1s", "301s", "301", "5m1s", "1d", "30+s", "1e9", "99999999999999999999", "0x10"):
            self.assert_status(self.poll("waits", tag, wait)[0], 400, "BadRequest")
        for wait in ("0", "0s"):
            answer, seconds = self.poll("waits", tag, wait)
            self.assertEqual(answer.status, 304)
            self.assertLess(seconds, 30)  # 0 is no long wait

    def test_no_wait_without_the_current_tag(self):
        self.create_node("eager", "10.6.0.1/24")
        started = time.monotonic()
        self.assertEqual(self.request("GET", list_path("eager") + "?wait=50s").status, 200)
        self.assertEqual(self.poll("eager", '"old"', "50s")[0].status, 200)
        self.assertLess(time.monotonic() - started, 50)

    def test_wait_ends_in_time(self):
        self.create_node("patient", "10.7.0.1/24")
        tag = self.tag("patient")
        for wait, low, high in (("1s", 1, 1 + 1 / 16), ("1", 1, 1 + 1 / 16), ("250ms", 0.25, 0.25 + 0.25 / 16)):
            for _ in range(5):  # a busy machine may be late once, not each time
                answer, seconds = self.poll("patient", tag, wait)
                self.assertEqual((answer.status, answer.headers["ETag"]), (304, tag))
                self.assertGreaterEqual(seconds, low)
                if seconds < high + 2:
                    break
            self.assertLess(seconds, high + 2)

    def wait_parked(self, thread_pool, node, wait="60s"):
        tag = self.tag(node)
        poll = thread_pool.submit(self.poll, node, tag, wait)
        time.sleep(0.4)
        self.assertFalse(poll.done(), "it must wait")
        return poll, tag

    def test_a_change_wakes(self):
        self.create_node("sleeper", "10.8.0.1/24", {"rack": "sleeper"})
        with concurrent.futures.ThreadPoolExecutor() as pool:
            poll, tag = self.wait_parked(pool, "sleeper")
            self.create_peer("sleeper-peer", nodeSelector="rack == 'sleeper'", peerIP="10.8.0.254")
            answer, _ = poll.result(60)
            self.assertEqual(answer.status, 200)
            self.assertNotEqual(answer.headers["ETag"], tag)
            self.assertIn("10.8.0.254", [entry["peerIP"] for entry in answer.json()["items"]])

    def test_the_rules_of_a_filter_wake_those_who_name_it(self):
        self.create_node("filtered", "10.14.0.1/24")
        self.create("bgpfilters", "named", {"importV4": [{"action": "Accept"}]})
        self.create("bgpfilters", "unnamed", {"importV4": [{"action": "Accept"}]})
        self.create_peer("filtered-tor", node="filtered", filters=["named"])
        with concurrent.futures.ThreadPoolExecutor() as thread_pool:
            poll, _ = self.wait_parked(thread_pool, "filtered")
            self.request("PATCH", f"{GROUP}/bgpfilters/unnamed", '{"spec":{"importV4":[{"action":"Reject"}]}}', MERGE)
            self.request("PATCH", f"{GROUP}/bgpfilters/named", '{"spec":{"importV4":[{"action":"Reject"}]}}', MERGE)
            answer, _ = poll.result(60)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json()["filters"], {"named": {"importV4": [{"action": "Reject"}]}})

    def test_a_peer_that_gives_its_node_nothing_is_warned_of(self):
        self.create_node("selfish", "10.16.0.1/24")
        answer = self.request("POST", PEERS, {"metadata": {"name": "selfish-peer"},
                                              "spec": {"node": "selfish", "peerIP": "10.16.0.1", "asNumber": 64512}})
        self.assertEqual(answer.status, 201)
        self.assertIn("that node's own address", answer.headers["Warning"])
        self.assertIn("OwnAddress", [problem["reason"] for problem in self.request("GET", list_path("selfish")).json()["problems"]])

    def test_a_second_owner_of_an_address_is_warned_of(self):
        self.create_node("first-owner", "10.15.0.1/24")
        self.assertNotIn("also an address", self.request("PATCH", f"{GROUP}/nodes/first-owner", '{"metadata":{"labels":{"x":"y"}}}',
                                                         MERGE).headers.get("Warning", ""))
        answer = self.request("POST", f"{GROUP}/nodes", {"metadata": {"name": "second-owner"},
                                                         "spec": {"bgp": {"ipv4Address": "10.15.0.1"}}})
        self.assertEqual(answer.status, 201)
        self.assertIn('10.15.0.1 is also an address of Node \\"first-owner\\"', answer.headers["Warning"])
        for node in ("first-owner", "second-owner"):
            problems = self.request("GET", list_path(node)).json()["problems"]
            self.assertIn(("AddressNotUnique", "10.15.0.1"), [(problem["reason"], problem.get("peerIP")) for problem in problems])

    def test_unrelated_changes_wake_nobody(self):
        self.create_node("undisturbed", "10.9.0.1/24", {"rack": "undisturbed"})
        self.create_peer("undisturbed-peer", nodeSelector="rack == 'undisturbed'")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            poll, _ = self.wait_parked(pool, "undisturbed")
            for i in range(10):
                self.create_peer(f"unrelated-{i}", node="somebody-else")
                self.request("PATCH", f"{PEERS}/undisturbed-peer", f'{{"metadata":{{"annotations":{{"n":"{i}"}}}}}}', MERGE)
            time.sleep(0.3)
            self.assertFalse(poll.done())
            self.request("DELETE", f"{PEERS}/undisturbed-peer")
            self.assertEqual(poll.result(60)[0].status, 200)

    def test_change_and_back_is_no_change_to_the_poller(self):
        self.create_node("flapping", "10.10.0.1/24", {"rack": "flapping"})
        with concurrent.futures.ThreadPoolExecutor() as pool:
            poll, tag = self.wait_parked(pool, "flapping", "2s")
            self.create_peer("flapping-peer", nodeSelector="rack == 'flapping'")
            self.request("DELETE", f"{PEERS}/flapping-peer")
            answer, _ = poll.result(60)
            # Woken in between it is 200 with another tag; otherwise 304. Never 200 with the same one.
            self.assertEqual(answer.status == 200, answer.headers["ETag"] != tag)

    def test_the_node_goes_away(self):
        self.create_node("leaving", "10.11.0.1/24")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            poll, _ = self.wait_parked(pool, "leaving")
            self.request("DELETE", f"{GROUP}/nodes/leaving")
            self.assert_status(poll.result(60)[0], 404, "NotFound")

    def test_many_waiting_polls_and_one_change(self):
        for i in range(50):
            self.create_node(f"crowd-{i}", f"10.12.0.{i + 1}/24", {"crowd": "even" if i % 2 == 0 else "odd"})
        self.request("POST", f"{GROUP}/bgpconfigurations", {"metadata": {"name": "default"}, "spec": {"nodeToNodeMeshEnabled": False}})
        tags = {f"crowd-{i}": self.tag(f"crowd-{i}") for i in range(50)}
        wires = {}
        try:
            for node, tag in tags.items():
                wires[node] = Wire(self.service)
                wait = "200s" if int(node.split("-")[1]) % 2 == 0 else "3s"
                wires[node].send(f"GET {list_path(node)}?wait={wait} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\n\r\n")
            last = time.monotonic()
            time.sleep(0.5)
            self.create_peer("crowd-peer", nodeSelector="crowd == 'even'", peerIP="10.12.0.254")
            for i in range(0, 50, 2):
                self.assertEqual(wires[f"crowd-{i}"].read_answer()[0], 200, "woken, not timed out")
            for i in range(1, 50, 2):
                self.assertEqual(wires[f"crowd-{i}"].read_answer()[0], 304)
            self.assertGreater(time.monotonic() - last, 2.9, "the last of these has waited to its end")
            # The connections are as good as new.
            for node, wire in wires.items():
                wire.send(f"GET {list_path(node)} HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertEqual(wire.read_answer()[0], 200)
        finally:
            for wire in wires.values():
                wire.socket.close()

    def test_pipelined_behind_a_wait(self):
        self.create_node("piped", "10.13.0.1/24")
        with Wire(self.service) as wire:
            wire.send(f"GET {list_path('piped')}?wait=500ms HTTP/1.1\r\nHost: x\r\nIf-None-Match: {self.tag('piped')}\r\n\r\n"
                      "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual([wire.read_answer()[0], wire.read_answer()[0]], [304, 200])

    def test_clients_that_go_away_while_waiting(self):
        self.create_node("deserted", "10.14.0.1/24", {"rack": "deserted"})
        tag = self.tag("deserted")
        for wait in ("1s", "60s"):
            for _ in range(30):
                with Wire(self.service) as wire:
                    wire.send(f"GET {list_path('deserted')}?wait={wait} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\n\r\n")
        time.sleep(1.5)
        self.create_peer("deserted-peer", nodeSelector="rack == 'deserted'")
        self.assertNotEqual(self.tag("deserted"), tag)

    def test_polls_race_with_changes(self):
        """Whatever the timing, a waiting poller sees every state it does not have."""
        self.create_node("raced", "10.15.0.1/24", {"rack": "raced"})
        self.create_peer("raced-peer", nodeSelector="rack == 'raced'", asNumber=1)
        last = 300
        seen, failures = [[] for _ in range(4)], []

        def follow(numbers):
            tag = '""'
            with Wire(self.service) as wire:
                while not numbers or numbers[-1] != last:
                    wire.send(f"GET {list_path('raced')}?wait=20s HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\n\r\n")
                    status, headers, body = wire.read_answer()
                    if status != 200:
                        failures.append(status)
                        return
                    tag = headers["etag"]
                    numbers.append(next(e["asNumber"] for e in json.loads(body)["items"] if e["origin"].get("bgpPeer") == "raced-peer"))

        threads = [threading.Thread(target=follow, args=(numbers,)) for numbers in seen]
        for thread in threads:
            thread.start()
        with Wire(self.service) as wire:
            for number in range(2, last + 1):
                body = f'{{"spec":{{"asNumber":{number}}}}}'
                wire.send(f"PATCH {PEERS}/raced-peer HTTP/1.1\r\nHost: x\r\nContent-Type: application/merge-patch+json\r\nContent-Length: {len(body)}\r\n\r\n{body}")
                self.assertEqual(wire.read_answer()[0], 200)
        for thread in threads:
            thread.join(60)
        self.assertEqual(failures, [])
        for numbers in seen:
            self.assertEqual(numbers, sorted(set(numbers)), "never back, never twice")
            self.assertEqual(numbers[-1], last)


class PlacesTest(unittest.TestCase):
    def test_waiting_places_run_out_and_come_back(self):
        with Service("--max-waiting", "3") as service:
            service.request("POST", f"{GROUP}/nodes", {"metadata": {"name": "n"}, "spec": {"bgp": {"ipv4Address": "10.0.0.1/24"}}})
            tag = service.request("GET", list_path("n")).headers["ETag"]
            wires = [Wire(service, seconds=60) for _ in range(4)]

            def wait(wire, duration):
                wire.send(f"GET {list_path('n')}?wait={duration} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\n\r\n")

            for wire in wires[:3]:
                wait(wire, "200s")
            service.wait_until_waiting(3)
            wait(wires[3], "50ms")
            status, headers, body = wires[3].read_answer()
            self.assertEqual((status, json.loads(body)["reason"]), (503, "ServiceUnavailable"))
            self.assertRegex(headers["retry-after"], r"^\d+$")
            self.assertEqual(json.loads(body)["details"]["retryAfterSeconds"], int(headers["retry-after"]))
            service.request("PATCH", f"{GROUP}/nodes/n", '{"spec":{"bgp":{"asNumber":64999}}}', MERGE)
            for wire in wires[:3]:
                self.assertEqual(wire.read_answer()[0], 200)
            tag = service.request("GET", list_path("n")).headers["ETag"]
            for wire in wires[1:]:
                wait(wire, "500ms")
            for wire in wires[1:]:
                self.assertEqual(wire.read_answer()[0], 304)
            for wire in wires:
                wire.socket.close()


if __name__ == "__main__":
    unittest.main()
