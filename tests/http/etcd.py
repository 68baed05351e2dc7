"""An etcd of one or three members on this machine, for tests of several instances. `make deps-etcd` installs it."""
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

from service import free_port

INSTALLED = shutil.which("etcd") is not None and shutil.which("etcdctl") is not None
SKIP = "there is no etcd in PATH (make deps-etcd)"


class Member:
    def __init__(self, name, folder):
        self.name = name
        self.data = os.path.join(folder, name)
        self.log = os.path.join(folder, f"{name}.log")
        self.client = f"http://127.0.0.1:{free_port()}"
        self.peer = f"http://127.0.0.1:{free_port()}"
        self.process = None
        self.stopped = False

    def start(self, cluster, *arguments):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["etcd", "--name", self.name, "--data-dir", self.data, "--listen-client-urls", self.client,
                 "--advertise-client-urls", self.client, "--listen-peer-urls", self.peer,
                 "--initial-advertise-peer-urls", self.peer, "--initial-cluster", cluster, "--pre-vote", *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def is_healthy(self):
        try:
            with urllib.request.urlopen(f"{self.client}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)


class Etcd:
    """Use as a context manager. `arguments` are etcd's own."""

    def __init__(self, members=1, arguments=()):
        self.folder = tempfile.mkdtemp(prefix="bgppeerd-etcd-")
        self.arguments = arguments
        self.members = [Member(f"m{number}", self.folder) for number in range(members)]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        for member in self.members:
            member.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def address(self):
        """For --store."""
        return "etcd:" + ",".join(member.client for member in self.members)

    def start(self):
        """Start those that do not run, and wait until all are healthy."""
        cluster = ",".join(f"{member.name}={member.peer}" for member in self.members)
        for member in self.members:
            if member.process is None:
                member.start(cluster, *self.arguments)
        end = time.monotonic() + 60
        for member in self.members:
            while not member.is_healthy():
                if time.monotonic() > end or member.process.poll() is not None:
                    with open(member.log, encoding="utf-8", errors="replace") as log:
                        raise RuntimeError(f"etcd does not start:\n{log.read()[-3000:]}")
                time.sleep(0.05)

    def stop(self):
        for member in self.members:
            member.kill()

    def control(self, *arguments):
        """etcdctl; its output."""
        return subprocess.run(
            ["etcdctl", "--endpoints", ",".join(member.client for member in self.members), *arguments], check=True,
            env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True, text=True).stdout
