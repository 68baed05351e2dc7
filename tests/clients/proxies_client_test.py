"""Polls and watches through nginx, HAProxy and Apache that compress what passes (`make deps-clients` brings them).

Each is asked the way agents and kubectl ask, with the entity tags as that proxy makes them: a poll must be answered 304,
and with `wait` it must wait, or its agent would ask again and again.

tests/run: timeout 300
"""
import gzip
import http.client
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from service import REQUEST_SECONDS, Service, free_port

GROUP = "/apis/projectcalico.org/v3"
LIST = f"{GROUP}/nodes/n/peerings"
PATH = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"
MODULES = "/usr/lib/apache2/modules"

NGINX = """\
pid {folder}/nginx.pid; error_log {folder}/nginx.log; daemon off;
events {{ worker_connections 64; }}
http {{
  access_log off; gzip on; gzip_types application/json; gzip_proxied any; gzip_min_length 1;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
}}
"""
HAPROXY = """\
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
frontend f
  bind 127.0.0.1:{port}
  filter compression
  compression algo gzip
  compression type application/json
  default_backend b
backend b
  server s 127.0.0.1:{upstream}
"""
APACHE = """\
ServerName 127.0.0.1
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/apache.log
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
LoadModule filter_module {modules}/mod_filter.so
LoadModule deflate_module {modules}/mod_deflate.so
AddOutputFilterByType DEFLATE application/json
ProxyPass / http://127.0.0.1:{upstream}/ flushpackets=on
ProxyPassReverse / http://127.0.0.1:{upstream}/
"""
PROXIES = {
    "nginx": (NGINX, ["-e", "{folder}/nginx.log", "-c", "{config}"]),
    "haproxy": (HAPROXY, ["-db", "-f", "{config}"]),
    "apache2": (APACHE, ["-X", "-f", "{config}"]),
}


class ProxyCase:
    program = None

    @classmethod
    def setUpClass(cls):
        program = shutil.which(cls.program, path=PATH)
        if program is None:
            raise unittest.SkipTest(f"{cls.program} is not installed: `make deps-clients` installs it")
        cls.service = Service()
        cls.addClassCleanup(cls.service.close)
        cls.service.start()
        folder = cls.service.folder
        os.chmod(folder, 0o755)
        text, arguments = PROXIES[cls.program]
        names = {"folder": folder, "config": os.path.join(folder, "proxy.conf"), "port": free_port(), "upstream": cls.service.port, "modules": MODULES}
        with open(names["config"], "w", encoding="ascii") as file:
            file.write(text.format(**names))
        cls.port = names["port"]
        with open(os.path.join(folder, "proxy.out"), "wb") as out:
            cls.proxy = subprocess.Popen([program, *(one.format(**names) for one in arguments)], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                         start_new_session=True)
        cls.addClassCleanup(cls.stop)
        end = time.monotonic() + REQUEST_SECONDS
        while cls.get("/readyz")[0] != 200:
            if time.monotonic() > end or cls.proxy.poll() is not None:
                with open(os.path.join(folder, "proxy.out"), encoding="utf-8", errors="replace") as file:
                    raise AssertionError(f"{cls.program} does not work:\n{file.read()}")
            time.sleep(0.05)

    @classmethod
    def stop(cls):
        """With its workers, and at once: asked politely, some wait for what is still open."""
        os.killpg(cls.proxy.pid, signal.SIGKILL)
        cls.proxy.wait()

    @classmethod
    def get(cls, path, **headers):
        """Status, headers and text; 0 while the proxy does not listen yet."""
        connection = http.client.HTTPConnection("127.0.0.1", cls.port, timeout=REQUEST_SECONDS)
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            body = answer.read()
            return answer.status, answer.headers, gzip.decompress(body) if answer.headers["Content-Encoding"] == "gzip" else body
        except OSError:
            return 0, {}, b""
        finally:
            connection.close()

    def set_node(self, address):
        node = {"kind": "Node", "apiVersion": "projectcalico.org/v3", "metadata": {"name": "n"}, "spec": {"bgp": {"ipv4Address": address}}}
        self.assertEqual(self.service.request("POST", "/apis/bgppeerd.io/v1/applies", [node]).status, 200)

    def test_a_poll(self):
        self.set_node("192.0.2.1")
        status, headers, body = self.get(LIST, Accept_Encoding="gzip")
        self.assertEqual((status, headers["Content-Encoding"]), (200, "gzip"), "it does not compress, so this shows nothing")
        self.assertEqual(json.loads(body)["local"]["ipv4Address"], "192.0.2.1")
        for _ in range(3):
            status, again, body = self.get(LIST, Accept_Encoding="gzip", If_None_Match=headers["ETag"])
            self.assertEqual((status, body), (304, b""), headers["ETag"])
            headers = again if again["ETag"] else headers

    def test_a_poll_that_waits(self):
        self.set_node("192.0.2.2")
        tag = self.get(LIST, Accept_Encoding="gzip")[1]["ETag"]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_SECONDS)
        self.addCleanup(connection.close)
        connection.request("GET", f"{LIST}?wait=50s", headers={"Accept-Encoding": "gzip", "If-None-Match": tag})
        self.service.wait_until_waiting(1)
        self.set_node("192.0.2.3")
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        self.assertEqual(json.loads(gzip.decompress(answer.read()))["local"]["ipv4Address"], "192.0.2.3")
        self.assertNotEqual(answer.headers["ETag"], tag)
        self.service.wait_until_waiting(0)

    def test_a_watch(self):
        """Each event comes when it happens, not when a buffer of the proxy's is full."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_SECONDS)
        self.addCleanup(connection.close)
        connection.request("GET", f"{GROUP}/bgpfilters?watch=1&timeoutSeconds=50")
        made = self.service.request("POST", f"{GROUP}/bgpfilters", {"metadata": {"name": "f"}, "spec": {}})
        self.assertEqual(made.status, 201)
        answer = connection.getresponse()
        event = json.loads(answer.readline())
        self.assertEqual((event["type"], event["object"]["metadata"]["name"]), ("ADDED", "f"))
        self.assertEqual(self.service.request("DELETE", f"{GROUP}/bgpfilters/f").status, 200)
        self.assertEqual(json.loads(answer.readline())["type"], "DELETED")


class NginxTest(ProxyCase, unittest.TestCase):
    program = "nginx"


class HAProxyTest(ProxyCase, unittest.TestCase):
    program = "haproxy"


class ApacheTest(ProxyCase, unittest.TestCase):
    program = "apache2"


if __name__ == "__main__":
    unittest.main()
