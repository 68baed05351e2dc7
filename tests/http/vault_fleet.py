"""A service with passwords in it, for the vault's tests: one node "n", a session with a password for each Secret."""
import base64
import os
import subprocess
import time

from service import PROGRAM, Service
from wire import GROUP

SECRETS = "/api/v1/namespaces/default/secrets"
VAULT = "/apis/bgppeerd.io/v1/vault"
LIST = f"{GROUP}/nodes/n/peerings?passwords=true"


def password_of(number):
    return f"pa$$ wörd {number} {number * 7919}"


def peer_address(number):
    return f"198.18.{number // 250}.{number % 250 + 1}"


class Fleet(Service):
    """`count` Secrets "s0" … with key "a" each."""

    def __init__(self, *arguments, count=10, **options):
        super().__init__(*arguments, **options)
        self.count = count

    def fill(self):
        self.must("POST", f"{GROUP}/nodes", {"metadata": {"name": "n"},
                                             "spec": {"bgp": {"ipv4Address": "192.0.2.1", "asNumber": 64512}}})
        documents = []
        for number in range(self.count):
            data = {"a": base64.b64encode(password_of(number).encode()).decode()}
            documents.append({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"s{number}"}, "data": data})
            spec = {"node": "n", "peerIP": peer_address(number), "asNumber": 64999,
                    "password": {"secretKeyRef": {"name": f"s{number}", "key": "a"}}}
            documents.append({"apiVersion": "projectcalico.org/v3", "kind": "BGPPeer", "metadata": {"name": f"p{number}"},
                              "spec": spec})
        for first in range(0, len(documents), 900):
            self.must("POST", "/apis/bgppeerd.io/v1/applies", documents[first:first + 900])

    def must(self, method, path, body=None, headers=None):
        answer = self.request(method, path, body, headers)
        if answer.status >= 300:
            raise AssertionError(f"{method} {path}: {answer.status} {answer.body[:500]}")
        return answer

    def sessions(self):
        """{number: entry} of the node's list, with passwords."""
        numbers = {peer_address(number): number for number in range(self.count)}
        return {numbers[entry["peerIP"]]: entry for entry in self.must("GET", LIST).json()["items"]}

    def passwords(self):
        return {number: entry.get("password") for number, entry in self.sessions().items()}

    def expected(self):
        return {number: password_of(number) for number in range(self.count)}

    def vault(self):
        return self.must("GET", VAULT).json()["status"]

    def wait_for_operation(self, answer):
        """Until the operation that `answer` (202) has begun is over; it as it then is."""
        wanted = answer.json()["status"]["operation"]["id"]
        for _ in range(600):
            status = self.vault()
            if status["operation"]["id"] != wanted:
                raise AssertionError(f"operation {wanted} was followed by {status['operation']}")
            if status["operation"]["state"] != "Running":
                return status["operation"]
            time.sleep(0.05)
        raise AssertionError("the operation does not end")

    def change(self, method, path, body=None):
        answer = self.must(method, f"{VAULT}/{path}", body)
        if answer.status != 202:
            raise AssertionError(f"{answer.status} {answer.body}")
        return self.wait_for_operation(answer)

    def command(self, *arguments, **options):
        """A command of the program on this data directory."""
        return run("--data-dir", self.data, command=arguments, **options)

    def database(self):
        return os.path.join(self.data, "bgppeerd.db")


def run(*options, command):
    return subprocess.run([PROGRAM, *command, *options], capture_output=True, text=True, check=False, timeout=120,
                          stdin=subprocess.DEVNULL)


def write_private(path, data):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    return path


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()
