"""What a playbook does, with Debian's ansible and its module kubernetes.core.k8s: check mode, create, change, nothing, delete.

tests/run: timeout 300
"""
import json
import os
import shutil
import subprocess
import unittest

from service import Service

DEBIAN_PYTHON = "/usr/bin/python3"
PLAYBOOK = """\
- hosts: localhost
  connection: local
  gather_facts: false
  vars: {{ansible_python_interpreter: {python}}}
  tasks:
  - kubernetes.core.k8s:
      kubeconfig: {kubeconfig}
      state: "{{{{ wanted }}}}"
      definition:
        apiVersion: projectcalico.org/v3
        kind: BGPPeer
        metadata: {{name: tor, labels: {{tier: tor}}}}
        spec: "{{{{ spec }}}}"
    register: result
  - debug: {{var: result}}
  - kubernetes.core.k8s_info:
      kubeconfig: {kubeconfig}
      api_version: projectcalico.org/v3
      kind: BGPPeer
      label_selectors: [tier=tor]
    register: found
  - debug: {{var: found}}
"""
SPEC = {"nodeSelector": "rack == '1'", "peerIP": "192.0.2.1", "asNumber": 65001}


def is_there():
    if shutil.which("ansible-playbook") is None:
        return False
    probe = "import kubernetes, ansible_collections.kubernetes.core"
    return subprocess.run([DEBIAN_PYTHON, "-c", probe], capture_output=True, check=False).returncode == 0


@unittest.skipUnless(is_there(), "ansible is not installed: `make deps-clients` installs it")
class AnsibleTest(unittest.TestCase):
    def setUp(self):
        self.service = Service()
        self.addCleanup(self.service.close)
        self.service.start()
        self.folder = self.service.folder
        kubeconfig = os.path.join(self.folder, "kubeconfig")
        with open("api/kubeconfig.example", encoding="utf-8") as example, open(kubeconfig, "w", encoding="utf-8") as file:
            file.write(example.read().replace("http://127.0.0.1:8080", self.service.url))
        self.playbook = os.path.join(self.folder, "playbook.yaml")
        with open(self.playbook, "w", encoding="utf-8") as file:
            file.write(PLAYBOOK.format(python=DEBIAN_PYTHON, kubeconfig=kubeconfig))

    def play(self, wanted, spec, *arguments, status=0):
        """What the module says, and what is there afterwards."""
        environment = {**os.environ, "HOME": self.folder, "ANSIBLE_HOME": self.folder, "ANSIBLE_STDOUT_CALLBACK": "json",
                       "ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_DEPRECATION_WARNINGS": "false", "ANSIBLE_LOCAL_TEMP": self.folder,
                       "ANSIBLE_REMOTE_TEMP": self.folder, "LC_ALL": "C.UTF-8"}
        run = subprocess.run(["ansible-playbook", "-e", json.dumps({"wanted": wanted, "spec": spec}), *arguments, self.playbook], env=environment,
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200, check=False)
        self.assertEqual(run.returncode, status, run.stdout[-3000:] + run.stderr[-2000:])
        tasks = [task["hosts"]["localhost"] for task in json.loads(run.stdout[run.stdout.index("{"):])["plays"][0]["tasks"]]
        if status != 0:
            return tasks[0], None
        return tasks[0], [one["spec"] for one in tasks[2]["resources"]]

    def test_a_life(self):
        said, there = self.play("present", SPEC, "--check")
        self.assertEqual((said["changed"], there), (True, []))
        said, there = self.play("present", SPEC)
        self.assertEqual((said["changed"], there), (True, [SPEC]))
        said, there = self.play("present", SPEC)
        self.assertEqual((said["changed"], there), (False, [SPEC]))
        changed = {**SPEC, "asNumber": 65002}
        said, there = self.play("present", changed, "--check")
        self.assertEqual((said["changed"], there), (True, [SPEC]))
        said, there = self.play("present", changed)
        self.assertEqual((said["changed"], there), (True, [changed]))
        said, _ = self.play("present", {**SPEC, "peerIP": "nowhere", "ttlSecurity": 300}, status=2)
        for field in ("spec.peerIP", "spec.ttlSecurity"):
            self.assertIn(field, json.dumps(said))
        said, there = self.play("absent", SPEC, "--check")
        self.assertEqual((said["changed"], there), (True, [changed]))
        said, there = self.play("absent", SPEC)
        self.assertEqual((said["changed"], there), (True, []))
        said, there = self.play("absent", SPEC)
        self.assertEqual((said["changed"], there), (False, []))


if __name__ == "__main__":
    unittest.main()
