"""HTTP itself: paths, methods, headers, HEAD, pipelining, identifiers, slow and broken clients."""
import json
import re
import socket
import threading
import time
import unittest

from wire import GROUP, ServiceTest, Wire

PEERS = f"{GROUP}/bgppeers"


class PathsTest(ServiceTest):
    def test_unknown_paths(self):
        for path in ("//", "/nope", "/api/v2", "/apis/projectcalico.org/v4", f"{GROUP}/bgppeer", f"{GROUP}/BGPPeers", f"{PEERS}//", f"{PEERS}/a/b",
                     f"{GROUP}/nodes/a/peering", f"{GROUP}//bgppeers", "//version", "/livez//", f"{GROUP}/nodes/a/peerings//", "/version/x"):
            for method in ("GET", "POST", "DELETE", "BREW"):
                self.assert_status(self.request(method, path), 404, "NotFound")

    def test_methods_that_a_path_does_not_have(self):
        for path, methods, allow in (("/version", "POST PUT PATCH DELETE OPTIONS BREW", "GET, HEAD"),
                                     (PEERS, "PUT PATCH OPTIONS", "GET, HEAD, POST, DELETE"),
                                     (f"{PEERS}/x", "POST TRACE", "GET, HEAD, PUT, PATCH, DELETE"),
                                     (f"{GROUP}/nodes/x/peerings", "POST DELETE", "GET, HEAD"),
                                     ("/livez", "POST", "GET, HEAD")):
            for method in methods.split():
                answer = self.request(method, path)
                self.assert_status(answer, 405, "MethodNotAllowed")
                self.assertEqual(answer.headers["Allow"], allow)

    def test_discovery_tolerates_a_slash(self):
        for path in ("/api", "/apis", "/api/v1", "/apis/projectcalico.org", GROUP, "/version"):
            plain, slash = self.request("GET", path), self.request("GET", path + "/")
            self.assertEqual((plain.status, slash.status, plain.body), (200, 200, slash.body))

    def test_percent_encoding(self):
        self.create_peer("a.b-c")
        for path in (f"{PEERS}/a%2Eb%2dc", f"{PEERS}/%61.b-c"):
            self.assertEqual(self.request("GET", path).status, 200)
        for path in ("/%", "/%4", "/%zz", f"{PEERS}/a%", f"{PEERS}/a%2", f"{PEERS}/%00", f"{PEERS}/a%2Fb", f"{PEERS}/%ff", f"{PEERS}/%c3%28",
                     f"{PEERS}/%ed%a0%80", f"{PEERS}?labelSelector=%", f"{PEERS}?x=%00", f"{PEERS}?%ff=1"):
            self.assert_status(self.request("GET", path), 400, "BadRequest")
        self.assert_status(self.request("GET", f"{PEERS}/%C3%A9"), 404, "NotFound")

    def test_absolute_form(self):
        with Wire(self.service) as wire:
            for target in ("http://example.org/livez", "HTTP://x:1/livez?a=b", "https://example.org/livez"):
                wire.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertEqual(wire.read_answer()[0], 200)
            wire.send("GET http://example.org HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(wire.read_answer()[0], 404)
            wire.send("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(wire.read_answer()[0], 404)

    def test_accept(self):
        for accept in ("application/json", "*/*", "application/*", "text/html, */*;q=0.1", "application/yaml, application/json;q=0.5", "",
                       "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"):
            self.assertEqual(self.request("GET", PEERS, None, {"Accept": accept}).status, 200, accept)
        for accept in ("text/html", "application/json;q=0", "image/*", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v2"):
            self.assert_status(self.request("GET", PEERS, None, {"Accept": accept}), 406, "NotAcceptable")

    def test_health(self):
        for path in ("/livez", "/readyz", "/healthz"):
            answer = self.request("GET", path)
            self.assertEqual((answer.status, answer.body), (200, b"ok\n"))
            self.assertTrue(answer.headers["Content-Type"].startswith("text/plain"))

    def test_discovery(self):
        self.assertEqual(self.request("GET", "/api").json(), {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
        groups = self.request("GET", "/apis").json()
        self.assertEqual([group["name"] for group in groups["groups"]], ["projectcalico.org", "bgppeerd.io"])
        self.assertEqual(groups["groups"][0]["preferredVersion"], {"groupVersion": "projectcalico.org/v3", "version": "v3"})
        group = self.request("GET", "/apis/projectcalico.org").json()
        self.assertEqual((group["kind"], group["versions"]), ("APIGroup", groups["groups"][0]["versions"]))
        resources = self.request("GET", GROUP).json()
        self.assertEqual((resources["kind"], resources["groupVersion"]), ("APIResourceList", "projectcalico.org/v3"))
        kinds = {resource["name"]: resource for resource in resources["resources"]}
        self.assertEqual({name: kind["kind"] for name, kind in kinds.items()}, {
            "bgppeers": "BGPPeer", "nodes": "Node", "bgpconfigurations": "BGPConfiguration", "bgpfilters": "BGPFilter"})
        for kind in kinds.values():
            self.assertIs(kind["namespaced"], False)
            self.assertEqual(set(kind["verbs"]), {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"})
        version = self.request("GET", "/version").json()
        self.assertRegex(version["gitVersion"], r"^v1\.\d+\.\d+")
        self.assertEqual((version["major"], version["minor"].isdigit()), ("1", True))

    def test_openapi(self):
        described = self.request("GET", "/openapi.json").json()
        self.assertTrue(described["openapi"].startswith("3.1"))
        self.assertIn(f"{GROUP}/nodes/{{name}}/peerings", described["paths"])
        for path, item in described["paths"].items():
            filled = re.sub(r"\{\w+\}", "x", path)
            allow = self.request("BREW", filled).headers["Allow"]
            self.assertEqual({method.upper() for method in item if method != "parameters"}, set(allow.split(", ")) - {"HEAD"}, path)


class PrettyTest(ServiceTest):
    def test_every_answer_can_be_indented(self):
        self.create_peer("pretty")
        self.assertEqual(self.request("POST", f"{GROUP}/nodes", {"metadata": {"name": "pretty"}, "spec": {"bgp": {"ipv4Address": "10.0.0.1/24"}}}).status, 201)
        table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
        for path, headers in ((f"{PEERS}/pretty", {}), (PEERS, {}), (PEERS, table), (f"{PEERS}?limit=1&labelSelector=none", {}), (f"{PEERS}/nobody", {}),
                              (f"{GROUP}/nodes/pretty/peerings", {}), (f"{GROUP}/nodes/pretty/peerings?passwords=true", {}),
                              (f"{GROUP}/nodes/pretty/peerings?explain=10.0.0.9", {}), ("/api", {}), ("/nowhere", {}), ("/api/v1/namespaces", {})):
            plain = self.request("GET", path, headers=headers)
            self.assertNotIn(b"\n", plain.body)
            joint = "&" if "?" in path else "?"
            for wish in ("pretty=true", "pretty=1"):
                pretty = self.request("GET", path + joint + wish, headers=headers)
                expected = json.dumps(plain.json(), indent=2, ensure_ascii=False) + "\n"
                if path != "/nowhere" and headers == {}:
                    self.assertEqual(pretty.body.decode(), expected, path)
                for name in ("ETag", "Cache-Control", "Content-Type", "Vary"):
                    self.assertEqual(pretty.headers[name], plain.headers[name], (path, name))
                self.assertEqual(pretty.json().keys(), plain.json().keys())
            self.assertNotIn(b"\n", self.request("GET", f"{path}{joint}pretty=false", headers=headers).body)

    def test_writes_and_watches(self):
        answer = self.request("POST", f"{PEERS}?pretty=true", {"metadata": {"name": "pretty-write"}, "spec": {"peerIP": "192.0.2.9", "asNumber": 1}})
        self.assertEqual(answer.status, 201)
        self.assertEqual(answer.body.decode(), json.dumps(answer.json(), indent=2) + "\n")
        answer = self.request("POST", f"{PEERS}?pretty=true", {"metadata": {"name": "pretty-write"}, "spec": {"peerIP": "nowhere"}})
        self.assertEqual((answer.status, answer.body[:12]), (422, b'{\n  "kind": '))
        lines = self.request("GET", f"{PEERS}?watch=1&timeoutSeconds=1&pretty=true").body.splitlines()
        self.assertTrue(lines)
        for line in lines:
            self.assertEqual(json.loads(line)["type"], "ADDED")


class MessagesTest(ServiceTest):
    def test_head(self):
        self.create_peer("head")
        with Wire(self.service) as wire:
            for path in ("/livez", "/version", PEERS, f"{PEERS}/head", f"{PEERS}/nobody", "/nowhere"):
                wire.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
                status, headers, _ = wire.read_answer()
                wire.send(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n")
                head_status, head_headers, _ = wire.read_answer(head=True)
                self.assertEqual(head_status, status, path)
                for name in ("content-length", "content-type", "etag"):
                    self.assertEqual(head_headers.get(name), headers.get(name), path)

    def test_pipelining(self):
        self.create_peer("pipelined")
        paths = ["/livez", f"{PEERS}/pipelined", "/nowhere", "/version"] * 25
        with Wire(self.service) as wire:
            wire.send("".join(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: r{i}\r\n\r\n" for i, path in enumerate(paths)))
            for i, path in enumerate(paths):
                status, headers, _ = wire.read_answer()
                self.assertEqual((status, headers["x-request-id"]), (404 if path == "/nowhere" else 200, f"r{i}"))

    def test_pipelined_writes_keep_their_order(self):
        with Wire(self.service) as wire:
            for i in range(20):
                body = json.dumps({"metadata": {"name": f"order-{i}"}, "spec": {"peerIP": "192.0.2.1", "asNumber": 1}})
                wire.send(f"POST {PEERS} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}"
                          f"GET {PEERS}/order-{i} HTTP/1.1\r\nHost: x\r\n\r\n")
            versions = []
            for _ in range(20):
                created, read = wire.read_answer(), wire.read_answer()
                self.assertEqual((created[0], read[0], created[2]), (201, 200, read[2]))
                versions.append(int(json.loads(read[2])["metadata"]["resourceVersion"]))
            self.assertEqual(versions, sorted(versions))

    def test_request_ids(self):
        seen = set()
        for path in ("/livez", "/nowhere", PEERS, "/version", f"{PEERS}/%"):
            for _ in range(20):
                seen.add(self.request("GET", path).headers["X-Request-Id"])
        self.assertEqual(len(seen), 100)
        for identity in seen:
            self.assertRegex(identity, r"^[0-9a-f]{16}$")
        self.assertEqual(self.request("GET", "/livez", None, {"X-Request-Id": "my-id_7.x"}).headers["X-Request-Id"], "my-id_7.x")
        for bad in ("a b", "a\"b", "a=b", "x" * 65, "ä"):
            self.assertRegex(self.request("GET", "/livez", None, {"X-Request-Id": bad}).headers["X-Request-Id"], r"^[0-9a-f]{16}$")

    def test_access_log(self):
        self.request("GET", f"{PEERS}?labelSelector=a%3Db", None, {"X-Request-Id": "look-for-me", "Authorization": "Bearer hidden-thing"})
        self.service.wait_for_log("event=request id=look-for-me ")
        lines = [line for line in self.service.log().splitlines() if "look-for-me" in line]
        self.assertEqual(len(lines), 1)
        for part in ("method=GET", "status=200", "remote=127.0.0.1:", "labelSelector=a%3Db"):
            self.assertIn(part, lines[0])
        self.assertNotIn("hidden-thing", self.service.log())

    def test_log_lines_cannot_be_forged(self):
        with Wire(self.service) as wire:
            wire.send(b"GET /forged\x1b[31m\x07\xff\"=x HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(wire.read_answer()[0], 400)
        self.request("GET", "/forged%0Alevel=error")
        time.sleep(0.5)
        self.assertNotIn("\x1b", self.service.log())
        self.assertFalse([line for line in self.service.log().splitlines() if line.startswith("level=error")])

    def test_huge_headers(self):
        with Wire(self.service) as wire:
            wire.send("GET /livez HTTP/1.1\r\nHost: x\r\nX-Large: " + "x" * 4500 + "\r\n\r\n")
            self.assertEqual(wire.read_answer()[0], 200)
            wire.send(f"GET {PEERS}/" + "x" * 4500 + " HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(wire.read_answer()[0], 404)
        for size in (5200, 6000, 7300, 20000, 100000):
            with Wire(self.service) as wire:
                try:
                    wire.send("GET /livez HTTP/1.1\r\nHost: x\r\nX-Large: " + "x" * size + "\r\n\r\n")
                    self.assertEqual(wire.read_answer()[0], 431, size)
                except ConnectionError:
                    self.assertGreater(size, 7300, "only what the service does not read to its end may be cut")
        with Wire(self.service) as wire:
            wire.send("GET /" + "x" * 26000)
            self.assertIn(wire.read_answer()[0], (414, 431))
        self.assertEqual(self.request("GET", "/livez").status, 200)

    def test_header_sizes_never_go_unanswered(self):
        """An answer with everything it needs, or a refusal. (Within some hundred bytes of the connection's whole memory
        libmicrohttpd has no room for any answer; those sizes are left out.)"""
        name = "n" * 200
        body = json.dumps({"metadata": {"name": "Warned_1"}, "spec": {"peerIP": "192.0.2.1", "nodeSelector": "a == '" + "b" * 900 + "'"}})
        for make in (lambda size: "X: " + "x" * size + "\r\n", lambda size: "a:b\r\n" * (size // 69), lambda size: "Cookie: a=b\r\n" * (size // 77)):
            codes = set()
            for size in (*range(500, 6300, 189), *range(4500, 5300, 31), *range(8000, 10000, 487)):
                with Wire(self.service) as wire:
                    wire.send(f"POST {PEERS}?dryRun=All HTTP/1.1\r\nHost: x\r\nX-Request-Id: {name[:64]}\r\nContent-Type: application/json\r\n"
                              f"Content-Length: {len(body)}\r\n{make(size)}\r\n{body}")
                    codes.add(wire.read_answer()[0])
            self.assertEqual(codes, {201, 431})

    def test_many_parameters(self):
        self.assertEqual(self.request("GET", f"{PEERS}?" + "&".join(f"a{i}=1" for i in range(64))).status, 200)
        self.assert_status(self.request("GET", f"{PEERS}?" + "&".join(f"a{i}=1" for i in range(65))), 400, "BadRequest")

    def test_nonsense_on_the_wire(self):
        for data in (b"\r\n\r\n", b"\x00" * 100, b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
                     b"POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"POST /x HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
                     b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
                     b"GET /\xff\xfe\x00 HTTP/1.1\r\n\r\n", b" " * 5000, b"GET " + b"/" * 30000 + b" HTTP/1.1\r\n\r\n"):
            with Wire(self.service) as wire:
                wire.send(data)
                try:
                    wire.socket.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                self.assertNotIn(b" 201 ", wire.read_all(1))
        self.assertEqual(self.request("GET", "/livez").status, 200)

    def test_http_1_0(self):
        with Wire(self.service) as wire:
            wire.send("GET /livez HTTP/1.0\r\n\r\n")
            answer = wire.read_all()
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"ok\n"), answer)

    def test_the_host(self):
        """RFC 9112, section 3.2: one, that could be one; and HTTP/1.0 had none."""
        for host in ("x", "x:80", "127.0.0.1:8080", "[::1]:8443", "a_b.example.org", "%41", ""):
            with Wire(self.service) as wire:
                wire.send(f"GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n")
                self.assertEqual(wire.read_answer()[0], 200, host)
        for headers in ("", "X-Host: x\r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host: u@h\r\n", "Host: a\x01\r\n", "Host: \u00e9\r\n", "Host: x\r\nhost: x\r\n"):
            for method in ("GET", "POST"):
                with Wire(self.service) as wire:
                    wire.send(f"{method} {PEERS} HTTP/1.1\r\n{headers}\r\n")
                    status, _, body = wire.read_answer()
                    self.assertEqual((status, json.loads(body)["reason"]), (400, "BadRequest"), headers)
                    self.assertIn("Host", json.loads(body)["message"])
                    self.assertEqual(wire.read_all(), b"", "the connection is closed: what follows may be meant for another host")

    def test_expect_without_a_body(self):
        """It is told to go on, and answered; also with the next request right behind, which libmicrohttpd takes for the body."""
        body = json.dumps({"metadata": {"name": "expected"}, "spec": {"peerIP": "192.0.2.1", "asNumber": 1}})
        after = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
        for number, (method, path, headers, status) in enumerate((
                ("GET", "/livez", "", 200), ("GET", PEERS, "Content-Length: 0\r\n", 200), ("GET", "/nowhere", "", 404),
                ("POST", PEERS, "", 400), ("POST", PEERS, "Content-Length: 0\r\n", 400), ("DELETE", f"{PEERS}?labelSelector=no%3Done", "", 200))):
            request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{headers}\r\n"
            for behind in ("", after, f"POST {PEERS}?dryRun=All HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}{after}", "G"):
                with self.subTest(number=number, behind=behind), Wire(self.service) as wire:
                    wire.send(request + behind)
                    answers = [wire.read_answer()[0] for _ in range(2 + behind.count("HTTP/1.1"))]
                    self.assertEqual(answers, [100, status, *[201, 200][-behind.count("HTTP/1.1") or 2:]])
        self.assertNotIn("level=error", self.service.log())

    def test_a_client_that_goes_away_in_the_middle(self):
        for data in (f"GET {PEERS}", f"POST {PEERS} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{", f"GET {PEERS} HTTP/1.1\r\nHost: x\r\n\r\n"):
            for _ in range(50):
                with Wire(self.service) as wire:
                    wire.send(data)
        self.assertEqual(self.request("GET", "/livez").status, 200)

    def test_slow_clients_hold_nobody_up(self):
        wires = [Wire(self.service) for _ in range(100)]
        try:
            body = json.dumps({"metadata": {"name": "slow"}, "spec": {"peerIP": "192.0.2.1", "asNumber": 1}})
            for number, wire in enumerate(wires):
                wire.send(f"POST {PEERS} HTTP/1.1\r\nHost: x\r\nContent-Le" if number % 2 else
                          f"POST {PEERS}?dryRun=All HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body[:20]}")
            started = time.monotonic()
            for _ in range(20):
                self.assertEqual(self.request("GET", PEERS).status, 200)
            self.assertLess(time.monotonic() - started, 20)  # they are there for 30 s
            wires[0].send(body[20:])
            self.assertEqual(wires[0].read_answer()[0], 201, "slow, but in time")
        finally:
            for wire in wires:
                wire.socket.close()


class ConcurrencyTest(ServiceTest):
    def test_writers_and_readers(self):
        failures = []

        def work(number):
            with Wire(self.service) as wire:
                for i in range(40):
                    name = f"c-{number}-{i}"
                    body = json.dumps({"metadata": {"name": name}, "spec": {"node": f"n{number}", "peerIP": "192.0.2.1", "asNumber": 1}})
                    wire.send(f"POST {PEERS} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}")
                    created = wire.read_answer()
                    wire.send(f"GET {PEERS}/{name} HTTP/1.1\r\nHost: x\r\n\r\n")
                    read = wire.read_answer()
                    if created[0] != 201 or read[2] != created[2]:
                        failures.append((created, read))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        items = [item for item in self.request("GET", PEERS).json()["items"] if item["metadata"]["name"].startswith("c-")]
        self.assertEqual(len(items), 32 * 40)
        self.assertEqual(len({item["metadata"]["resourceVersion"] for item in items}), 32 * 40)

    def test_one_of_many_wins_a_version(self):
        made = self.create_peer("contended")
        codes = []

        def work(number):
            body = {**made, "spec": {**made["spec"], "asNumber": 65000 + number}}
            codes.append(self.request("PUT", f"{PEERS}/contended", body).status)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(codes), [200] + [409] * 23)


if __name__ == "__main__":
    unittest.main()
