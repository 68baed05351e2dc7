"""Hosts as namespaces, and the wires between them.

A host has a network of its own and sees directories of its own in the places where daemons keep their files
(/run, /etc/bird, /etc/frr …): programs run in it with the paths of the distribution, as on a real machine. A
sleeping process holds its namespaces; everything else is started into them with nsenter. From outside, the
directories of host NAME are in FOLDER/NAME.
"""
import glob
import os
import shlex
import signal
import subprocess
import tempfile

from . import sandbox, wait

# Directories that each host has for itself: empty in the beginning, if they exist on this machine.
PRIVATE = ("/run", "/etc/bird", "/etc/frr", "/var/log/frr", "/var/tmp/frr")
DISK_BYTES = 8 << 20
STOP_SECONDS = 30
COMMAND_SECONDS = 120


class Process:
    """A program that runs in a host, with its output in a file."""

    def __init__(self, host, name, argv, environment):
        self.log_path = os.path.join(sandbox.FOLDER, f"{host.name}-{name}.log")
        self.name = f"{host.name}: {name}"
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(host.inside(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          env=dict(os.environ, **environment))

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def is_running(self):
        return self.popen.poll() is None

    @property
    def pid(self):
        return self.popen.pid

    def send(self, number):
        self.popen.send_signal(number)

    def wait(self, seconds=STOP_SECONDS):
        return self.popen.wait(seconds)

    def stop(self, number=signal.SIGTERM):
        """End it, by force when it does not listen; its status."""
        if self.is_running():
            self.send(number)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.wait()


class Host:
    """One machine. Made by Lab.host()."""

    def __init__(self, name):
        self.name = name
        self.folder = os.path.join(sandbox.FOLDER, name)
        os.mkdir(self.folder)
        # A small file system of its own, so that it can be full.
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=755,size={DISK_BYTES}", "disk", self.folder], check=True)
        script = []
        for path in PRIVATE:
            if os.path.isdir(path):
                own = self.path(path)
                os.makedirs(own)
                status = os.stat(path)
                os.chown(own, status.st_uid, status.st_gid)
                os.chmod(own, status.st_mode & 0o7777)
                script.append((own, path))
        # /run comes last, because the sources of all others are below it.
        script = [f"mount --bind {own} {path}" for own, path in reversed(script)]
        script += ["ip link set lo up", "echo ready", "exec sleep infinity"]
        self.holder = subprocess.Popen(["unshare", "--net", "--mount", "sh", "-ec", "\n".join(script)],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"ready\n":
            raise RuntimeError(f"host {name} did not come up")
        with open(f"{self.folder}.pid", "w", encoding="ascii") as file:  # for whoever comes from outside
            file.write(f"{self.holder.pid}\n")
        self.net = os.readlink(f"/proc/{self.holder.pid}/ns/net")

    def path(self, path):
        """Where a file that the host sees at `path`, in one of its own directories, is outside of it."""
        return os.path.join(self.folder, path.lstrip("/"))

    def inside(self, argv):
        """The command that runs `argv` in this host."""
        return ["nsenter", "-t", str(self.holder.pid), "-n", "-m", "--", *argv]

    def run(self, *argv, check=True, text_in=None, seconds=COMMAND_SECONDS):
        """Run a command to its end; its standard output. `check=False`: (status, output with errors)."""
        done = subprocess.run(self.inside(argv), input=text_in, stdin=subprocess.DEVNULL if text_in is None else None,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE if check else subprocess.STDOUT, text=True,
                              errors="replace", timeout=seconds, check=False)
        if not check:
            return done.returncode, done.stdout
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: {shlex.join(argv)}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, name, *argv, **environment):
        """Start a command that goes on."""
        return Process(self, name, argv, environment)

    def ip(self, command):
        self.run("ip", *command.split())

    def configure(self, *commands):
        """Several ip commands at once, in one process."""
        self.run("ip", "-batch", "-", text_in="".join(command + "\n" for command in commands))

    def forward(self):
        """Be a router."""
        self.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")

    def make_directory(self, path, like=None):
        """A directory, if it is not there yet. `like`: it belongs to whom this path belongs to."""
        own = self.path(path)
        os.makedirs(own, exist_ok=True)
        if like is not None:
            status = os.stat(self.path(like))
            os.chown(own, status.st_uid, status.st_gid)

    def write(self, path, text, mode=0o640, like=None):
        """A file as the host sees it. `like`: it belongs to whom this path belongs to."""
        own = self.path(path)
        os.makedirs(os.path.dirname(own), exist_ok=True)
        handle, new = tempfile.mkstemp(dir=os.path.dirname(own))
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(handle, mode)
            if like is not None:
                status = os.stat(self.path(like))
                os.fchown(handle, status.st_uid, status.st_gid)
        os.replace(new, own)

    def read(self, path):
        with open(self.path(path), encoding="utf-8", errors="replace") as file:
            return file.read()

    def remove(self, path):
        if os.path.lexists(self.path(path)):
            os.unlink(self.path(path))

    def fill_disk(self):
        """Nothing more can be written in any directory of its own, until free_disk()."""
        self.free_disk()
        with open(self.path("full"), "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def free_disk(self):
        self.remove("full")

    def processes(self):
        """The numbers of all processes in this host's network, the holder too."""
        found = []
        for number in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{number}/ns/net") == self.net:
                    found.append(int(number))
            except OSError:
                pass  # ended meanwhile
        return found

    def close(self):
        """End everything that runs in it: then its network and its mounts are gone. Once is enough."""
        if self.holder is None:
            return

        def end_all():
            left = self.processes()
            for number in left:
                try:
                    os.kill(number, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.holder.poll()
            return not left
        wait.until(end_all, f"the end of host {self.name}")
        self.holder.stdout.close()
        subprocess.run(["umount", self.folder], check=True)
        os.rmdir(self.folder)
        self.holder = None


class Lab:
    """Hosts and networks. A network is a bridge, and all bridges are in the test's own network."""

    def __init__(self):
        self.hosts = {}
        self.networks = {}
        self.wires = {}  # {(host's name, network): the switch's end}

    def host(self, name):
        self.hosts[name] = Host(name)
        return self.hosts[name]

    def network(self, name):
        """A switch. The test itself has no address in it, so that hosts of different networks do not meet here."""
        self.networks[name] = f"br{len(self.networks)}"
        ip(f"link add name {self.networks[name]} type bridge forward_delay 0 mcast_snooping 0")
        ip(f"link set {self.networks[name]} up")

    def address(self, network, address):
        """Let the test itself, and all that it starts outside of hosts, have an address in a network."""
        ip(f"address add {address} dev {self.networks[network]}" + (" nodad" if ":" in address else ""))

    def plug(self, host, network, *addresses, interface=None):
        """Connect a host to a network; the interface is named after the network."""
        interface = interface or network
        port = self.wires[host.name, network] = f"wire{len(self.wires)}"
        ip(f"link add name {port} type veth peer name {interface} netns {host.holder.pid}")
        ip(f"link set {port} master {self.networks[network]} up")
        # Without duplicate address detection an IPv6 address can be used at once.
        host.configure(*(f"address add {address} dev {interface}" + (" nodad" if ":" in address else "") for address in addresses),
                       f"link set {interface} up")

    def cut(self, host, network):
        """Pull the plug, until mend(): the host's interface is up, and has no carrier."""
        ip(f"link set {self.wires[host.name, network]} down")

    def mend(self, host, network):
        ip(f"link set {self.wires[host.name, network]} up")

    def close(self):
        for host in self.hosts.values():
            host.close()
            for path in glob.glob(f"{host.folder}-*.log"):
                os.unlink(path)
        for bridge in self.networks.values():
            ip(f"link delete {bridge}")
        self.hosts, self.networks = {}, {}


def ip(command):
    """An ip command outside of hosts."""
    subprocess.run(["ip", *command.split()], check=True)
