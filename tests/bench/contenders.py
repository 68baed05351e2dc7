"""The servers that the bench measures: the service, a bare libmicrohttpd, nginx with static files, etcd.

Each one listens on loopback, keeps its files in a folder of its own that goes with it, and has `process` (for
its processor time), `port` and, where it speaks TLS as well, `tls_port`.
"""
import base64
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "http"))

from service import Service, free_port  # noqa: E402  (reads BGPPEERD, which `run` has set)

GROUP = "/apis/projectcalico.org/v3"


def allow_many_files():
    """For ten thousand connections, here and in everything started from here."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cpu_seconds(process):
    """Processor time of a process and of the children it has now, by the scheduler's own account in nanoseconds."""
    pids = [str(process.pid)]
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
        pids += file.read().split()
    nanoseconds = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                nanoseconds += int(file.read().split()[0])
    return nanoseconds / 1e9


def resident_mib(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


class BenchService(Service):
    """The service as it starts by default: tokens asked for, limits on, requests logged (to a file)."""

    def __init__(self, *arguments, data=None):
        super().__init__(*arguments, data=data, auth=True)

    def create(self, plural, name, spec, labels=None):
        metadata = {"name": name, **({"labels": labels} if labels else {})}
        answer = self.request("POST", f"{GROUP}/{plural}", {"metadata": metadata, "spec": spec})
        if answer.status != 201:
            sys.exit(f"creating {name}: {answer.status} {answer.body.decode()}")

    def write_tokens(self, count, role):
        """So many callers, each with a token and a rate limit of its own; the file with their tokens."""
        name = os.path.join(self.folder, f"tokens-{role}")
        with open(name, "w", encoding="ascii") as file:
            for _ in range(count):
                answer = self.request("POST", "/apis/bgppeerd.io/v1/tokens", {"spec": {"role": role}})
                if answer.status != 201:
                    sys.exit(f"making a token: {answer.status} {answer.body.decode()}")
                file.write(answer.json()["status"]["token"] + "\n")
        return name

    def forget_log(self):
        """Requests are logged; a bench would fill the disk with them."""
        os.truncate(self.log_path, 0)


class Contender:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="bgppeerd-bench-")
        self.process = None
        self.port = None
        self.tls_port = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        raise NotImplementedError

    def close(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_for(self, url):
        for _ in range(500):
            try:
                urllib.request.urlopen(url, timeout=5).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.02)
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
            sys.exit(f"{type(self).__name__} does not answer on {url}:\n{log.read()}")


class Bare(Contender):
    """tests/bench/bare.c; with `pki` (a folder) over TLS."""

    def __init__(self, build, body, pki=None):
        super().__init__()
        self.program = os.path.join(build, "tests/bench/bare")
        self.body = body
        self.pki = pki

    def start(self):
        name = os.path.join(self.folder, "body")
        with open(name, "wb") as file:
            file.write(self.body)
        tls = [f"{self.pki}/server.crt", f"{self.pki}/server.key"] if self.pki else []
        self.process = subprocess.Popen([self.program, name, "0", *tls], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.tls_port = self.port


class Nginx(Contender):
    """A static file of the same bytes, at the same path; as Debian configures it, with its access log."""

    def __init__(self, body, path, pki=None):
        super().__init__()
        self.body = body
        self.path = path
        self.pki = pki

    def start(self):
        self.port = free_port()
        self.tls_port = free_port() if self.pki else None
        file_name = os.path.join(self.folder, "root", self.path.lstrip("/"))
        os.makedirs(os.path.dirname(file_name))
        os.chmod(self.folder, 0o755)
        with open(file_name, "wb") as file:
            file.write(self.body)
        tls = (f"listen 127.0.0.1:{self.tls_port} ssl; ssl_protocols TLSv1.3; ssl_certificate {self.pki}/server.crt;"
               f" ssl_certificate_key {self.pki}/server.key;" if self.pki else "")
        configuration = f"""
            worker_processes auto; daemon off; pid {self.folder}/pid; error_log {self.folder}/log;
            worker_rlimit_nofile 20000; events {{ worker_connections 8192; }}
            http {{
                access_log {self.folder}/access; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
                default_type application/json;
                client_body_temp_path {self.folder}/a; proxy_temp_path {self.folder}/b;
                fastcgi_temp_path {self.folder}/c; uwsgi_temp_path {self.folder}/d; scgi_temp_path {self.folder}/e;
                server {{ listen 127.0.0.1:{self.port}; {tls} root {self.folder}/root; }}
            }}"""
        name = os.path.join(self.folder, "nginx.conf")
        with open(name, "w", encoding="utf-8") as file:
            file.write(configuration)
        self.process = subprocess.Popen(["nginx", "-e", f"{self.folder}/log", "-c", name], stdin=subprocess.DEVNULL)
        self.wait_for(f"http://127.0.0.1:{self.port}{self.path}")

    def etag(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{self.path}", timeout=5) as answer:
            return answer.headers["ETag"]

    def forget_log(self):
        os.truncate(os.path.join(self.folder, "access"), 0)


class Etcd(Contender):
    """A single member, its data on the disk that the service's is on, spoken to through its JSON gateway."""

    def start(self):
        self.port = free_port()
        peer = f"http://127.0.0.1:{free_port()}"
        client = f"http://127.0.0.1:{self.port}"
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = subprocess.Popen(
                ["etcd", "--data-dir", os.path.join(self.folder, "data"), "--listen-client-urls", client,
                 "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                 "--initial-cluster", f"default={peer}", "--log-level", "warn"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_for(client + "/health")

    @staticmethod
    def range_body(key):
        """Serializable: from the member's own memory, the fastest read that etcd has."""
        return json.dumps({"key": base64.b64encode(key).decode(), "serializable": True})

    @staticmethod
    def put_body(key, value):
        """`key` is base64 text already, so that it can hold the load generator's counter."""
        return json.dumps({"key": key, "value": base64.b64encode(value).decode()})

    def put(self, key, value):
        body = self.put_body(base64.b64encode(key).decode(), value)
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v3/kv/put", body.encode(),
                                         {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=5).close()
