"""The brake: writes that would disrupt much of the fleet are refused unless they say that they mean it. And the freeze."""
import concurrent.futures
import datetime
import json
import time
import unittest

from exposition import parse
from service import Service

GROUP = "/apis/projectcalico.org/v3"
OURS = "/apis/bgppeerd.io/v1"
SECRETS = "/api/v1/namespaces/default/secrets"
DEFAULT = f"{GROUP}/bgpconfigurations/default"
FORCE = "bgppeerd.io/force"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MERGE, JSON_PATCH, STRATEGIC = ({"Content-Type": f"application/{kind}+json"} for kind in ("merge-patch", "json-patch", "strategic-merge-patch"))
NODES = 12
SESSIONS = NODES * (NODES - 1)


def document(kind, name, spec, **metadata):
    return {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def node(number, **metadata):
    return document("Node", f"n{number:02}", {"bgp": {"ipv4Address": f"192.0.2.{number}/24"}}, **metadata)


def configuration(as_number, **metadata):
    return document("BGPConfiguration", "default",
                    {"asNumber": as_number, "nodeMeshPassword": {"secretKeyRef": {"name": "mesh", "key": "password"}}, "nodeToNodeMeshEnabled": True}, **metadata)


def secret(value, **metadata):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mesh", "namespace": "default", **metadata}, "stringData": {"password": value}}


def with_annotation(body, force="disruptive"):
    body = json.loads(json.dumps(body))
    body["metadata"].setdefault("annotations", {})[FORCE] = force
    return body


def change_set(*changes, **spec):
    return {"apiVersion": "bgppeerd.io/v1", "kind": "ChangeSet", "spec": {"changes": list(changes), **spec}}


class Fleet(unittest.TestCase):
    """A mesh of a dozen nodes with a password: 132 ends of sessions."""
    arguments = ()
    auth = False

    @classmethod
    def setUpClass(cls):
        cls.service = Service(*cls.arguments, auth=cls.auth)
        cls.service.start()
        cls.addClassCleanup(cls.service.close)
        cls.build()

    @classmethod
    def build(cls, nodes=NODES):
        for body, path in [(secret("one"), SECRETS), (configuration(64512), f"{GROUP}/bgpconfigurations")]:
            assert cls.service.request("POST", path, body).status == 201
        for number in range(1, nodes + 1):
            answer = cls.service.request("POST", f"{GROUP}/nodes", node(number, labels={"half": str(number % 2)}))
            assert answer.status == 201, answer.body

    def request(self, method, path, body=None, headers=None):
        return self.service.request(method, path, body, headers)

    def version(self):
        return self.request("GET", f"{GROUP}/nodes").json()["metadata"]["resourceVersion"]

    def metric(self, name, **labels):
        metrics = parse(self.request("GET", "/metrics").body.decode())
        return sum(value for labelled, value in metrics[name].samples if labels.items() <= labelled.items())

    def refused(self, answer, reason="TooDisruptive"):
        self.assertEqual(answer.status, 409, answer.body)
        status = answer.json()
        self.assertEqual((status["kind"], status["reason"], status["code"]), ("Status", reason, 409))
        return status
