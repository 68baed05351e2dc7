"""Bytes that no client should send, made up at random: every complete request is answered with a status that makes sense, or
the connection is closed; nothing crashes, hangs or is stored. Some seeds are always the same, one is fresh and printed. A failing case
names its SEED and NUMBER; both in the environment run that case alone (SEED alone: that seed's cases).

tests/run: timeout 240
"""
import os
import random
import re
import time
import unittest

from wire import GROUP, ServiceTest, Wire

SEEDS = ("1", "22", "333")
CASES = 100  # of a seed
SECONDS = 90  # a machine so slow that this is over runs fewer cases
OURS = "/apis/bgppeerd.io/v1"
PATHS = ("/", "/livez", "/version", "/api", "/apis", "/openapi.json", "/metrics", f"{GROUP}/bgppeers", f"{GROUP}/bgppeers/h", f"{GROUP}/nodes/h",
         f"{GROUP}/nodes/h/peerings", f"{GROUP}/bgpfilters", f"{GROUP}/bgpconfigurations/default", "/api/v1/namespaces/default/secrets",
         "/api/v1/namespaces/default/secrets/h", "/api/v1/secrets", f"{OURS}/previews", f"{OURS}/applies", f"{OURS}/tokens/h", f"{OURS}/vault", f"{OURS}/audit")
QUERIES = ("", "?", "?wait=1ms", "?wait=-1", "?wait=99999999999999999999s", "?watch=1&timeoutSeconds=1&resourceVersion=999999999999", "?limit=0", "?limit=-1",
           "?limit=18446744073709551616", "?continue=xx", "?continue=%00", "?labelSelector=a%20in%20(", "?labelSelector=((((((", "?fieldSelector=metadata.name%3D",
           "?fieldSelector=spec.x", "?resourceVersion=-1", "?resourceVersion=99999999999999999999999", "?dryRun=All", "?dryRun=Some", "?fieldValidation=Maybe",
           "?explain=", "?explain=h", "?passwords=true", "?preview=peerings", "?&&&===&", "?%", "?a=%zz", "?" + "a=b&" * 200, "?x=" + "y" * 5000, "?\u00e9=\u00fc")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW", "get", "", "G" * 300, "GET\t")
VERSIONS = ("HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.10", "http/1.1", "", "HTTP/1.1 x")
LENGTHS = ("0", "1", "5", "-1", "+5", "5,5", "05", " 5 ", "0x5", "99999999999999999999", "18446744073709551615", "1048576", "1048577", "", "five")
BODIES = (b"", b"{}", b"[]", b"null", b"{", b'{"metadata":{"name":"h"}}', b"\x00" * 20, b"k8s\x00\x0a\xff\xff\xff\xff\x0f", b"- a\n- &x [*x, *x]\n", b"a: &a [*a]",
          b'{"metadata":{"name":"' + b"h" * 300 + b'"}}', b'[{"op":"test","path":"/spec","value":1}]', b'[{"op":"copy","from":"","path":"/a/b"}]',
          b'{"spec":{"peerIP":"\\ud800"}}', b"\xef\xbb\xbf{}", b"[" * 60000)
CHUNKS = (b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"ffffffffffffffffff\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"5\r\nhel", b"5;x=\"y\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
          b"zz\r\n", b"\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n", b"00000000000000000000005\r\nhello\r\n0\r\n\r\n")
HEADERS = ("Connection: close", "Connection: keep-alive, close", "Connection: upgrade\r\nUpgrade: h2c",
           "Content-Type: application/json", "Content-Type: application/yaml", "Content-Type: application/merge-patch+json", "Content-Type: ;;;",
           "Content-Type: application/json-patch+json", "Content-Type: application/vnd.kubernetes.protobuf", "Content-Type: " + "a" * 3000,
           "Accept: */*", "Accept: ;q=", "Accept: " + "a/b," * 300, "Accept: application/json;as=Table;v=v1;g=meta.k8s.io", "Accept-Encoding: gzip",
           "If-Match: *", 'If-Match: "1"', "If-Match: ", 'If-Match: "', 'If-Match: "*"', "If-None-Match: *", 'If-None-Match: W/"a", "b", c', "If-None-Match: " + '"a",' * 500,
           "Expect: 100-continue", "Expect: 200-ok", "Range: bytes=0-1", "Cookie: a=b; c", "X-Request-Id: \u00e9", "X-Request-Id: " + "a" * 100, "Authorization: Bearer",
           "Authorization: Basic \x01", "X: a\r\n b", "Impersonate-User: admin", "X-HTTP-Method-Override: DELETE") + tuple(f"X-{i}: y" for i in range(4))
# These are the end of any request.
BROKEN = ("Host: y", "Host:", "Host: a b", "X\x00Y: z", "X: \x00", "No-Colon", ": empty", " folded: x", "Transfer-Encoding: gzip", "Transfer-Encoding: identity")

STATUSES = (100, 200, 201, 202, 304, 400, 403, 404, 405, 406, 409, 410, 411, 412, 413, 414, 415, 417, 422, 431, 501, 503, 504, 505)


class HostileTest(ServiceTest):
    arguments = ("--log-level", "warn")

    def target(self, choose):
        path = choose.choice(PATHS)
        for _ in range(choose.choice((0, 0, 0, 1, 2))):
            at = choose.randrange(len(path) + 1)
            path = path[:at] + choose.choice(("/", "//", "/../", "/./", "%2e%2e/", "%2F", "%00", "%", "%c3%28", "%25", ";", "\\", "\u00e9", "\x7f", "?", "#", "A", "")) + path[at:]
        prefix = choose.choice(("",) * 8 + ("http://h", "HTTP://u:p@h:80", "://", "*", "//h", "http://"))
        return prefix + path + choose.choice(QUERIES)

    def make(self, choose):
        """One request, more or less: its bytes."""
        headers = [choose.choice(HEADERS) for _ in range(choose.randrange(5))]
        if choose.random() < 0.1:
            headers.append(choose.choice(BROKEN))
        if choose.random() < 0.1:
            headers += ["A: b"] * choose.randrange(200)
        if choose.random() < 0.95:
            headers.append("Host: x")
        body = b""
        if choose.random() < 0.25:
            headers.append("Transfer-Encoding: chunked")
            body = b"".join(choose.choice(CHUNKS) for _ in range(choose.randrange(1, 3)))
        elif choose.random() < 0.6:
            body = choose.choice(BODIES)
            headers.append(f"Content-Length: {len(body)}")
        if choose.random() < 0.08:
            headers.append(f"Content-Length: {choose.choice(LENGTHS)}")
        choose.shuffle(headers)
        end = choose.choice(("\r\n",) * 18 + ("\n", "\r"))
        method = choose.choice(METHODS[:6] if choose.random() < 0.8 else METHODS)
        version = choose.choice(VERSIONS[:1] if choose.random() < 0.9 else VERSIONS)
        text = end.join([f"{method} {self.target(choose)} {version}", *headers, "", ""])
        data = bytearray(text.encode("utf-8", "surrogateescape") + body)
        if choose.random() < 0.1:
            for _ in range(choose.randrange(1, 5)):
                data[choose.randrange(len(data))] = choose.randrange(256)
        return bytes(data)

    def test_random_requests(self):
        seeds = (os.environ["SEED"],) if os.environ.get("SEED") else (*SEEDS, str(random.SystemRandom().randrange(10**9)))
        numbers = (int(os.environ["NUMBER"]),) if os.environ.get("NUMBER") else range(CASES)
        print(f"SEED={seeds[-1]}", flush=True)
        end = time.monotonic() + SECONDS
        for number in numbers:
            for seed in seeds:
                if number == numbers[0] or time.monotonic() < end:
                    self.check_case(seed, number)
        self.assertEqual(self.request("GET", "/livez").status, 200)

    def check_case(self, seed, number):
        choose = random.Random(f"{seed}-{number}")
        data = b"".join(self.make(choose) for _ in range(choose.choice((1, 1, 1, 2, 5))))
        with self.subTest(SEED=seed, NUMBER=number, data=data[:2000]):
            logged = len(self.service.log())
            self.check(data)
            self.assertNotIn("level=error", self.service.log()[logged:])

    def check(self, data):
        """Send it and take what comes. Where no answer comes, the service waits for more, as far as it can tell."""
        with Wire(self.service, seconds=60) as wire:
            try:
                wire.send(data)
            except ConnectionError:
                return
            answers = wire.read_all(0.03)
        for status in re.findall(rb"(?:^|\r\n|\})HTTP/1\.[01] (\d{3}) ", answers):
            self.assertIn(int(status), STATUSES, answers[:300])

    def test_every_trick_by_itself(self):
        for header in HEADERS + BROKEN:
            for method, body in (("GET", ""), ("POST", "{}")):
                with self.subTest(header=header[:60], method=method):
                    self.check(f"{method} {GROUP}/bgppeers HTTP/1.1\r\nHost: x\r\n{header}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        for length in LENGTHS:
            self.check(f"POST {GROUP}/bgppeers HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{{}}".encode())
        for chunks in CHUNKS:
            self.check(f"POST {GROUP}/bgppeers HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunks)
        for number, query in enumerate(QUERIES):
            for step in range(4):
                path = PATHS[(5 * step + number) % len(PATHS)]
                self.check(f"GET {path}{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.assertEqual(self.request("GET", "/livez").status, 200)
        self.assertNotIn("level=error", self.service.log())

    def test_a_body_cannot_become_a_request(self):
        """Where a proxy in front might see another end of the body than we do, the request is refused."""
        inner = f"DELETE {GROUP}/bgppeers/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        self.create_peer("smuggled")
        for framing in ("Content-Length: 0\r\nContent-Length: {n}", "Content-Length: {n}\r\nContent-Length: 0",
                        "Content-Length: {n}\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: {n}",
                        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding: identity, chunked",
                        "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, chunked", "Content-Length : {n}", "Content-Length\t: {n}",
                        "Transfer-Encoding : chunked", "Content-Length:\t0, {n}", "Content-Length: +{n}", "Host: y"):
            for method, path in (("GET", "/livez"), ("POST", f"{GROUP}/bgppeers")):
                with self.subTest(framing=framing, method=method), Wire(self.service) as wire:
                    wire.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{framing.format(n=len(inner))}\r\n\r\n{inner}")
                    answers = wire.read_all()  # it closes
                    self.assertEqual(re.findall(rb"HTTP/1\.[01] (\d{3})", answers)[:1], [b"400"], answers[:300])
                    self.assertEqual(self.request("GET", f"{GROUP}/bgppeers/smuggled").status, 200)

    def test_a_query_beyond_the_connections_memory(self):
        """libmicrohttpd drops such a connection without a word; nothing of it may stay."""
        for _ in range(20):
            self.check(f"GET /livez?{'a=b&' * 200} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for _ in range(40):  # its threads take such connections away when they have something to do
            self.assertEqual(self.request("GET", "/livez").status, 200)
        logged = len(self.service.log())
        self.assertEqual(self.service.stop(), 0)
        self.assertNotIn("event=stop-cuts", self.service.log()[logged:], "no request is thought to be under way")
        self.service.start()


if __name__ == "__main__":
    unittest.main()
