"""The service in the test's own network, and what feeds the hosts' daemons from it.

The service listens, with certificates that `bgppeerd tls init` made, on a management network that every host is
plugged into. A Feeder is the least that a host can do with nothing but curl; an Agent is bgppeer-agent. Both are
started and killed by the test like any other program.
"""
import base64
import glob
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import urllib.parse

import yaml

from . import sandbox, wait

BUILD = os.environ.get("BUILD", os.path.abspath("build"))
PROGRAM = os.environ.get("BGPPEERD", os.path.join(BUILD, "bgppeerd"))
AGENT = os.path.join(BUILD, "bgppeer-agent")
ADDRESS, PORT = "2001:db8:ffff::1", 8443
URL = f"https://[{ADDRESS}]:{PORT}"
MERGE = "application/merge-patch+json"
OURS, CALICO = "/apis/bgppeerd.io/v1", "/apis/projectcalico.org/v3"
FORMATS = {"bird": "bird2", "frr": "frr", "gobgp": "gobgp", "openbgpd": "openbgpd"}

# What a host without the agent does: poll, install, reload. $1 is the file, $2 … the command that reloads.
FEEDER = r"""
set -u
file=$1; shift
etag=
while :; do
    code=$(curl --silent --output "$file.new" --dump-header "$file.headers" --write-out '%{http_code}' --max-time 60 \
        --cacert /run/tls/ca.crt --cert /run/tls/client.crt --key /run/tls/client.key \
        --header "If-None-Match: $etag" "$URL")
    case $code in
    200)
        echo "got $(head -n 1 "$file.new")"
        chown --reference="$file" "$file.new" && chmod 640 "$file.new" && mv "$file.new" "$file"
        if "$@"; then
            etag=$(sed -n 's/\r$//; s/^[Ee][Tt]ag: //p' "$file.headers")
            echo "$etag" >/run/applied
        else
            echo "reload failed"; sleep 1
        fi ;;
    304) ;;
    *) echo "answer $code"; sleep 0.2 ;;
    esac
done
"""


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    def text(self):
        return self.body.decode()


class Fleet:
    """The service, and helpers to write resources."""

    def __init__(self, lab, nodes):
        self.folder = os.path.join(sandbox.FOLDER, "service")
        os.makedirs(self.folder)
        self.lab = lab
        self.nodes = list(nodes)
        lab.network("mgmt")
        lab.address("mgmt", f"{ADDRESS}/64")
        self.tls = os.path.join(self.folder, "tls")
        node_options = [word for node in self.nodes for word in ("--node", node)]
        subprocess.run([PROGRAM, "tls", "init", "--dir", self.tls, "--host", ADDRESS, *node_options], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.context = ssl.create_default_context(cafile=os.path.join(self.tls, "ca.crt"))
        self.popen = None
        self.start()

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.popen = subprocess.Popen(
                [PROGRAM, "serve", "--listen", f"[{ADDRESS}]:{PORT}", "--data-dir", os.path.join(self.folder, "data"),
                 "--tls-cert", os.path.join(self.tls, "server.crt"), "--tls-key", os.path.join(self.tls, "server.key"),
                 "--client-ca", os.path.join(self.tls, "ca.crt"), "--max-requests", "0"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def is_ready():
            if self.popen.poll() is not None:
                raise RuntimeError(f"the service ended: {self.log()[-2000:]}")
            return self.request("GET", "/readyz", token=False).status == 200
        wait.until(is_ready, "the service is ready")

    def kill(self):
        self.popen.kill()
        self.popen.wait()

    def close(self):
        self.popen.send_signal(signal.SIGTERM)
        self.popen.wait(60)
        shutil.rmtree(self.folder)

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def token(self):
        with open(os.path.join(self.folder, "data", "admin.token"), encoding="ascii") as file:
            return file.read().strip()

    # ---- requests ----

    def request(self, method, path, body=None, content_type="application/json", token=None, headers=()):
        """One request as admin, or with another token, or with none (False)."""
        connection = http.client.HTTPSConnection(ADDRESS, PORT, timeout=90, context=self.context)
        headers = dict(headers)
        if token is not False:
            headers["Authorization"] = f"Bearer {token or self.token()}"
        if body is not None:
            headers["Content-Type"] = content_type
            body = body if isinstance(body, (str, bytes)) else json.dumps(body)
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def demand(self, method, path, body=None, content_type="application/json"):
        """A request that must succeed; its JSON."""
        answer = self.request(method, path, body, content_type)
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.text()}")
        return answer.json()

    def apply(self, *documents):
        """Store all of them, in one transaction."""
        return self.demand("POST", f"{OURS}/applies", list(documents))

    def preview(self, *documents):
        return self.demand("POST", f"{OURS}/previews", list(documents))

    def delete(self, kind, name):
        return self.demand("DELETE", f"{CALICO}/{kind.lower()}s/{name}")

    def peerings(self, node, **query):
        return self.demand("GET", f"{CALICO}/nodes/{node}/peerings" + ("?" + urllib.parse.urlencode(query) if query else ""))

    def rendered(self, node, kind, **query):
        """The Answer with the list in a daemon's language, passwords in clear."""
        query = urllib.parse.urlencode({"format": FORMATS[kind], "passwords": "true", **query})
        return self.request("GET", f"{CALICO}/nodes/{node}/peerings?{query}")

    # ---- hosts ----

    def join(self, host):
        """Plug a host into the management network and give it its node's certificate."""
        self.lab.plug(host, "mgmt", f"2001:db8:ffff::{16 + self.nodes.index(host.name):x}/64")
        host.make_directory("/run/tls")
        for source, name in (("ca.crt", "ca.crt"), (f"node-{host.name}.crt", "client.crt"), (f"node-{host.name}.key", "client.key")):
            shutil.copy(os.path.join(self.tls, source), host.path(f"/run/tls/{name}"))


class Feeder:
    """What brings the service's lists to one host's daemon. This one is curl in a loop, and knows BIRD and FRR."""

    RELOAD = {
        "bird": ["birdc", "configure"],
        "frr": ["/usr/lib/frr/frr-reload.py", "--reload", "/etc/frr/frr.conf"],
    }

    def __init__(self, fleet, daemon):
        self.fleet = fleet
        self.daemon = daemon
        self.host = daemon.host
        self.process = None

    def start(self):
        reload = self.RELOAD[self.daemon.kind]
        url = f"{URL}{CALICO}/nodes/{self.host.name}/peerings?format={FORMATS[self.daemon.kind]}&wait=50s"
        self.process = self.host.start("feeder", "bash", "-c", FEEDER, "feeder", self.daemon.path, *reload, URL=url)

    def kill(self):
        self.process.stop(signal.SIGKILL)

    def applied(self):
        """The ETag of the list that the daemon has been told last."""
        return self.host.read("/run/applied").strip()

    def has_applied(self):
        """The daemon has been told the list as it is now."""
        return self.applied() == self.fleet.rendered(self.host.name, self.daemon.kind).headers["ETag"]

    def wait_applied(self):
        wait.until(self.has_applied, lambda: f"{self.host.name} has applied its list: {self.process.log()[-1500:]}")


class Agent(Feeder):
    """bgppeer-agent, with the paths of the distribution where there are some."""

    OPTIONS = {
        "bird": [],
        "frr": [],
        "gobgp": ["--config", "/run/gobgp/gobgpd.conf"],
        "openbgpd": ["--config", "/run/openbgpd/bgpd.conf"],
    }

    def start(self):
        self.process = self.host.start(
            "agent", AGENT, "--server", URL, "--node", self.host.name, "--ca", "/run/tls/ca.crt", "--cert", "/run/tls/client.crt",
            "--key", "/run/tls/client.key", "--daemon", self.daemon.kind, "--state-dir", "/run/bgppeer-agent",
            *self.OPTIONS[self.daemon.kind])

    def applied(self):
        state = dict(line.split("=", 1) for line in self.host.read("/run/bgppeer-agent/state").splitlines())
        return state["etag"]


def agent_knows(kind):
    """The agent drives this kind of daemon: its help says so."""
    if not os.path.exists(AGENT):
        return False
    text = subprocess.run([AGENT, "--help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout
    return re.search(rf"--daemon NAME\n.*\b{kind}\b", text) is not None


def drivable(*kinds):
    """Those of them that something can bring lists to, and that the variable DAEMONS, if there is one, names."""
    wanted = os.environ.get("DAEMONS", ",".join(kinds)).split(",")
    return tuple(kind for kind in kinds if kind in wanted and (agent_knows(kind) or kind in Feeder.RELOAD))


def feeder(fleet, daemon):
    """The agent, where it knows the daemon; otherwise curl."""
    return (Agent if agent_knows(daemon.kind) else Feeder)(fleet, daemon)


# ---- documents ----

def document(kind, name, spec, **metadata):
    return {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def secret(name, **values):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}}


def examples():
    """The documents of api/examples, in order."""
    found = []
    for path in sorted(glob.glob("api/examples/*.yaml")):
        with open(path, encoding="utf-8") as file:
            found += [document for document in yaml.safe_load_all(file) if document]
    return found
