"""Bodies: syntaxes, media types, limits, and everything malformed. Nothing of it may be stored."""
import json
import socket
import unittest

from wire import GROUP, ServiceTest, Wire

PEERS = f"{GROUP}/bgppeers"
YAML = {"Content-Type": "application/yaml"}
JSON = {"Content-Type": "application/json"}
LIMIT = 1024 * 1024


def document(name, size=None):
    text = json.dumps({"metadata": {"name": name}, "spec": {"peerIP": "192.0.2.9", "asNumber": 1}})
    return text if size is None else text + " " * (size - len(text))


class BodiesTest(ServiceTest):
    def count(self):
        return len(self.request("GET", PEERS).json()["items"])

    def test_yaml(self):
        text = "# a peer\nkind: BGPPeer\nmetadata:\n  name: yaml\nspec:\n  peerIP: 192.0.2.9\n  asNumber: 64999\n"
        for number, content_type in enumerate(("application/yaml", "text/yaml", "application/x-yaml", "application/yaml; charset=utf-8")):
            answer = self.request("POST", PEERS, text.replace("yaml", f"yaml{number}"), {"Content-Type": content_type})
            self.assertEqual(answer.status, 201, answer.body)
            self.assertEqual(answer.headers["Content-Type"], "application/json")
        answer = self.request("PUT", f"{PEERS}/yaml0", text.replace("yaml", "yaml0").replace("64999", "65000"), YAML)
        self.assertEqual((answer.status, answer.json()["spec"]["asNumber"]), (200, 65000))

    def test_malformed_yaml(self):
        before = self.count()
        for text in ("a: b: c", "{", "- a", "just text", "a: &x [*x]", "--- {}\n--- {}\n", "\t", "metadata: {name: y}\nmetadata: {name: z}\n",
                     "a: \xff", "!!python/object:os.system x", "[" * 40 + "]" * 40):
            self.assert_status(self.request("POST", PEERS, text.encode("latin-1"), YAML), 400, "BadRequest")
        self.assertEqual(self.count(), before)

    def test_json_types_of_content(self):
        for number, content_type in enumerate(("application/json", "application/json; charset=utf-8", "Application/JSON")):
            answer = self.request("POST", PEERS, document(f"json{number}"), {"Content-Type": content_type})
            self.assertEqual(answer.status, 201, answer.body)
        with Wire(self.service) as wire:
            body = document("no-type")
            wire.send(f"POST {PEERS} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}")
            self.assertEqual(wire.read_answer()[0], 201)

    def test_other_types_of_content(self):
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json", "application/xml",
                             "application/vnd.kubernetes.protobuf", "multipart/form-data; boundary=x"):
            for method, path in (("POST", PEERS), ("PUT", f"{PEERS}/x")):
                status = self.assert_status(self.request(method, path, document("x"), {"Content-Type": content_type}), 415,
                                            "UnsupportedMediaType")
                self.assertIn("application/json", status["message"])

    def test_curl_is_told_what_to_say(self):
        self.create_peer("curl")
        for method, path, media in (("POST", PEERS, "application/json"), ("PUT", f"{PEERS}/curl", "application/json"),
                                    ("PATCH", f"{PEERS}/curl", "application/merge-patch+json")):
            status = self.assert_status(self.request(method, path, "{}", {"Content-Type": "application/x-www-form-urlencoded"}), 415)
            self.assertIn(f"with curl by -H 'Content-Type: {media}'", status["message"])

    def test_malformed_json(self):
        before = self.count()
        good = document("malformed")
        bodies = [b"", b" ", b"{", b"[]", b"null", b"7", b'"x"', b"{}{}", b"{'a':1}", b'{"a":1,}', b"\xef\xbb\xbf{", b"\xff\xfe{\x00}\x00",
                  good.encode() + b"x", good.encode() + b"\x00", good[:-1].encode(), good.replace("malformed", "mal\x00formed").encode(),
                  good.replace("malformed", "mal\\u0000formed").encode(), good.replace("malformed", "mal\\ud800formed").encode(),
                  good.encode().replace(b"malformed", b"mal\xc3\x28formed"), good.encode().replace(b"malformed", b"mal\xed\xa0\x80formed"),
                  good.replace('"asNumber": 1', '"asNumber": 1, "asNumber": 1').encode(), good.replace('"asNumber": 1', '"asNumber": NaN').encode(),
                  good.replace('"asNumber": 1', '"asNumber": 1e400').encode(), good.replace('"asNumber": 1', '"asNumber": [1]').encode(),
                  good.replace('"asNumber": 1', '"asNumber": {}').encode(), good.replace('"192.0.2.9"', "7").encode(),
                  b'{"metadata":[],"spec":{}}', b'{"metadata":{"name":7},"spec":{}}', b'{"metadata":{"name":"m"},"spec":[]}',
                  b'{"metadata":{"name":"m"},"spec":' + b"[" * 40 + b"]" * 40 + b"}",
                  b'{"a":' * 5000 + b"1" + b"}" * 5000, b"[" * 100000]
        for body in bodies:
            self.assert_status(self.request("POST", PEERS, body, JSON), 400, "BadRequest")
        self.assertEqual(self.count(), before)

    def test_no_body_at_all(self):
        """Of whatever type it would be, and whether its length is said or not."""
        ours, secrets = "/apis/bgppeerd.io/v1", "/api/v1/namespaces/default/secrets"
        self.create_peer("no-body")
        refused = [("POST", PEERS), ("PUT", f"{PEERS}/none"), ("PATCH", f"{PEERS}/none"), ("PUT", f"{PEERS}/no-body"), ("PATCH", f"{PEERS}/no-body"),
                   ("DELETE", f"{PEERS}/none"), ("POST", secrets), ("PUT", f"{secrets}/none"), ("POST", f"{ours}/previews"), ("POST", f"{ours}/applies"),
                   ("POST", f"{ours}/tokens"), ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")]
        vault = [("POST", f"{ours}/vault/rotations"), ("POST", f"{ours}/vault/rootkeychanges")]
        for kind in (None, "application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/merge-patch+json",
                     "application/json-patch+json"):
            said = f"Content-Type: {kind}\r\n" if kind else ""
            for length in ("", "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n"):
                for method, path in refused + vault:
                    with self.subTest(kind=kind, length=length, method=method, path=path), Wire(self.service) as wire:
                        wire.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{said}{length}\r\n" + ("0\r\n\r\n" if "chunked" in length else ""))
                        status = wire.read_answer()[0]
                        if (method, path) in vault:
                            self.assertLess(status, 500)
                        else:
                            self.assertIn(status, (400, 404, 415))

    def test_wrong_kind_or_version(self):
        for change in ({"kind": "BGPFilter"}, {"kind": "bgppeer"}, {"apiVersion": "v1"}, {"apiVersion": "crd.projectcalico.org/v1"},
                       {"kind": 7}):
            self.assert_status(self.request("POST", PEERS, {**json.loads(document("kind")), **change}), 400, "BadRequest")

    def test_size_at_the_limit(self):
        answer = self.request("POST", PEERS, document("largest", LIMIT), JSON)
        self.assertEqual(answer.status, 201, answer.body[:300])
        # Longer than the socket's buffers: the client must get to read the answer all the same.
        for size in (LIMIT + 1, LIMIT + 2, 8 * LIMIT):
            answer = self.send_all_then_read(document("too-large", size).encode())
            self.assertEqual(answer[0], 413)
            status = json.loads(answer[2])
            self.assertEqual((status["kind"], status["reason"], status["code"]), ("Status", "RequestEntityTooLarge", 413))
        self.assert_status(self.request("GET", f"{PEERS}/too-large"), 404)

    def send_all_then_read(self, body):
        with Wire(self.service) as wire:
            wire.send(f"POST {PEERS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
            wire.send(body)
            return wire.read_answer()

    def test_size_is_refused_before_it_is_sent(self):
        for method, path in (("POST", PEERS), ("PUT", f"{PEERS}/x"), ("PATCH", f"{PEERS}/x"), ("DELETE", f"{PEERS}/x")):
            for length in (LIMIT + 1, 2**31, 2**63, 10**18):
                with Wire(self.service) as wire:
                    wire.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n")
                    self.assertEqual(wire.read_answer()[0], 413, (method, length))

    def test_expect_continue(self):
        body = document("expected")
        with Wire(self.service) as wire:
            wire.send(f"POST {PEERS} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n")
            self.assertEqual(wire.read_until(b"\r\n\r\n"), b"HTTP/1.1 100 Continue")
            wire.send(body)
            self.assertEqual(wire.read_answer()[0], 201)
        for path, length, code in ((PEERS, LIMIT + 1, 413), ("/nowhere", 10, 404), ("/version", 10, 405)):
            with Wire(self.service) as wire:
                wire.send(f"POST {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
                self.assertEqual(wire.read_answer()[0], code, "without asking for the body first")

    def chunked(self, wire, body, size=65536):
        for start in range(0, len(body), size):
            piece = body[start:start + size]
            wire.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        wire.send(b"0\r\n\r\n")

    def test_chunked(self):
        head = f"POST {PEERS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        with Wire(self.service) as wire:
            for name, size, code in (("chunked", 7, 201), ("chunked-large", 65536, 201)):
                wire.send(head)
                self.chunked(wire, document(name, LIMIT if code == 201 and size > 7 else None).encode(), size)
                self.assertEqual(wire.read_answer()[0], code)
            wire.send(head)
            self.chunked(wire, document("chunked-too-large", LIMIT + 1).encode())
            status, _, body = wire.read_answer()
            self.assertEqual((status, json.loads(body)["reason"]), (413, "RequestEntityTooLarge"))
            wire.send(f"GET {PEERS}/chunked-too-large HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(wire.read_answer()[0], 404, "the connection is still good")

    def test_a_truncated_body_is_dropped(self):
        before = self.count()
        for body in (document("half")[:20], ""):
            with Wire(self.service) as wire:
                wire.send(f"POST {PEERS} HTTP/1.1\r\nHost: x\r\nContent-Length: 80\r\n\r\n{body}")
                wire.socket.shutdown(socket.SHUT_WR)
                self.assertNotIn(b" 201 ", wire.read_all(1))
        self.assertEqual(self.count(), before)

    def test_a_body_where_none_belongs(self):
        for method, path, code in (("GET", "/version", 200), ("GET", PEERS, 200), ("POST", "/version", 405), ("POST", "/nowhere", 404)):
            with Wire(self.service) as wire:
                for _ in range(2):
                    wire.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 3000\r\n\r\n" + "x" * 3000)
                    self.assertEqual(wire.read_answer()[0], code, "and the connection stays usable")


if __name__ == "__main__":
    unittest.main()
