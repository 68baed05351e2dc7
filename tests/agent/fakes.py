"""What the agent's tests put around it: a service that answers as it is told, a BIRD that is only its control socket,
and the agent itself."""
import contextlib
import hashlib
import http.server
import os
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time

PROGRAM = os.environ.get("BGPPEER_AGENT", os.path.abspath("build/bgppeer-agent"))
SECONDS = 60  # until something that must happen has happened
NODE = "rack1-host1"


def wait_until(condition, what, seconds=SECONDS):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} does not happen within {seconds} s")
        time.sleep(0.01)


def bird_text(sessions, revision=1, node=NODE, head="router id 192.0.2.1;"):
    """A configuration as the service renders it. `sessions`: peer -> words of its comment, or None for the usual ones."""
    text = f"# bgppeerd node={node} resourceVersion={revision} etag=list{revision} format=bird2 renderer=1\n{head}\n"
    for peer, words in sessions.items():
        words = {"port": "179", "state": "on", "password": "no", "ttlSecurity": "0", **(words or {})}
        line = words.pop("line", "")
        text += f"# session peerIP={peer} " + " ".join(f"{key}={value}" for key, value in words.items()) + "\n"
        text += f"protocol bgp 'n.{peer}' {{ neighbor {peer} as 64500; {line} }}\n"
    return text


class FakeService:
    """GET …/peerings as the real one answers it, unless `answers` has something else to do first."""

    def __init__(self):
        self.changed = threading.Condition()
        self.text = self.etag = None
        self.requests = []     # (method, path, headers, body)
        self.reports = []      # bodies of PUT …/status
        self.answers = []      # functions of the handler, each used once, first one first
        self.report_answer = (204, {})
        self.stopping = False
        self.server = None
        self.port = 0

    def start(self):
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                fake.answer(self)

            def do_PUT(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fake.requests.append(("PUT", self.path, self.headers, body))
                fake.reports.append(body)
                status, headers = fake.report_answer
                reply(self, status, headers)

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 50

            def handle_error(self, *_):
                pass

        self.stopping = False
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self):
        if self.server is None:
            return
        self.stopping = True
        with self.changed:
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()
        self.server = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def set(self, text, etag=None):
        with self.changed:
            self.text = text.encode() if isinstance(text, str) else text
            self.etag = etag or '"' + hashlib.sha256(self.text).hexdigest()[:16] + '"'
            self.changed.notify_all()

    def polls(self):
        return [request for request in self.requests if request[0] == "GET"]

    def answer(self, handler):
        with self.changed:
            self.requests.append(("GET", handler.path, handler.headers, b""))
            special = self.answers.pop(0) if self.answers else None
        if special is not None:
            special(handler)
            return
        wanted = handler.headers.get("If-None-Match")
        wait = re.search(r"wait=(\d+)s", handler.path)
        with self.changed:
            if wanted:
                self.changed.wait_for(lambda: self.etag != wanted or self.stopping, int(wait[1]) if wait else 0)
            text, etag = self.text, self.etag
        if self.stopping:
            handler.close_connection = True
            return
        if text is None:
            reply(handler, 404, {}, b'{"kind":"Status","message":"there is no node"}')
        elif etag == wanted:
            reply(handler, 304, {"ETag": etag})
        else:
            reply(handler, 200, {"ETag": etag, "Content-Type": "text/vnd.bgppeerd.bird2"}, text)


def reply(handler, status, headers, body=b""):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if status not in (204, 304):
        handler.wfile.write(body)


class FakeBird:
    """BIRD's control socket over the configuration file that it would read. It runs `running`, the text last configured."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "bird.ctl")
        self.config = os.path.join(folder, "bird.conf")
        self.commands = []
        self.running = ""
        self.before = ""
        self.refuse = None          # why `configure check` and `configure` fail
        self.down = set()           # peers that are not Established
        self.down_after = {}        # text -> peers that go down once it is configured
        self.disabled = False       # `disable` was said
        self.hang = False           # take connections, and say nothing
        self.silent_after_hello = False
        self.garbage = None         # bytes instead of the greeting
        self.piece = None           # answer in pieces of so many bytes
        self.last_error = {}        # peer -> text
        self.busy = 0               # so many times "in progress"
        self.late = 0               # seconds until "configure timeout" is answered, when it has been done
        self.listener = None

    def start(self):
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(50)
        if os.path.exists(self.config):
            with open(self.config, encoding="utf-8") as file:
                self.running = file.read()
        threading.Thread(target=self.serve, args=(self.listener,), daemon=True).start()
        return self

    def stop(self):
        if self.listener is not None:
            self.listener.close()
            self.listener = None
            os.remove(self.path)

    def serve(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        with connection, contextlib.suppress(OSError):
            if self.hang:
                connection.recv(1)  # until the other end has had enough
                return
            if self.garbage is not None:
                connection.sendall(self.garbage)
                connection.recv(1000)
                return
            self.send(connection, "0001 BIRD 2.0.12 ready.\n")
            for line in connection.makefile("r", encoding="utf-8"):
                command = line.rstrip("\n")
                self.commands.append(command)
                if self.silent_after_hello:
                    connection.recv(1)
                    return
                self.send(connection, self.reply(command))

    def send(self, connection, text):
        data = text.encode()
        step = self.piece or len(data)
        for start in range(0, len(data), step):
            connection.sendall(data[start:start + step])
            if self.piece:
                time.sleep(0.0005)

    def read_config(self):
        with open(self.config, encoding="utf-8") as file:
            return file.read()

    def reply(self, command):
        if command.startswith("configure check"):
            os.stat(re.search(r'"(.*)"', command)[1])
            return f"0002-Reading configuration\n8002 {self.refuse}\n" if self.refuse else "0002-Reading configuration\n0020 Configuration OK\n"
        if command == "configure status":
            if self.busy > 0:
                self.busy -= 1
                return "0004-Reconfiguration in progress\n0000 \n"
            return "0003-Daemon is up and running\n0022-Configuration unconfirmed, undo in 2.999 s\n0000 \n"
        if command == "configure confirm":
            return "0018 Reconfiguration confirmed\n"
        if command == "configure undo":
            self.running = self.before
            return "0021-Undo requested\n0003 Reconfigured\n"
        if command.startswith("configure"):
            if self.refuse:
                return f"0002-Reading configuration\n8002 {self.refuse}\n"
            self.before, self.running = self.running, self.read_config()
            self.disabled = False
            time.sleep(self.late if "timeout" in command else 0)
            end = "0004 Reconfiguration in progress\n" if self.busy else "0003 Reconfigured\n"
            return "0002-Reading configuration\n" + ("0022-Undo scheduled in 60 s\n" if "timeout" in command else "") + end
        if command == "show protocols all":
            return self.protocols()
        if command.startswith("disable"):
            self.disabled = True
            return "0009-n.x: disabled\n0000 \n"
        return "9001 syntax error, unexpected CF_SYM_UNDEFINED\n"

    def protocols(self):
        down = self.down | self.down_after.get(self.running, set())
        text = "2002-Name       Proto      Table      State  Since         Info\n"
        text += "1002-device1    Device     ---        up     2026-11-27 06:23:13  \n1006-\n"
        for name, peer in re.findall(r"protocol bgp '(n\.\S+)' \{ neighbor (\S+)", self.running):
            disabled = self.disabled or re.search(rf"peerIP={re.escape(peer)} .*state=disabled", self.running)
            state = "Down" if disabled else "Active" if peer in down else "Established"
            row = "down" if disabled else "start" if peer in down else "up"
            text += f"1002-{name} BGP        ---        {row}     2026-11-27 06:23:13  {state}\n"
            text += f"1006-  BGP state:          {state}\n     Neighbor address: {peer}\n     Neighbor AS:      64500\n"
            if state == "Established":
                text += "+a line that nobody asked for\n     Hold timer:       46.977/60\n"
            if peer in self.last_error:
                text += f"     Last error:       {self.last_error[peer]}\n"
            text += "   Channel ipv4\n     State:          UP\n     Routes:         3 imported, 1 filtered, 2 exported, 3 preferred\n \n"
        return text + "0000 \n"


class Agent:
    """The program, with a state directory and files of its own below `folder`."""

    def __init__(self, folder, servers, *arguments, daemon="bird", environment=None):
        self.folder = folder
        self.state = os.path.join(folder, "state")
        self.config = os.path.join(folder, "bird.conf")
        self.log_path = os.path.join(folder, "log")
        self.servers = servers
        self.arguments = arguments
        self.daemon = daemon
        self.environment = environment or {}
        self.process = None

    def command(self):
        command = [PROGRAM, "--node", NODE, "--state-dir", self.state, "--daemon", self.daemon, "--group", "root"]
        for server in self.servers:
            command += ["--server", server]
        if self.daemon == "bird":
            command += ["--config", self.config, "--control", os.path.join(self.folder, "bird.ctl")]
        return command + list(self.arguments)

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **self.environment})
        return self

    def run(self, *arguments):
        """To its end: (status, output, log)."""
        done = subprocess.run(self.command() + list(arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS,
                              env={**os.environ, **self.environment}, check=False)
        return done.returncode, done.stdout, done.stderr

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_for_log(self, text, count=1):
        wait_until(lambda: self.log().count(text) >= count or self.process.poll() is not None, f"{text!r} in the log")
        if self.log().count(text) < count:
            raise AssertionError(f"the agent ended without {text!r} in its log:\n{self.log()}")

    def wait_applied(self, revision):
        self.wait_for_log(f"event=applied list=list{revision} ")

    def remembers(self, name):
        """Is that the list that the state directory says the daemon runs?"""
        try:
            with open(os.path.join(self.state, "state"), encoding="utf-8") as file:
                return f"\nlist={name}\n" in file.read()
        except FileNotFoundError:
            return False

    def installed(self):
        with open(self.config, encoding="utf-8") as file:
            return file.read()

    def stop(self, number=signal.SIGTERM):
        """The exit status and how long it took."""
        started = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(SECONDS)
        self.process = None
        return status, time.monotonic() - started

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Host:
    """A folder with a service, a BIRD and an agent; close ends all of them."""

    def __init__(self, *arguments, environment=None):
        self.folder = tempfile.mkdtemp(prefix="bgppeer-agent-test-")
        self.service = FakeService().start()
        self.bird = FakeBird(self.folder)
        self.agent = Agent(self.folder, [self.service.url], *arguments, environment=environment)

    def close(self):
        self.agent.kill()
        self.bird.stop()
        self.service.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
