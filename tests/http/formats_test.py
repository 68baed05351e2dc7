"""The peering list as a daemon's configuration: formats, tags, waiting, and who sees passwords in it."""
import concurrent.futures
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from service import Service
from wire import GROUP, ServiceTest

FORMATS = ("bird2", "bird3", "frr", "gobgp", "openbgpd")
OURS = "/apis/bgppeerd.io/v1"
PASSWORD = "f0rmats-pass"


def list_path(node, query=""):
    return f"{GROUP}/nodes/{node}/peerings{query}"


class FormatsTest(ServiceTest):
    def fetch(self, node, name, headers=None):
        return self.request("GET", list_path(node, f"?format={name}"), None, headers or {})

    def make(self, node, address, **spec):
        self.create_node(node, f"{address}/24", {"rack": node})
        peer = {"nodeSelector": f"rack == '{node}'", "peerIP": "192.0.2.254", "asNumber": 63400} | spec
        self.create_peer(f"{node}-tor", **peer)

    def test_every_format(self):
        self.make("written", "192.0.2.1")
        for name in FORMATS:
            answer = self.fetch("written", name)
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual(answer.headers["Content-Type"], f"text/vnd.bgppeerd.{name}")
            self.assertEqual(answer.headers["Cache-Control"], "private, no-cache")
            self.assertEqual(answer.headers["Vary"], "Authorization, Accept")
            first = answer.body.decode().split("\n")[0]
            self.assertRegex(first, rf"^[#!] bgppeerd node=written resourceVersion=\d+ etag=\S+ format={name} renderer=\d+$")
            self.assertEqual(re.search(r"etag=(\S+)", first)[1], answer.headers["ETag"].strip('"'))
            self.assertIn("192.0.2.254", answer.body.decode())
            self.assertEqual(self.fetch("written", name).body, answer.body)
            by_type = self.request("GET", list_path("written"), None, {"Accept": f"text/vnd.bgppeerd.{name}"})
            self.assertEqual((by_type.body, by_type.headers["ETag"]), (answer.body, answer.headers["ETag"]))
            head = self.request("HEAD", list_path("written", f"?format={name}"))
            self.assertEqual((head.status, head.body, head.headers["ETag"]), (200, b"", answer.headers["ETag"]))

    def test_json_is_a_format(self):
        self.make("plain", "192.0.2.2")
        plain = self.request("GET", list_path("plain"))
        named = self.fetch("plain", "json", {"Accept": "text/vnd.bgppeerd.frr"})
        self.assertEqual((named.body, named.headers["ETag"]), (plain.body, plain.headers["ETag"]))
        self.assertEqual(named.headers["Content-Type"], "application/json")

    def test_the_first_type_that_is_served_counts(self):
        self.make("chosen", "192.0.2.3")
        for accept, expected in (("text/plain, text/vnd.bgppeerd.frr", "text/vnd.bgppeerd.frr"),
                                 ("TEXT/VND.BGPPEERD.BIRD2;q=0.5, application/json", "text/vnd.bgppeerd.bird2"),
                                 ("application/json, text/vnd.bgppeerd.frr", "application/json"),
                                 ("text/vnd.bgppeerd.frr;q=0, */*", "application/json")):
            answer = self.request("GET", list_path("chosen"), None, {"Accept": accept})
            self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, expected), accept)

    def test_unknown_formats(self):
        self.make("refused", "192.0.2.4")
        for name in ("junos", "", "BIRD2", "bird", "bird2%20", "x" * 500):
            status = self.assert_status(self.fetch("refused", name), 400, "BadRequest")
            self.assertIn("json, bird2, bird3, frr, gobgp, openbgpd", status["message"])
        answer = self.request("GET", list_path("refused"), None, {"Accept": "text/vnd.bgppeerd.junos"})
        status = self.assert_status(answer, 406, "NotAcceptable")
        for name in FORMATS:
            self.assertIn(f"text/vnd.bgppeerd.{name}", status["message"])

    def test_tags_are_of_one_format(self):
        self.make("tagged", "192.0.2.5")
        tags = {name: self.fetch("tagged", name).headers["ETag"] for name in FORMATS + ("json",)}
        self.assertEqual(len(set(tags.values())), len(tags))
        for name, tag in tags.items():
            for other in tags:
                answer = self.fetch("tagged", other, {"If-None-Match": tag})
                self.assertEqual(answer.status, 304 if other == name else 200, f"{name} {other}")
                if other == name:
                    self.assertEqual((answer.body, answer.headers["ETag"]), (b"", tag))

    def test_a_change_wakes(self):
        self.make("sleeper", "192.0.2.6")
        for name in ("bird2", "frr"):
            tag = self.fetch("sleeper", name).headers["ETag"]
            with concurrent.futures.ThreadPoolExecutor() as pool:
                poll = pool.submit(self.request, "GET", list_path("sleeper", f"?format={name}&wait=60s"), None, {"If-None-Match": tag})
                time.sleep(0.4)
                self.assertFalse(poll.done(), "it must wait")
                self.create_peer(f"sleeper-{name}", nodeSelector="rack == 'sleeper'", peerIP=f"192.0.2.{len(name) + 100}", asNumber=63400)
                answer = poll.result(30)
            self.assertEqual(answer.status, 200)
            self.assertNotEqual(answer.headers["ETag"], tag)
            self.assertIn(f"192.0.2.{len(name) + 100}", answer.body.decode())

    def test_a_wait_ends(self):
        self.make("patient", "192.0.2.7")
        tag = self.fetch("patient", "frr").headers["ETag"]
        answer = self.request("GET", list_path("patient", "?format=frr&wait=200ms"), None, {"If-None-Match": tag})
        self.assertEqual((answer.status, answer.headers["ETag"]), (304, tag))

    def test_what_cannot_be_expressed_is_said(self):
        self.make("hops", "192.0.2.8", ttlSecurity=255)
        answer = self.fetch("hops", "frr")
        self.assertRegex(answer.headers["Warning"], r'^299 - "NotExpressible 192\.0\.2\.254 ttlSecurity: FRR: .*; the session is disabled"$')
        self.assertIn("neighbor 192.0.2.254 shutdown\n", answer.body.decode())
        self.assertNotIn("Warning", self.fetch("hops", "bird2").headers)

    def test_unknown_node(self):
        for name in FORMATS:
            self.assert_status(self.fetch("nobody", name), 404, "NotFound")

    def test_lists_are_counted_by_format(self):
        self.make("counted", "192.0.2.9")
        counter = re.compile(r'^bgppeerd_lists_sent_total\{format="bird3"\} (\d+)$', re.M)
        before = int(counter.search(self.request("GET", "/metrics").body.decode())[1])
        answer = self.fetch("counted", "bird3")
        self.fetch("counted", "bird3", {"If-None-Match": answer.headers["ETag"]})
        self.assertEqual(int(counter.search(self.request("GET", "/metrics").body.decode())[1]), before + 1)

    def test_a_real_daemon_takes_it(self):
        if shutil.which("bird", path="/usr/sbin:/usr/bin") is None:
            self.skipTest("no BIRD here")
        self.make("judged", "192.0.2.10")
        with tempfile.TemporaryDirectory() as folder:
            text = self.fetch("judged", "bird2").body.decode().replace("/etc/bird/local.d", folder)
            with open(f"{folder}/text", "w", encoding="utf-8") as file:
                file.write(text)
            checked = subprocess.run(["/usr/sbin/bird", "-p", "-c", f"{folder}/text"], capture_output=True, text=True, timeout=30)
            self.assertEqual((checked.returncode, checked.stderr), (0, ""))


class PasswordsTest(unittest.TestCase):
    def test_who_sees_them(self):
        with Service(auth=True) as service:
            self.fill(service)
            made = service.request("POST", f"{OURS}/tokens", body={"spec": {"role": "node", "node": "secretive"}})
            node = {"Authorization": "Bearer " + made.json()["status"]["token"]}
            for name, line in (("bird2", f'  password "{PASSWORD}";\n'), ("frr", f" neighbor 192.0.2.254 password {PASSWORD}\n")):
                path = list_path("secretive", f"?format={name}")
                hidden = service.request("GET", path)
                self.assertNotIn(PASSWORD, hidden.body.decode())
                self.assertIn("reason=PasswordNotShown", hidden.body.decode())
                self.assertIn("passwordFingerprint=", hidden.body.decode())
                self.assertIn("PasswordNotShown 192.0.2.254 password", hidden.headers["Warning"])
                shown = service.request("GET", path, None, node)
                self.assertIn(line, shown.body.decode())
                self.assertNotIn("Warning", shown.headers)
                self.assertNotEqual(shown.headers["ETag"], hidden.headers["ETag"])
                self.assertEqual(service.request("GET", path + "&passwords=true").body, shown.body)
                # Who had the text without passwords has not seen the one with them.
                self.assertEqual(service.request("GET", path, None, node | {"If-None-Match": hidden.headers["ETag"]}).status, 200)
                self.assertEqual(service.request("GET", path, None, node | {"If-None-Match": shown.headers["ETag"]}).status, 304)
            entries = service.request("GET", f"{OURS}/audit?event=passwords").json()["items"]
            # Each list was handed out three times: to the node twice, and once to an admin, who is another user.
            self.assertEqual(sum(entry.get("count", 1) for entry in entries), 6)
            service.stop()
            self.assertNotIn(PASSWORD, service.log())

    def fill(self, service):
        for path, body in ((f"{GROUP}/nodes", {"metadata": {"name": "secretive"}, "spec": {"bgp": {"ipv4Address": "192.0.2.20/24"}}}),
                           ("/api/v1/namespaces/default/secrets", {"metadata": {"name": "bgp"}, "stringData": {"tor": PASSWORD}}),
                           (f"{GROUP}/bgppeers", {"metadata": {"name": "tor"}, "spec": {
                               "node": "secretive", "peerIP": "192.0.2.254", "asNumber": 63400,
                               "password": {"secretKeyRef": {"name": "bgp", "key": "tor"}}}})):
            answer = service.request("POST", path, body=body)
            self.assertEqual(answer.status, 201, answer.body)


if __name__ == "__main__":
    unittest.main()
