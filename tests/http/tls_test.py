"""HTTPS: versions, client certificates, reload, `bgppeerd tls init`, and the token command over TLS."""
import base64
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
import warnings

from service import PROGRAM, Response, Service, free_port

GROUP = "/apis/projectcalico.org/v3"
PUBLIC = {"/livez", "/readyz", "/healthz", "/version"}


class TlsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.pki = cls.make_pki("tls", "--node", "rack1-host1", "--node", "rack1-host2")
        cls.other = cls.make_pki("other")
        cls.port = free_port()
        cls.service = Service("--listen", f"https://127.0.0.1:{cls.port}", "--tls-cert", f"{cls.pki}/server.crt", "--tls-key",
                              f"{cls.pki}/server.key", "--client-ca", f"{cls.pki}/ca.crt", "--max-auth-failures", "0", "--stall-seconds", "2", auth=True)
        cls.addClassCleanup(cls.service.close)
        cls.service.start(scheme="http://")
        cls.service.apply_examples()

    @classmethod
    def make_pki(cls, name, *arguments):
        folder = os.path.join(cls.folder.name, name)
        subprocess.run([PROGRAM, "tls", "init", "--dir", folder, *arguments], check=True, capture_output=True, timeout=60)
        return folder

    def context(self, client=None, ca=None):
        context = ssl.create_default_context(cafile=f"{ca or self.pki}/ca.crt")
        if client is not None:
            context.load_cert_chain(client + ".crt", client + ".key")
        return context

    def get(self, path, client=None, token=None, context=None, method="GET", body=None):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=context or self.context(client))
        try:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            connection.request(method, path, headers=headers, body=body)
            answer = connection.getresponse()
            return Response(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def who(self, **options):
        answer = self.get("/apis/authentication.k8s.io/v1/selfsubjectreviews", method="POST", body="{}", **options)
        return answer.json()["status"]["userInfo"]["username"] if answer.status == 201 else answer.status

    def test_a_stalled_watch_ends_cleanly(self):
        peers = "/apis/projectcalico.org/v3/bgppeers"
        version = self.service.request("GET", peers).json()["metadata"]["resourceVersion"]
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.settimeout(60)
        plain.connect(("127.0.0.1", self.port))
        with self.context(f"{self.pki}/admin").wrap_socket(plain, server_hostname="127.0.0.1") as watch:
            watch.sendall(f"GET {peers}?watch=1&resourceVersion={version} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            for number in range(40):
                patch = {"metadata": {"annotations": {"n": f"{number} " + "x" * 50_000}}}
                self.assertEqual(self.service.request("PATCH", f"{peers}/rack1-host1-tor", patch, {"Content-Type": "application/merge-patch+json"}).status, 200)
            self.service.wait_for_log("event=watch-stalled")
            answer = http.client.HTTPResponse(watch)
            answer.begin()
            *events, last = [json.loads(line) for line in answer.read().splitlines()]  # read() asks for the last chunk
            self.assertEqual([int(event["object"]["metadata"]["annotations"]["n"].split()[0]) for event in events], list(range(len(events))))
            self.assertLess(len(events), 40)
            self.assertEqual((last["type"], last["object"]["code"]), ("ERROR", 410))

    def test_credentials(self):
        self.assertEqual(self.get("/version").status, 200)
        self.assertEqual(self.who(), 401)
        self.assertEqual(self.who(client=f"{self.pki}/admin"), "admin")
        self.assertEqual(self.who(client=f"{self.pki}/node-rack1-host1"), "system:node:rack1-host1")
        self.assertEqual(self.who(token=self.service.token), "token:" + self.service.token[4:20])
        # A token says more precisely who it is than the certificate it comes with.
        self.assertEqual(self.who(client=f"{self.pki}/node-rack1-host1", token=self.service.token)[:6], "token:")
        self.assertEqual(self.who(client=f"{self.pki}/admin", token="bpd_wrong"), 401)
        # Certificates of another CA, and of ours but not for clients.
        self.assertEqual(self.who(context=self.context(f"{self.other}/admin")), 401)
        self.assertEqual(self.who(client=f"{self.pki}/server"), 401)

    def test_a_wrong_certificate_opens_no_route(self):
        """Every route of the document, which another test holds to the router's table. tests/http/auth_test.py has the
        other callers."""
        document = self.get("/openapi.json", client=f"{self.pki}/admin").json()
        wrong = {"another CA's": self.context(f"{self.other}/admin"), "not for clients": self.context(f"{self.pki}/server")}
        count = 0
        for template, item in document["paths"].items():
            path = template.replace("{namespace}", "default").replace("{name}", "rack1-host1")
            for method in item.keys() - {"parameters"}:
                for name, context in wrong.items():
                    with self.subTest(certificate=name, method=method, path=template):
                        answer = self.get(path, context=context, method=method.upper())
                        self.assertEqual(answer.status, 200 if template in PUBLIC else 401, answer.body)
                        count += 1
        self.assertGreater(count, 80)

    def test_a_node_by_certificate(self):
        for name, status in (("rack1-host1", 200), ("rack1-host2", 403)):
            answer = self.get(f"{GROUP}/nodes/{name}/peerings", client=f"{self.pki}/node-rack1-host1")
            self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(self.get(f"{GROUP}/nodes", client=f"{self.pki}/node-rack1-host1").status, 403)

    def test_a_web_page_has_no_use_of_a_certificate(self):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self.context(f"{self.pki}/admin"))
        for headers, status in (({}, 200), ({"Origin": "https://example.org"}, 403),
                                ({"Origin": "https://example.org", "Authorization": f"Bearer {self.service.token}"}, 200)):
            connection.request("GET", f"{GROUP}/nodes", headers=headers)
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, status, headers)
        connection.close()

    def test_old_versions_are_refused(self):
        context = self.context()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        except ValueError:
            self.skipTest("this OpenSSL has no TLS 1.1")
        with self.assertRaises((ssl.SSLError, OSError)):
            self.get("/version", context=context)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.context(f"{self.pki}/admin")
            context.minimum_version = context.maximum_version = version
            self.assertEqual(self.who(context=context), "admin")

    def test_reload_keeps_connections(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("server.crt", "server.key", "ca.crt"):
                with open(f"{self.pki}/{name}", "rb") as source, open(f"{folder}/{name}", "wb") as target:
                    target.write(source.read())
            port = free_port()
            service = Service("--listen", f"https://127.0.0.1:{port}", "--tls-cert", f"{folder}/server.crt", "--tls-key", f"{folder}/server.key",
                              auth=True)
            service.start(scheme="http://")
            try:
                held = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=self.context())
                held.request("GET", "/version")
                held.getresponse().read()
                before = held.sock.getpeercert(True)
                with open(f"{folder}/server.key", "w", encoding="ascii") as broken:
                    broken.write("nonsense")
                service.process.send_signal(signal.SIGHUP)
                service.wait_for_log("reload-failed")
                for name in ("server.crt", "server.key"):
                    with open(f"{self.other}/{name}", "rb") as source, open(f"{folder}/{name}", "wb") as target:
                        target.write(source.read())
                service.process.send_signal(signal.SIGHUP)
                service.wait_for_log("event=reloaded")
                held.request("GET", "/version")
                self.assertEqual(held.getresponse().read()[:1], b"{")
                fresh = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=self.context(ca=self.other))
                fresh.request("GET", "/version")
                fresh.getresponse().read()
                self.assertNotEqual(fresh.sock.getpeercert(True), before)
                held.close()
                fresh.close()
            finally:
                service.close()

    def test_token_command_over_tls(self):
        port = free_port()
        with tempfile.TemporaryDirectory() as folder:
            process = subprocess.Popen([PROGRAM, "serve", "--listen", f"127.0.0.1:{port}", "--data-dir", f"{folder}/data", "--tls-cert",
                                        f"{self.pki}/server.crt", "--tls-key", f"{self.pki}/server.key"], stderr=subprocess.PIPE, text=True)
            try:
                while "event=ready" not in process.stderr.readline():
                    self.assertIsNone(process.poll())
                done = subprocess.run([PROGRAM, "token", "create", "--role", "viewer", "--data-dir", f"{folder}/data"], capture_output=True,
                                      text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertRegex(done.stdout, "^bpd_")
                # Whoever has another key than the file's gets no token, whatever authority vouches for it.
                with open(f"{folder}/data/listen", "w", encoding="ascii") as file:
                    file.write(f"https://127.0.0.1:{port} {self.pki}/ca.crt\n")
                done = subprocess.run([PROGRAM, "token", "list", "--data-dir", f"{folder}/data"], capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(f"does not have the certificate in {self.pki}/ca.crt", done.stderr)
            finally:
                process.terminate()
                process.wait(20)
                process.stderr.close()

    def test_init_keeps_what_there_is(self):
        with open(f"{self.pki}/ca.crt", "rb") as file:
            ca = file.read()
        self.make_pki("tls", "--node", "rack9")
        with open(f"{self.pki}/ca.crt", "rb") as file:
            self.assertEqual(file.read(), ca)
        for name in os.listdir(self.pki):
            self.assertEqual(os.stat(f"{self.pki}/{name}").st_mode & 0o777, 0o644 if name.endswith(".crt") else 0o600, name)

    def test_keys_have_their_exact_form(self):
        """PKCS #8 with an ECPrivateKey of 32 bytes (RFC 5915, 3), whatever number it is: strict libraries want that."""
        for number in range(4):
            folder = self.make_pki(f"form{number}")
            for name in ("ca", "server", "admin"):
                with open(f"{folder}/{name}.key", encoding="ascii") as file:
                    lines = file.read().split("\n")
                self.assertEqual((lines[0], lines[-2:]), ("-----BEGIN PRIVATE KEY-----", ["-----END PRIVATE KEY-----", ""]))
                der = base64.b64decode("".join(lines[1:-2]))
                self.assertEqual(len(der), 138)
                self.assertEqual(der[:36].hex(), "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420")
                self.assertEqual(der[68:74].hex(), "a14403420004")
                # OpenSSL and the service take it as the certificate's.
                ssl.create_default_context().load_cert_chain(f"{folder}/{name}.crt", f"{folder}/{name}.key")

    def test_init_overwrites_no_key(self):
        """Also not the CA's whose certificate was moved away: everything signed by it would be lost."""
        folder = self.make_pki("keys")
        keys = {}
        for name in ("ca", "server", "admin"):
            with open(f"{folder}/{name}.key", "rb") as file:
                keys[name] = file.read()
            if name != "admin":
                os.rename(f"{folder}/{name}.crt", f"{folder}/{name}.old")
        self.make_pki("keys", "--host", "other.example")
        for name, before in keys.items():
            with open(f"{folder}/{name}.key", "rb") as file:
                self.assertEqual(file.read(), before, name)
        # What was signed before is still good: ask a service that trusts the new certificate of the old key.
        port = free_port()
        service = Service("--listen", f"https://127.0.0.1:{port}", "--tls-cert", f"{folder}/server.crt", "--tls-key", f"{folder}/server.key",
                          "--client-ca", f"{folder}/ca.crt", auth=True)
        self.addCleanup(service.close)
        service.start(scheme="http://")
        context = self.context(f"{folder}/admin", ca=folder)
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
        self.addCleanup(connection.close)
        connection.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}")
        self.assertIn(b'"admin"', connection.getresponse().read())
        with open(f"{folder}/node-broken.key", "w", encoding="ascii") as file:
            file.write("no key")
        done = subprocess.run([PROGRAM, "tls", "init", "--dir", folder, "--node", "broken"], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("node-broken.key", done.stderr)

    def test_certificates_end_with_their_ca(self):
        folder = self.make_pki("old", "--days", "3650")

        def end_of(name):
            return ssl.cert_time_to_seconds(ssl._ssl._test_decode_cert(f"{folder}/{name}.crt")["notAfter"])

        self.assertEqual(end_of("server"), end_of("ca"))
        # Ten years less a second later the CA would be outlived by whatever is made now.
        time.sleep(1.1)
        os.remove(f"{folder}/server.crt")
        self.make_pki("old", "--days", "3650")
        self.assertEqual(end_of("server"), end_of("ca"))

    def test_files_that_do_not_fit(self):
        for cert, key, words in ((f"{self.pki}/server.crt", f"{self.other}/server.key", "belongs together"), (f"{self.pki}/server.key", f"{self.pki}/server.key", "--tls-cert"),
                                 (f"{self.pki}/server.crt", "/nonexistent", "--tls-key")):
            with tempfile.TemporaryDirectory() as folder:
                done = subprocess.run([PROGRAM, "serve", "--listen", "127.0.0.1:0", "--data-dir", f"{folder}/d", "--tls-cert", cert, "--tls-key", key],
                                      capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
