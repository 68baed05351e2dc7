"""A running bgppeerd for tests: start it on a free port with a data directory of its own, talk to it, stop it."""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PROGRAM = os.environ.get("BGPPEERD", os.path.abspath("build/bgppeerd"))
# Instrumented programs, and two test programs on two processors, start slowly.
START_SECONDS = 60
STOP_SECONDS = 60
REQUEST_SECONDS = 60


def is_instrumented():
    with open(PROGRAM, "rb") as file:
        code = file.read()
    return any(mark in code for mark in (b"__asan_init", b"__tsan_init"))


# Such a program is slow, and keeps freed memory on purpose.
INSTRUMENTED = is_instrumented()


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # http.client.HTTPMessage: case-insensitive, get_all for repeated ones
        self.body = body

    def json(self):
        return json.loads(self.body)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """One data directory, and at most one process serving it. Use as a context manager, or start/close.

    Without `auth` it runs with --no-auth; with it, requests carry the admin token unless they say otherwise."""

    def __init__(self, *arguments, data=None, auth=False):
        self.arguments = list(arguments) + ([] if auth else ["--no-auth"])
        self.auth = auth
        self.token = None
        self.folder = tempfile.mkdtemp(prefix="bgppeerd-test-")
        self.data = data or os.path.join(self.folder, "data")
        self.log_path = os.path.join(self.folder, "log")
        self.program = PROGRAM
        self.process = None
        self.port = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def resident_kib(self):
        """What the process has in memory."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))

    def wait_for_log(self, text, seconds=60, count=1):
        """Wait until the log has this text so often: its lines come out a moment later."""
        end = time.monotonic() + seconds
        while self.log().count(text) < count:
            if time.monotonic() > end:
                raise AssertionError(f"the log does not have {text!r}:\n{self.log()}")
            time.sleep(0.02)

    def wait_until_waiting(self, polls, seconds=60):
        """Wait until so many polls wait for a change."""
        end = time.monotonic() + seconds
        while f"\nbgppeerd_polls_waiting {polls}\n".encode() not in self.request("GET", "/metrics").body:
            if time.monotonic() > end:
                raise AssertionError(f"there are not {polls} polls that wait")
            time.sleep(0.02)

    def start(self, scheme="", port=None):
        """Start and wait until it is ready. Somebody else may take the free port first: then try another.

        `scheme`: "http://" where the arguments bring TLS, because requests go to a plain listener."""
        for _ in range(5):
            self.port = port or free_port()
            with open(self.log_path, "ab") as log:
                self.process = subprocess.Popen(
                    [self.program, "serve", "--listen", f"{scheme}127.0.0.1:{self.port}", "--data-dir", self.data, *self.arguments],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            if self.wait_until_ready():
                if self.auth:
                    with open(os.path.join(self.data, "admin.token"), encoding="ascii") as file:
                        self.token = file.read().strip()
                return
            if "in use" not in self.log():
                break
        raise RuntimeError(f"{self.program} did not become ready:\n{self.log()}")

    def wait_until_ready(self):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.request("GET", "/readyz").status == 200:
                    return True
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.02)
        return False

    def stop(self):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(STOP_SECONDS)
        self.process = None
        return status

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def close(self):
        """End whatever runs and delete everything."""
        if self.process is not None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def request(self, method, path, body=None, headers=None, connection=None):
        """One request. A body that is not text or bytes is sent as JSON."""
        headers = dict(headers or {})
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        headers = {name: value for name, value in headers.items() if value is not None}
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        own = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_SECONDS)
        try:
            own.request(method, path, body=body, headers=headers)
            answer = own.getresponse()
            return Response(answer.status, answer.headers, answer.read())
        finally:
            if connection is None:
                own.close()

    def apply_examples(self):
        """Create everything in api/examples; the responses by file name."""
        answers = {}
        folder = "api/examples"
        for name in sorted(os.listdir(folder)):
            if not name.endswith(".yaml"):
                continue
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                text = file.read()
            kind = next(line.split()[1] for line in text.splitlines() if line.startswith("kind:"))
            answers[name] = self.request("POST", f"/apis/projectcalico.org/v3/{kind.lower()}s", text.encode(),
                                         {"Content-Type": "application/yaml"})
        return answers
