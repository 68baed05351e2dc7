"""kubectl over TLS, with a token and with a client certificate: who it is, what it may do, what it is refused.

tests/run: timeout 600
"""
import json
import os
import subprocess
import tempfile
import unittest

from kubectl_test import find_clients
from service import PROGRAM, Service, free_port

OURS = "/apis/bgppeerd.io/v1"
PEERS = "bgppeers.projectcalico.org"
NODES = "nodes.projectcalico.org"


@unittest.skipIf(not find_clients(), "no kubectl is installed: `make deps-clients` brings one")
class KubectlAccessTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder, cls.pki, cls.url = folder.name, f"{folder.name}/tls", f"https://127.0.0.1:{free_port()}"
        subprocess.run([PROGRAM, "tls", "init", "--dir", cls.pki, "--node", "rack1-host1"], check=True, capture_output=True, timeout=60)
        cls.service = Service("--listen", cls.url, "--tls-cert", f"{cls.pki}/server.crt", "--tls-key", f"{cls.pki}/server.key",
                              "--client-ca", f"{cls.pki}/ca.crt", auth=True)
        cls.addClassCleanup(cls.service.close)
        cls.service.start(scheme="http://")
        cls.service.apply_examples()
        cls.users = {"admin token": {"token": cls.service.token}, "bad token": {"token": cls.service.token[:-1] + "!"}}
        for name, spec in (("operator token", {"role": "operator"}), ("viewer token", {"role": "viewer"}),
                           ("node token", {"role": "node", "node": "rack1-host1"})):
            made = cls.service.request("POST", f"{OURS}/tokens", body={"spec": spec})
            cls.users[name] = {"token": made.json()["status"]["token"]}
        for name, file in (("admin certificate", "admin"), ("node certificate", "node-rack1-host1")):
            cls.users[name] = {"client-certificate": f"{cls.pki}/{file}.crt", "client-key": f"{cls.pki}/{file}.key"}

    def run_as(self, user, *arguments):
        """With every client: (status, standard output, standard error) of each."""
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [{"name": "u", "user": self.users[user]}],
                  "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                  "clusters": [{"name": "c", "cluster": {"server": self.url, "certificate-authority": f"{self.pki}/ca.crt"}}]}
        path = os.path.join(self.folder, "config")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        for index, program in enumerate(find_clients()):
            home = os.path.join(self.folder, f"home{index}")
            done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60,
                                  env={"HOME": home, "PATH": os.environ["PATH"], "KUBECONFIG": path})
            yield done.returncode, done.stdout, done.stderr

    def test_can_i(self):
        cases = (("admin token", "yes", "*", "*"), ("admin certificate", "yes", "*", "*"), ("admin certificate", "yes", "delete", PEERS),
                 ("operator token", "no", "*", "*"), ("operator token", "yes", "create", "secrets"), ("operator token", "no", "delete", "secrets"),
                 ("operator token", "yes", "patch", PEERS), ("viewer token", "yes", "list", PEERS), ("viewer token", "yes", "watch", NODES),
                 ("viewer token", "no", "delete", PEERS), ("viewer token", "no", "list", "secrets"), ("viewer token", "no", "watch", "secrets"),
                 ("viewer token", "yes", "get", NODES, "--subresource=peerings"), ("viewer token", "yes", "get", "/openapi.json"))
        for user in ("node token", "node certificate"):
            cases += ((user, "yes", "get", NODES + "/rack1-host1"), (user, "yes", "patch", NODES + "/rack1-host1"),
                      (user, "no", "get", NODES + "/rack1-host2"), (user, "no", "list", NODES), (user, "no", "list", PEERS))
        for user, wanted, *question in cases:
            for code, out, err in self.run_as(user, "auth", "can-i", *question):
                with self.subTest(user=user, question=question):
                    self.assertEqual(out.split()[:1], [wanted], err)
                    self.assertEqual(code, 0 if wanted == "yes" else 1)

    def test_what_can_i(self):
        for user, wanted in (("admin token", r"bgppeers\.projectcalico\.org .*delete"), ("operator token", r"secrets .*\[\] +\[get list watch create update patch\]"),
                             ("node certificate", r"nodes\.projectcalico\.org +\[\] +\[rack1-host1\] +\[get update patch\]")):
            for code, out, err in self.run_as(user, "auth", "can-i", "--list"):
                with self.subTest(user=user):
                    self.assertEqual((code, err), (0, ""))
                    self.assertRegex(out, wanted)
                    self.assertEqual("secrets" in out, "node" not in user)

    def test_who_am_i(self):
        for user, name in (("admin certificate", "admin"), ("node certificate", "system:node:rack1-host1"), ("node token", "system:node:rack1-host1"),
                           ("viewer token", "token:" + self.users["viewer token"]["token"][4:20])):
            for code, out, err in self.run_as(user, "auth", "whoami"):
                if "unknown command" in err or "authentication.k8s.io/v1beta1" in err:
                    continue  # before 1.28 the command was not there, or for APIs that were not final
                with self.subTest(user=user):
                    self.assertEqual(code, 0, err)
                    self.assertIn(name, out.split())

    def test_reading_and_writing(self):
        for user in ("admin token", "admin certificate", "viewer token"):
            for code, out, err in self.run_as(user, "get", PEERS):
                self.assertEqual(code, 0, err)
                self.assertIn("rack1-host1-tor", out)
            for code, out, err in self.run_as(user, "get", "all"):
                self.assertEqual((code, "rack1-host1-tor" in out), (0, True), err)
            for code, out, err in self.run_as(user, "api-resources"):
                self.assertEqual((code, "bgppeers" in out), (0, True), err)
        for user in ("admin certificate", "operator token"):
            for code, out, err in self.run_as(user, "label", "--overwrite", "bgppeer", "collector", "by=" + user.split()[0]):
                self.assertEqual(code, 0, err)
        for user in ("viewer token", "node token", "node certificate"):
            for code, out, err in self.run_as(user, "delete", "bgppeer", "collector"):
                self.assertEqual(code, 1)
                self.assertIn("(Forbidden)", err)
        for code, out, err in self.run_as("node certificate", "get", "--raw", "/apis/projectcalico.org/v3/nodes/rack1-host1/peerings"):
            self.assertEqual(json.loads(out)["kind"], "PeeringList", err)
        for code, out, err in self.run_as("bad token", "get", PEERS):
            self.assertEqual((code, out), (1, ""))
            self.assertRegex(err, "(?i)unauthorized|logged in")


if __name__ == "__main__":
    unittest.main()
