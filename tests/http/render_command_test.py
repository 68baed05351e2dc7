"""`bgppeerd render`: what the service answers, without a service."""
import subprocess
import unittest

from service import PROGRAM, Service
from wire import GROUP

FORMATS = ("bird2", "bird3", "frr", "gobgp", "openbgpd")


def render(*arguments, given=b""):
    return subprocess.run([PROGRAM, "render", *arguments], input=given, capture_output=True, timeout=60, check=False)


class RenderTest(unittest.TestCase):
    def test_as_the_service_does(self):
        with Service() as service:
            service.apply_examples()
            path = f"{GROUP}/nodes/rack1-host1/peerings"
            document = service.request("GET", path).body
            for name in FORMATS:
                answer = service.request("GET", f"{path}?format={name}")
                made = render("--format", name, given=document)
                self.assertEqual(made.returncode, 0, made.stderr)
                # Only the service knows the entity tag.
                self.assertEqual(made.stdout.split(b"\n")[1:], answer.body.split(b"\n")[1:])
                self.assertIn(b"state=on", made.stdout)

    def test_what_cannot_be_expressed_is_said(self):
        document = (b'{"kind":"PeeringList","metadata":{"node":"n"},"local":{"asNumber":64512,"routerID":"192.0.2.1"},"items":'
                    b'[{"peerIP":"192.0.2.2","asNumber":1,"localASNumber":64512,"ttlSecurity":255,"origin":{"scope":"Node"}}]}')
        made = render("--format", "frr", given=document)
        self.assertEqual(made.returncode, 0)
        self.assertRegex(made.stderr.decode(), r"^bgppeerd: NotExpressible 192\.0\.2\.2 ttlSecurity: .*; the session is disabled\n$")
        self.assertIn(b" neighbor 192.0.2.2 shutdown\n", made.stdout)
        self.assertEqual(render("--format", "bird2", given=document).stderr, b"")

    def test_what_is_refused(self):
        for arguments, given, status in (((), b"{}", 2), (("--format", "junos"), b"{}", 2), (("--format", "frr"), b"", 1),
                                         (("--format", "frr"), b"{}", 1), (("--format", "frr"), b'{"kind":"Node"}', 1)):
            made = render(*arguments, given=given)
            self.assertEqual((made.returncode, made.stdout), (status, b""), arguments)
            self.assertRegex(made.stderr, rb"^bgppeerd: .+\n$")

    def test_the_table_of_fields(self):
        made = render("--fields")
        self.assertEqual(made.returncode, 0)
        with open("api/README.md", encoding="utf-8") as file:
            self.assertIn(made.stdout.decode(), file.read(), "api/README.md has another table: `bgppeerd render --fields` prints it")


if __name__ == "__main__":
    unittest.main()
