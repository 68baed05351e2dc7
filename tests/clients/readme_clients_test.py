"""What api/README.md tells users of kubectl, Python and JavaScript to type, run as it is written there.

tests/run: timeout 600

Each block of the section "Use it with kubectl" runs in a folder of its own, which has what the repository's top
directory has for a reader: api/, and data/ and tls/ of a service. Only addresses and the program's path are replaced.
"""
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
import unittest

from kubectl_test import find_clients
from service import PROGRAM, Service, free_port

SECTION = re.compile(r"^## Use it with kubectl\n(.*?)(?:^## |\Z)", re.M | re.S)
MODULES = os.path.abspath(os.path.join(os.environ.get("CLIENTS", "build/clients"), "node_modules"))
SECONDS = 60


def find_python():
    """One that has the library: Debian's may be behind another one in PATH."""
    for program in ("python3", "/usr/bin/python3"):
        if shutil.which(program) and subprocess.run([program, "-c", "import kubernetes"], capture_output=True, check=False).returncode == 0:
            return program
    return None


def keeps_configuration(program):
    """Debian's 1.20 panics while it writes any user's credentials down, whatever the server."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run([program, "config", "set-credentials", "x", "--token=y"], env={"HOME": home}, capture_output=True, check=False,
                              timeout=SECONDS)
        return done.returncode == 0


def blocks(language):
    with open("api/README.md", encoding="utf-8") as file:
        section = SECTION.search(file.read()).group(1)
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.M | re.S)


def run_until(argv, wanted, cwd, environment=None):
    """Start what does not end by itself, wait until its output has all of that, and end it; (found, output)."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(argv, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=errors)
        end, seen = time.monotonic() + SECONDS, b""
        while time.monotonic() < end and not all(text in seen for text in wanted):
            if select.select([process.stdout], [], [], 0.5)[0]:
                piece = os.read(process.stdout.fileno(), 65536)
                if not piece:
                    break
                seen += piece
        running = process.poll() is None
        process.kill()
        process.communicate()
        errors.seek(0)
        return running and all(text in seen for text in wanted), (seen + errors.read()).decode()


class ReadmeClientsTest(unittest.TestCase):
    def serve(self, *arguments, **more):
        service = Service(*arguments, **more)
        self.addCleanup(service.close)
        service.start(scheme="http://")
        return service

    def folder(self, service):
        """A reader's directory."""
        place = tempfile.mkdtemp(dir=service.folder)
        shutil.copytree("api/examples", os.path.join(place, "api/examples"))
        with open("api/kubeconfig.example", encoding="utf-8") as example, \
                open(os.path.join(place, "api/kubeconfig.example"), "w", encoding="utf-8") as file:
            file.write(example.read().replace("http://127.0.0.1:8080", service.url))
        return place

    def kubectl(self, program, place, text, watched=()):
        """Every line of a block with this kubectl, in one shell."""
        tools = os.path.join(place, "bin")
        os.makedirs(tools)
        os.symlink(program, os.path.join(tools, "kubectl"))
        os.symlink(PROGRAM, os.path.join(tools, "bgppeerd"))
        environment = {"HOME": place, "PATH": f"{tools}:{os.environ['PATH']}"}
        lines = text.strip().split("\n")
        endless = lines.pop() if lines[-1].endswith(" -w") else None
        script = "".join(f"{line} || {{ echo \"failed with $?: {line.split('|')[0][:40]!r}\" >&2; exit 1; }}\n" for line in lines)
        done = subprocess.run(["bash", "-c", script], cwd=place, env=environment, capture_output=True, text=True, check=False,
                              timeout=SECONDS)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        if endless:
            first = lines[0] if lines[0].startswith("export ") else ":"
            found, output = run_until(["bash", "-c", f"{first}\nexec {endless}"], watched, place, environment)
            self.assertTrue(found, output)
        return done.stdout

    @unittest.skipIf(not find_clients(), "no kubectl is installed: `make deps-clients` brings one")
    def test_kubectl(self):
        first = blocks("sh")[0]
        for program in find_clients():
            with self.subTest(kubectl=program):
                service = self.serve()
                output = self.kubectl(program, self.folder(service), first, (b"rack1-host1-tor", b"collector"))
                for text in ("bgppeer.projectcalico.org/reflectors created", "63400", "RFC 5082", "secret/collector-password created",
                             '"kind":"PeeringList"'):
                    self.assertIn(text, output)

    @unittest.skipIf(not find_clients(), "no kubectl is installed: `make deps-clients` brings one")
    def test_kubectl_with_tls(self):
        second = blocks("sh")[1]
        with tempfile.TemporaryDirectory() as pki:
            subprocess.run([PROGRAM, "tls", "init", "--dir", pki], check=True, capture_output=True, timeout=60)
            address = f"127.0.0.1:{free_port()}"
            service = self.serve("--listen", f"https://{address}", "--tls-cert", f"{pki}/server.crt", "--tls-key", f"{pki}/server.key",
                                 "--client-ca", f"{pki}/ca.crt", auth=True)
            self.assertIn("bgp.example.net:8443", second)
            for program in filter(keeps_configuration, find_clients()):
                with self.subTest(kubectl=program):
                    place = self.folder(service)
                    os.symlink(service.data, os.path.join(place, "data"))
                    os.symlink(pki, os.path.join(place, "tls"))
                    output = self.kubectl(program, place, second.replace("bgp.example.net:8443", address))
                    self.assertRegex(output, r"(?m)^yes$")

    @unittest.skipIf(find_python() is None, "python3-kubernetes is not installed: `make deps-clients` installs it")
    def test_python(self):
        service = self.serve()
        for text in blocks("python"):
            done = subprocess.run([find_python(), "-c", text], cwd=self.folder(service), capture_output=True, text=True, check=False, timeout=SECONDS)
            self.assertEqual((done.returncode, done.stdout), (0, "rack3-tor 192.168.3.254\n"), done.stderr)

    @unittest.skipIf(shutil.which("node") is None or not os.path.isdir(f"{MODULES}/@kubernetes/client-node"),
                     "@kubernetes/client-node is not installed: `make deps-clients` installs it")
    def test_javascript(self):
        service = self.serve()
        service.apply_examples()
        for text in blocks("js"):
            place = self.folder(service)
            os.symlink(MODULES, os.path.join(place, "node_modules"))
            with open(os.path.join(place, "program.mjs"), "w", encoding="utf-8") as file:
                file.write(text)
            found, output = run_until(["node", "program.mjs"], (b"collector 192.168.0.10\n", b"ADDED rack1-host1-tor\n"), place)
            self.assertTrue(found, output)


if __name__ == "__main__":
    unittest.main()
