"""Discovery in both forms, and the OpenAPI documents that Kubernetes' clients read."""
import json
import unittest

from wire import GROUP, ServiceTest

KINDS = {"bgppeers": "BGPPeer", "nodes": "Node", "bgpconfigurations": "BGPConfiguration", "bgpfilters": "BGPFilter"}
PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


def discovery(version):
    return f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"


def fields(message):
    """The fields of a protobuf message: [(number, value)]; nested ones and texts as bytes."""
    at, found = 0, []

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = varint()
        if tag & 7 == 0:
            found.append((tag >> 3, varint()))
            continue
        length = 8 if tag & 7 == 1 else varint()
        if at + length > len(message) or tag & 7 not in (1, 2):
            raise ValueError("not protobuf")
        found.append((tag >> 3, message[at : at + length]))
        at += length
    return found


def first(message, *path):
    for number in path:
        message = next(value for found, value in fields(message) if found == number)
    return message


def named(message, number):
    """A map, which is repeated {1: name, 2: value}."""
    return {first(value, 1).decode(): first(value, 2) for found, value in fields(message) if found == number}


def references(value):
    if isinstance(value, dict):
        for key, member in value.items():
            if key == "$ref" and isinstance(member, str):
                yield member
            else:
                yield from references(member)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


class DiscoveryTest(ServiceTest):
    def test_aggregated(self):
        for version in ("v2", "v2beta1"):
            for path, group, plurals in (("/apis", "projectcalico.org", set(KINDS)), ("/api", None, {"secrets", "namespaces"})):
                answer = self.request("GET", path, headers={"Accept": f"{discovery(version)},application/json"})
                self.assertEqual(answer.headers["Content-Type"], discovery(version))
                document = answer.json()
                self.assertEqual((document["kind"], document["apiVersion"]), ("APIGroupDiscoveryList", f"apidiscovery.k8s.io/{version}"))
                item = document["items"][0]
                self.assertEqual(item["metadata"].get("name"), group)
                self.assertEqual(item["versions"][0]["freshness"], "Current")
                self.assertEqual({resource["resource"] for resource in item["versions"][0]["resources"]}, plurals)

    def test_both_forms_say_the_same(self):
        whole = self.request("GET", "/apis", headers={"Accept": discovery("v2")}).json()["items"][0]["versions"][0]["resources"]
        plain = {resource["name"]: resource for resource in self.request("GET", GROUP).json()["resources"]}
        for resource in whole:
            other = plain[resource["resource"]]
            self.assertEqual(resource["responseKind"], {"group": "projectcalico.org", "version": "v3", "kind": other["kind"]})
            self.assertEqual((resource["scope"], resource["singularResource"]), ("Cluster", other["singularName"]))
            for member in ("verbs", "shortNames", "categories"):
                self.assertEqual(resource.get(member), other.get(member))
            self.assertEqual(other["categories"], ["all", "bgp", "calico"])
        self.assertEqual({name: plain[name]["shortNames"] for name in plain if "shortNames" in plain[name]},
                         {"bgppeers": ["bp"], "nodes": ["no"], "bgpfilters": ["bf"], "bgpconfigurations": ["bgpconfig"]})

    def test_core(self):
        resources = {resource["name"]: resource for resource in self.request("GET", "/api/v1").json()["resources"]}
        self.assertEqual((resources["secrets"]["namespaced"], resources["secrets"]["kind"]), (True, "Secret"))
        self.assertEqual(sorted(resources["secrets"]["verbs"]), ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"])
        self.assertEqual(sorted(resources["namespaces"]["verbs"]), ["get", "list"])

    def test_who_asks_for_what(self):
        plain = lambda accept: self.request("GET", "/apis", headers={"Accept": accept}).headers["Content-Type"]
        self.assertEqual(plain("application/json, */*"), "application/json")
        self.assertEqual(plain("*/*"), "application/json")
        self.assertEqual(plain(f"{discovery('v2')},{discovery('v2beta1')},application/json"), discovery("v2"))
        self.assertEqual(plain(f"{discovery('v2beta1')},application/json"), discovery("v2beta1"))
        self.assertEqual(plain(f"{discovery('v9')},application/json"), "application/json")


class OpenAPITest(ServiceTest):
    def check_revalidation(self, path, headers=None):
        answer = self.request("GET", path, headers=headers or {})
        again = self.request("GET", path, headers={**(headers or {}), "If-None-Match": answer.headers["ETag"]})
        self.assertEqual((answer.status, again.status, again.body), (200, 304, b""))
        return answer

    def test_v3(self):
        index = self.check_revalidation("/openapi/v3").json()["paths"]
        self.assertEqual(set(index), {"api/v1", "apis/projectcalico.org/v3"})
        for part, kinds in (("api/v1", {"Secret", "Namespace"}), ("apis/projectcalico.org/v3", set(KINDS.values()))):
            url = index[part]["serverRelativeURL"]
            self.assertTrue(url.startswith(f"/openapi/v3/{part}?hash="))
            answer = self.check_revalidation(url + "&timeout=32s")
            self.assertIn("immutable", answer.headers["Cache-Control"])
            self.assertNotIn("immutable", self.check_revalidation(f"/openapi/v3/{part}?hash=0").headers["Cache-Control"])
            document = answer.json()
            self.assertTrue(document["openapi"].startswith("3.0"))
            for reference in references(document):
                self.assertIn(reference.removeprefix("#/components/schemas/"), document["components"]["schemas"])
            described = {item["kind"] for schema in document["components"]["schemas"].values()
                         for item in schema.get("x-kubernetes-group-version-kind", [])}
            self.assertLessEqual(kinds, described)

    def test_writes_tell_their_parameters(self):
        """By these kubectl knows whether it may do --dry-run=server and leave checking fields to the server."""
        for document in ("/openapi/v3/api/v1", "/openapi/v3/apis/projectcalico.org/v3", "/openapi/v2"):
            paths = self.request("GET", document).json()["paths"]
            patches = [item["patch"] for item in paths.values() if "patch" in item]
            self.assertTrue(patches)
            for patch in patches:
                self.assertLessEqual({"dryRun", "fieldManager", "fieldValidation"}, {parameter["name"] for parameter in patch["parameters"]})
                self.assertEqual(set(patch["x-kubernetes-group-version-kind"]), {"group", "version", "kind"})

    def test_v2(self):
        answer = self.check_revalidation("/openapi/v2", {"Accept": "application/json"})
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        document = answer.json()
        self.assertEqual(document["swagger"], "2.0")
        for reference in references(document):
            self.assertIn(reference.removeprefix("#/definitions/"), document["definitions"])
        for plural, kind in KINDS.items():
            self.assertIn(f"{GROUP}/{plural}/{{name}}", document["paths"])
            definition = document["definitions"][f"org.projectcalico.v3.{kind}"]
            self.assertEqual(definition["x-kubernetes-group-version-kind"], [{"group": "projectcalico.org", "version": "v3", "kind": kind}])
        spec = document["definitions"]["org.projectcalico.v3.BGPPeer"]["properties"]["spec"]["properties"]
        self.assertIn("RFC 5082", spec["ttlSecurity"]["description"])
        meta = document["definitions"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"]
        self.assertLessEqual({"managedFields", "creationTimestamp", "annotations"}, set(meta))

    def test_what_a_file_may_leave_out(self):
        """kubectl before 1.27 checks a file against this: a list to apply has no metadata."""
        definitions = self.request("GET", "/openapi/v2").json()["definitions"]
        schemas = self.request("GET", "/openapi/v3/apis/projectcalico.org/v3").json()["components"]["schemas"]
        for described in (definitions, schemas):
            for kind in KINDS.values():
                self.assertEqual(described[f"org.projectcalico.v3.{kind}List"]["required"], ["items"])
                self.assertIn("labels", described[f"org.projectcalico.v3.{kind}"]["properties"]["metadata"]["description"])
        self.assertEqual(definitions["io.k8s.api.core.v1.SecretList"]["required"], ["items"])

    def test_every_field_is_described(self):
        """What kubectl explain shows of a kind, at any depth."""
        def undescribed(schema, where):
            for name, field in schema.get("properties", {}).items():
                if not field.get("description"):
                    yield f"{where}.{name}"
                yield from undescribed(field, f"{where}.{name}")
                yield from undescribed(field.get("items", {}), f"{where}.{name}[]")

        documents = (self.request("GET", "/openapi/v2").json()["definitions"], self.request("GET", "/openapi/v3/api/v1").json()["components"]["schemas"],
                     self.request("GET", "/openapi/v3/apis/projectcalico.org/v3").json()["components"]["schemas"])
        for schemas in documents:
            explained = {name: schema for name, schema in schemas.items()
                         if ("x-kubernetes-group-version-kind" in schema and not name.endswith("List")) or name.endswith(".ObjectMeta")}
            self.assertGreaterEqual(len(explained), 3)
            self.assertEqual([where for name, schema in explained.items() for where in undescribed(schema, name)], [])

    def test_v2_as_protobuf(self):
        answer = self.check_revalidation("/openapi/v2", {"Accept": PROTOBUF})
        self.assertEqual(answer.headers["Content-Type"], PROTOBUF.replace("@", "."))
        document = self.request("GET", "/openapi/v2").json()
        self.assertEqual(first(answer.body, 1), b"2.0")
        paths = named(first(answer.body, 8), 2)
        definitions = named(first(answer.body, 9), 1)
        self.assertEqual((set(paths), set(definitions)), (set(document["paths"]), set(document["definitions"])))
        patch = first(paths[f"{GROUP}/bgppeers/{{name}}"], 8)
        extension = named(patch, 13)["x-kubernetes-group-version-kind"]
        self.assertEqual(json.loads(first(extension, 2)), {"group": "projectcalico.org", "version": "v3", "kind": "BGPPeer"})
        parameters = [fields(first(value, 1))[0] for number, value in fields(patch) if number == 8]
        others = [fields(value)[0] for place, value in parameters if place == 2]
        query = [first(value, 4) for place, value in others if place == 3]
        self.assertLessEqual({b"dryRun", b"fieldManager", b"fieldValidation"}, set(query))
        self.assertEqual([first(value, 2) for place, value in parameters if place == 1], [b"body"])
        for name, definition in document["definitions"].items():
            self.check_schema(definition, definitions[name], name)

    def check_schema(self, schema, message, name):
        """The same schema in both forms."""
        found = fields(message)
        text = lambda number: next((value.decode() for at, value in found if at == number), None)
        self.assertEqual(text(1), schema.get("$ref"), name)
        self.assertEqual(text(4), schema.get("description"), name)
        self.assertEqual(text(2), schema.get("format"), name)
        types = [value for at, value in found if at == 22]
        self.assertEqual(first(types[0], 1).decode() if types else None, schema.get("type"), name)
        properties = named(first(message, 25), 1) if any(at == 25 for at, _ in found) else {}
        self.assertEqual(set(properties), set(schema.get("properties", {})), name)
        for member, value in properties.items():
            self.check_schema(schema["properties"][member], value, f"{name}.{member}")
        for number, member in ((21, "additionalProperties"), (23, "items")):
            if member in schema:
                self.check_schema(schema[member], first(message, number, 1), f"{name}.{member}")
        extensions = {key: json.loads(first(value, 2)) for key, value in named(message, 31).items()}
        self.assertEqual(extensions, {key: value for key, value in schema.items() if key.startswith("x-")}, name)

    def test_what_cannot_be_had(self):
        answer = self.request("GET", "/openapi/v2", headers={"Accept": "text/html"})
        self.assertEqual((answer.status, answer.json()["reason"]), (406, "NotAcceptable"))
        self.assertEqual(self.request("GET", "/openapi/v3/apis/apps/v1").status, 404)
        self.assertEqual(self.request("GET", "/swagger-2.0.0.pb-v1").status, 404)


if __name__ == "__main__":
    unittest.main()
