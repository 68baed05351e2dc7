"""A service that is one file: GET …/peerings answers it, with its digest as entity tag and with wait=, and PUT …/status puts
the report beside it. For hosts of their own network: serve_file.py FILE [PORT]"""
import hashlib
import http.server
import os
import re
import socketserver
import sys
import time

PATH = sys.argv[1]


def current():
    try:
        with open(PATH, "rb") as file:
            text = file.read()
    except FileNotFoundError:
        return None, None
    return text, '"' + hashlib.sha256(text).hexdigest()[:16] + '"'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, etag="", body=b""):
        self.send_response(status)
        if etag:
            self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        wait = re.search(r"wait=(\d+)s", self.path)
        end = time.monotonic() + (int(wait[1]) if wait else 0)
        text, etag = current()
        while etag == self.headers.get("If-None-Match") and time.monotonic() < end:
            time.sleep(0.02)
            text, etag = current()
        if text is None:
            self.answer(404)
        elif etag == self.headers.get("If-None-Match"):
            self.answer(304, etag)
        else:
            self.answer(200, etag, text)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(PATH + ".report.new", "wb") as file:
            file.write(body)
        os.replace(PATH + ".report.new", PATH + ".report")
        self.answer(204)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


Server(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 8080), Handler).serve_forever()
