"""Client certificates at their edges: made byte by byte here and signed by the service's CA, so that they are wrong in one
point each."""
import base64
import contextlib
import datetime
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import unittest

from service import PROGRAM, Service, free_port

UTF8, PRINTABLE, IA5, TELETEX, BMP = 0x0c, 0x13, 0x16, 0x14, 0x1e
COMMON_NAME, ORGANISATION = "550403", "55040a"
CLIENT, SERVER, ANY = "2b06010505070302", "2b06010505070301", "551d2500"
ADMIN = (ORGANISATION, UTF8, b"bgppeerd:admin")
NODES = (ORGANISATION, UTF8, b"system:nodes")


def der(tag, *parts):
    content = b"".join(parts)
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x81, size]) if size < 256 else bytes([0x82, size >> 8, size & 255])
    return bytes([tag]) + length + content


def oid(text):
    return der(6, bytes.fromhex(text))


def read(data):
    """(whole element, its content, the rest) of the first DER element."""
    size, start = data[1], 2
    if size & 0x80:
        start += size & 0x7f
        size = int.from_bytes(data[2:start], "big")
    return data[:start + size], data[start:start + size], data[start + size:]


def pem_bytes(path):
    with open(path, encoding="ascii") as file:
        return base64.b64decode("".join(line for line in file.read().splitlines() if not line.startswith("-")))


def common_name(text, tag=UTF8):
    return COMMON_NAME, tag, text if isinstance(text, bytes) else text.encode()


@unittest.skipUnless(shutil.which("openssl"), "openssl is not installed: it signs the certificates")
class CertificateTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        for name in ("pki", "other"):
            subprocess.run([PROGRAM, "tls", "init", "--dir", f"{cls.folder}/{name}"], check=True, capture_output=True, timeout=60)
        cls.pki = f"{cls.folder}/pki"
        # Of the CA's certificate its subject, of the admin's its public key.
        fields = []
        for name in ("ca", "admin"):
            rest, parts = read(read(pem_bytes(f"{cls.pki}/{name}.crt"))[1])[1], []
            while rest:
                whole, _, rest = read(rest)
                parts.append(whole)
            fields.append(parts)
        cls.issuer, cls.public_key = fields[0][5], fields[1][6]
        cls.port = free_port()
        cls.service = Service("--listen", f"https://127.0.0.1:{cls.port}", "--tls-cert", f"{cls.pki}/server.crt", "--tls-key", f"{cls.pki}/server.key",
                              "--client-ca", f"{cls.pki}/ca.crt", "--max-auth-failures", "0", auth=True)
        cls.addClassCleanup(cls.service.close)
        cls.service.start(scheme="http://")

    def make(self, subject, purposes=(CLIENT,), days=(-1, 1), signer="pki"):
        """The path of a new certificate for admin.key."""
        now = datetime.datetime.now(datetime.timezone.utc)
        times = [der(0x17, (now + datetime.timedelta(days=day)).strftime("%y%m%d%H%M%SZ").encode()) for day in days]
        names = [der(0x31, der(0x30, oid(kind), der(tag, text))) for kind, tag, text in subject]
        algorithm = der(0x30, oid("2a8648ce3d040302"))  # ecdsa-with-SHA256
        extensions = []
        if purposes:
            extensions.append(der(0x30, oid("551d25"), der(4, der(0x30, *[oid(purpose) for purpose in purposes]))))
        body = der(0x30, der(0xa0, der(2, b"\2")), der(2, b"\1" + os.urandom(8)), algorithm, self.issuer, der(0x30, *times), der(0x30, *names),
                   self.public_key, der(0xa3, der(0x30, *extensions)) if extensions else b"")
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", f"{self.folder}/{signer}/ca.key"], input=body, capture_output=True,
                                   check=True, timeout=60).stdout
        path = f"{self.folder}/made.crt"
        with open(path, "w", encoding="ascii") as file:
            text = base64.encodebytes(der(0x30, body, algorithm, der(3, b"\0", signature))).decode()
            file.write(f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n")
        return path

    def who(self, *subject, **options):
        """The user's name and first group, or the refusal's status and sentence."""
        context = ssl.create_default_context(cafile=f"{self.pki}/ca.crt")
        context.load_cert_chain(self.make(subject, **options), f"{self.pki}/admin.key")
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=context)
        try:
            connection.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body="{}")
            answer = connection.getresponse()
            document = json.loads(answer.read())
            if answer.status != 201:
                return answer.status, document["message"]
            return document["status"]["userInfo"]["username"], document["status"]["userInfo"]["groups"][0]
        finally:
            connection.close()

    def assert_refused(self, words, *subject, **options):
        status, message = self.who(*subject, **options)
        self.assertEqual(status, 401, message)
        self.assertIn(words, message)

    def test_validity_purpose_and_issuer(self):
        alice = (common_name("alice"), ADMIN)
        self.assertEqual(self.who(*alice), ("alice", "bgppeerd:admin"))
        self.assert_refused("expired", *alice, days=(-3, -1))
        self.assert_refused("not yet valid", *alice, days=(1, 3))
        self.assert_refused("intended purpose", *alice, purposes=(SERVER,))
        self.assertEqual(self.who(*alice, purposes=(SERVER, CLIENT))[0], "alice")
        self.assertEqual(self.who(*alice, purposes=(ANY,))[0], "alice")
        self.assertEqual(self.who(*alice, purposes=())[0], "alice")  # no restriction (RFC 5280, 4.2.1.12)
        self.assert_refused("signature", *alice, signer="other")  # in our CA's name by another's key

    def test_groups(self):
        def groups(*names):
            return [(ORGANISATION, UTF8, name) for name in names]

        self.assertEqual(self.who(common_name("bob"), *groups(b"x", b"bgppeerd:viewer", b"bgppeerd:operator"))[1], "bgppeerd:operator")
        self.assertEqual(self.who(*groups(b"system:masters"), common_name("bob"))[1], "bgppeerd:admin")
        for wrong in (b"BGPPEERD:ADMIN", b" bgppeerd:admin", b"bgppeerd:admin ", b"bgppeerd:admin\0x", b"bgppeerd:admin,O=x", b"", b"x" * 300):
            self.assert_refused("organisation", common_name("bob"), *groups(wrong))
        # One that is no text hides none that stands behind it.
        self.assertEqual(self.who(common_name("bob"), *groups(b"a\0b", b"x" * 300, b"bgppeerd:viewer"))[1], "bgppeerd:viewer")
        self.assert_refused("organisation", common_name("bob"))

    def test_names(self):
        for text in ("alice", "Jürgen Ж", 'a"b\\c', "Doe, John", "#0c03", " x "):
            self.assertEqual(self.who(common_name(text), ADMIN)[0], text)
        self.assertEqual(self.who(common_name("alice", PRINTABLE), ADMIN)[0], "alice")
        self.assertEqual(self.who(common_name("a@example.net", IA5), ADMIN)[0], "a@example.net")
        self.assert_refused("common name", ADMIN)
        for text in (b"", b"alice\0bob", b"a\nb", b"a\x7fb", "a\x9bb".encode(), b"x" * 300):
            self.assert_refused("common name", common_name(text), ADMIN)
        self.assert_refused("common name", common_name(b"J\xfcrgen", TELETEX), ADMIN)
        self.assert_refused("common name", common_name("alice".encode("utf-16-be"), BMP), ADMIN)

    def test_names_of_others(self):
        """Nobody is called as this service calls tokens, nodes, itself; whatever the case, nodes are by their group alone."""
        for text in ("token:0011223344556677", "token:", "system:node:n1", "system:anonymous", "system:", "local:root", "anonymous"):
            for role in (ADMIN, (ORGANISATION, UTF8, b"bgppeerd:viewer")):
                self.assert_refused("gives to others", common_name(text), role)
        self.assertEqual(self.who(common_name("system:node:n1"), NODES), ("system:node:n1", "system:nodes"))
        self.assert_refused("gives to others", common_name("system:node:n1"), NODES, ADMIN)
        for text in (" ", "   "):
            self.assert_refused("common name", common_name(text), ADMIN)
        for text in ("tokens", "systematic", "my token:1"):
            self.assertEqual(self.who(common_name(text), ADMIN)[0], text)

    def revoke(self, path, serials, signer="pki", days=(-1, 1)):
        """Write a revocation list."""
        now = datetime.datetime.now(datetime.timezone.utc)
        times = [der(0x17, (now + datetime.timedelta(days=day)).strftime("%y%m%d%H%M%SZ").encode()) for day in days]
        algorithm = der(0x30, oid("2a8648ce3d040302"))
        revoked = [der(0x30, serial, times[0]) for serial in serials]
        body = der(0x30, der(2, b"\1"), algorithm, self.issuer, *times, *([der(0x30, *revoked)] if revoked else []))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", f"{self.folder}/{signer}/ca.key"], input=body, capture_output=True,
                                   check=True, timeout=60).stdout
        text = base64.encodebytes(der(0x30, body, algorithm, der(3, b"\0", signature))).decode()
        with open(path, "w", encoding="ascii") as file:
            file.write(f"-----BEGIN X509 CRL-----\n{text}-----END X509 CRL-----\n")

    def reload(self, service, event):
        before = service.log().count(event)
        service.process.send_signal(signal.SIGHUP)
        for _ in range(6000):
            if service.log().count(event) > before:
                return
            time.sleep(0.01)
        self.fail(event)

    def test_revoked(self):
        alice, path = (common_name("alice"), ADMIN), f"{self.folder}/client.crl"
        arguments = ("--tls-cert", f"{self.pki}/server.crt", "--tls-key", f"{self.pki}/server.key", "--client-ca", f"{self.pki}/ca.crt",
                     "--client-crl", path, "--max-auth-failures", "0")

        def serial(made):
            inside = read(read(pem_bytes(made))[1])[1]
            return read(read(inside)[2])[0]

        def ask(port):
            context = ssl.create_default_context(cafile=f"{self.pki}/ca.crt")
            context.load_cert_chain(made, f"{self.pki}/admin.key")
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
            connection.request("GET", "/apis/projectcalico.org/v3/nodes")
            answer = connection.getresponse()
            answer.read()
            connection.close()
            return answer.status

        made = self.make(alice)
        self.revoke(path, [])
        port = free_port()
        service = Service("--listen", f"https://127.0.0.1:{port}", *arguments, auth=True)
        with contextlib.closing(service):
            service.start(scheme="http://")
            self.assertEqual(ask(port), 200)
            for content, status in (((serial(made),), 401), ((b"\2\1\7",), 200), ((b"\2\1\7", serial(made)), 401)):
                self.revoke(path, content)
                self.reload(service, "event=reloaded")
                self.assertEqual(ask(port), status)
            # What cannot be used leaves what there was; one that is out of date counts still.
            self.revoke(path, [], signer="other")
            self.reload(service, "event=reload-failed")
            self.assertEqual(ask(port), 401)
            with open(path, "w", encoding="ascii") as file:
                file.write("nothing")
            self.reload(service, "event=reload-failed")
            self.assertEqual(ask(port), 401)
            self.revoke(path, [serial(made)], days=(-3, -1))
            self.reload(service, "event=reloaded")
            self.assertEqual(ask(port), 401)
            self.assertIn("client-crl-outdated", service.log())
        for words, options in (("--client-crl", ("--client-crl", "missing")), ("--client-ca", ("--client-crl", path))):
            result = subprocess.run([PROGRAM, "serve", "--data-dir", f"{self.folder}/x", "--tls-cert", f"{self.pki}/server.crt", "--tls-key",
                                     f"{self.pki}/server.key", *(("--client-ca", f"{self.pki}/ca.crt") if "missing" in options else ()), *options],
                                    capture_output=True, text=True, timeout=60)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(words, result.stderr)

    def test_nodes(self):
        self.assertEqual(self.who(common_name("system:node:rack1"), NODES), ("system:node:rack1", "system:nodes"))
        for text in ("rack1", "system:node:", "SYSTEM:NODE:rack1", "system:node:" + "x" * 254):
            self.assert_refused("organisation", common_name(text), NODES)


if __name__ == "__main__":
    unittest.main()
