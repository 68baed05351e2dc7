"""What stands between: proxies change entity tags and headers, clients send them in their own ways, and some send traps."""
import gzip
import itertools
import json
import unittest

from wire import GROUP, MERGE, ServiceTest, Wire

PEERS = f"{GROUP}/bgppeers"
LIST = f"{GROUP}/nodes/n/peerings"


def forms(tag):
    """What proxies and clients make of "x": nginx and HAProxy, Apache, Jetty, other codings, and scripts without quotes."""
    text = tag.strip('"')
    marked = [f'"{text}{mark}"' for mark in ("", "-gzip", ";gzip", "--gzip", "-br", "-zstd", ":gzip")]
    return marked + [f"W/{form}" for form in marked] + [text, f"{text}-gzip", f'"other", "{text}-gzip"']


class TagsTest(ServiceTest):
    def setUp(self):
        node = {"metadata": {"name": "n"}, "spec": {"bgp": {"ipv4Address": "192.0.2.1"}}}
        self.assertIn(self.request("PUT" if self.has_node() else "POST", f"{GROUP}/nodes" + ("/n" if self.has_node() else ""), node).status, (200, 201))
        self.tag = self.request("GET", LIST).headers["ETag"]

    def has_node(self):
        return self.request("GET", f"{GROUP}/nodes/n").status == 200

    def test_a_poll(self):
        for form in forms(self.tag):
            answer = self.request("GET", LIST, None, {"If-None-Match": form})
            self.assertEqual((answer.status, answer.headers["ETag"]), (304, self.tag), form)
        for form in ('"x-gzip"', self.tag[:-2] + '-gzip"', f'"x{self.tag[1:]}', self.tag[:-1] + '-p"'):
            self.assertEqual(self.request("GET", LIST, None, {"If-None-Match": form}).status, 200, form)

    def test_a_poll_that_waits(self):
        """It must park: a client whose tag is not known would ask again and again."""
        wires = []
        for count, form in enumerate(forms(self.tag), 1):
            wires.append(Wire(self.service))
            wires[-1].send(f"GET {LIST}?wait=100s HTTP/1.1\r\nHost: x\r\nIf-None-Match: {form}\r\n\r\n")
            self.service.wait_until_waiting(count)
        for wire in wires:
            wire.socket.close()

    def test_a_list_in_several_lines(self):
        others = [f'"other-{i}"' for i in range(20)]
        for lines in (["\"other\"", self.tag], [self.tag, "\"other\""], [*others, self.tag], ["", self.tag], ['"a", "b"', f'"c", W/{self.tag}']):
            with Wire(self.service) as wire:
                headers = "".join(f"If-None-Match: {line}\r\n" for line in lines)
                wire.send(f"GET {LIST} HTTP/1.1\r\nHost: x\r\n{headers}\r\n")
                self.assertEqual(wire.read_answer()[0], 304, lines)
        with Wire(self.service) as wire:
            wire.send(f"GET {LIST} HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nAccept: application/json\r\n\r\n")
            self.assertEqual(wire.read_answer()[0], 200)

    def test_conditional_writes(self):
        made = self.request("POST", PEERS, {"metadata": {"name": "p"}, "spec": {"peerIP": "192.0.2.9", "asNumber": 65001}}).json()
        version = made["metadata"]["resourceVersion"]
        for number, form in enumerate(forms(f'"{version}"')):
            tag = self.request("GET", f"{PEERS}/p").headers["ETag"]
            form = form.replace(version, tag.strip('"'))
            answer = self.request("PATCH", f"{PEERS}/p", {"spec": {"asNumber": 65100 + number}}, {**MERGE, "If-Match": form})
            self.assertEqual(answer.status, 200, (form, answer.body))
            # The one before is not there any more.
            self.assert_status(self.request("PATCH", f"{PEERS}/p", {"spec": {"asNumber": 1}}, {**MERGE, "If-Match": form}), 412)
        with Wire(self.service) as wire:
            tag = self.request("GET", f"{PEERS}/p").headers["ETag"]
            wire.send(f"DELETE {PEERS}/p HTTP/1.1\r\nHost: x\r\nIf-Match: \"0\"\r\nIf-Match: {tag}\r\n\r\n")
            self.assertEqual(wire.read_answer()[0], 200)

    def test_a_stale_tag_in_any_form_is_no_match(self):
        made = self.request("POST", PEERS, {"metadata": {"name": "stale"}, "spec": {"peerIP": "192.0.2.8", "asNumber": 65001}}).json()
        for form in forms('"1"'):
            body = {"metadata": {"name": "stale"}, "spec": {**made["spec"], "asNumber": 2}}
            self.assert_status(self.request("PUT", f"{PEERS}/stale", body, {"If-Match": form}), 412, "PreconditionFailed")
        self.assertEqual(self.request("GET", f"{PEERS}/stale").json()["spec"]["asNumber"], 65001)
        self.assertEqual(self.request("DELETE", f"{PEERS}/stale").status, 200)

    def test_an_apply_after_a_preview(self):
        document = [{"apiVersion": "projectcalico.org/v3", "kind": "BGPPeer", "metadata": {"name": "applied"}, "spec": {"peerIP": "192.0.2.7", "asNumber": 65001}}]
        for number, (before, after) in enumerate((('"', '"'), ('W/"', '-gzip"'), ("", ""))):
            document[0]["spec"]["asNumber"] = 65200 + number
            version = self.request("POST", "/apis/bgppeerd.io/v1/previews", document).json()["metadata"]["resourceVersion"]
            answer = self.request("POST", "/apis/bgppeerd.io/v1/applies", document, {"If-Match": f"{before}{version}{after}"})
            self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(self.request("DELETE", f"{PEERS}/applied").status, 200)


class FramingTest(ServiceTest):
    def status(self, data):
        with Wire(self.service) as wire:
            wire.send(data)
            return wire.read_answer()[0]

    def refuse(self, data):
        """400, and nothing behind it is taken for another request."""
        with Wire(self.service) as wire:
            wire.send(data + b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = wire.read_all(5)
            self.assertTrue(answer.startswith(b"HTTP/1.1 400") or answer.startswith(b"HTTP/1.0 400"), (data, answer[:200]))
            self.assertNotIn(b"gitVersion", answer, data)

    def test_a_nul_anywhere_in_the_head(self):
        """libmicrohttpd ends what it reads there, and a proxy in front may not."""
        head = b"GET /livez HTTP/1.1\r\nHost: x\r\nX-First: one\r\nX-Last: two\r\n\r\n"
        self.assertEqual(self.status(head), 200)
        for at in range(len(b"GET "), len(head) - 2):
            self.refuse(head[:at] + b"\0" + head[at:])
        for hidden in (b"\0x", b"\0Transfer-Encoding: chunked", b" \0", b"\0\0\0"):
            self.refuse(head.replace(b"two", b"two" + hidden))
            self.refuse(head.replace(b"/livez", b"/livez" + hidden))
            self.refuse(head.replace(b"X-Last", hidden + b"X-Last"))

    def test_heads_that_are_unusual_and_whole(self):
        line_ends = (b"\r\n", b"\n")
        values = (b"", b" ", b"a", b"  a", b"a  ", b"\ta\t", b"a b", b"\xc3\xa9", b"=;,\"")
        for end, value in itertools.product(line_ends, values):
            head = end.join((b"GET /livez?a=1&b&c=%20 HTTP/1.1", b"Host: x", b"X-One:" + value, b"Cookie: a=1; b=2", b"X-Two:" + value, b"", b""))
            self.assertEqual(self.status(head), 200, head)
        self.assertEqual(self.status(b"\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n"), 200)

    def test_folded_headers_and_lone_carriage_returns(self):
        for broken in (b"X: a\rb", b"X: a\rHost: y", b"X: a\r"):
            self.refuse(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + broken + b"\r\n\r\n")
        for fold in (b"X: a\r\n b", b"X: a\r\n\tb", b"Host: x\r\n y"):
            self.refuse(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + fold + b"\r\n\r\n")

    def test_chunks_of_http_1_0(self):
        for connection in (b"", b"Connection: keep-alive\r\n"):
            self.refuse(b"POST " + PEERS.encode() + b" HTTP/1.0\r\nHost: x\r\n" + connection + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        self.assertEqual(self.status(b"GET /livez HTTP/1.0\r\n\r\n"), 200)

    def test_bodies_with_a_coding(self):
        body = json.dumps({"metadata": {"name": "coded"}, "spec": {"peerIP": "192.0.2.1", "asNumber": 65001}}).encode()
        for coding in ("gzip", "x-gzip", "br", "deflate", "zstd", "identity, gzip", "gzip, identity", "nonsense"):
            for sent in (gzip.compress(body), body):
                answer = self.request("POST", PEERS, sent, {"Content-Type": "application/json", "Content-Encoding": coding})
                status = self.assert_status(answer, 415, "UnsupportedMediaType")
                self.assertIn("Content-Encoding", status["message"])
                self.assertEqual(answer.headers["Accept-Encoding"], "identity")
        for coding in ("", "identity", "Identity"):
            headers = {"Content-Type": "application/json", "Content-Encoding": coding}
            self.assertEqual(self.request("POST", f"{PEERS}?dryRun=All", body, headers).status, 201)
        self.assertNotIn("Accept-Encoding", self.request("POST", PEERS, body, {"Content-Type": "text/plain"}).headers)


if __name__ == "__main__":
    unittest.main()
