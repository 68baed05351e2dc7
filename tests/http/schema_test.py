"""What the service answers is what its OpenAPI document says: paths, methods, statuses, and every body's schema."""
import json
import re
import unittest

from service import Service

GROUP = "/apis/projectcalico.org/v3"
NAMES = {"nodes": "rack1-host1", "bgppeers": "rack1-host1-tor", "bgpconfigurations": "default", "bgpfilters": "only-pods"}
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool}


def is_type(value, name):
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


class Schemas:
    """The part of JSON Schema that the document uses. A keyword that is not known here is an error."""

    IGNORED = {"description", "format", "default", "examples", "summary"}

    def __init__(self, document):
        self.document = document

    def resolve(self, value):
        while isinstance(value, dict) and "$ref" in value:
            at = self.document
            for step in value["$ref"].removeprefix("#/").split("/"):
                at = at[step]
            value = at
        return value

    def errors(self, value, schema, path="$"):
        schema = self.resolve(schema)
        if schema is True:
            return
        for keyword, rule in schema.items():
            if keyword in self.IGNORED or keyword.startswith("x-"):
                continue
            check = getattr(self, "check_" + keyword, None)
            if check is None:
                yield f"{path}: this test does not know the keyword {keyword}"
            else:
                yield from check(value, rule, path, schema)

    def check_type(self, value, rule, path, _schema):
        if not is_type(value, rule):
            yield f"{path}: {value!r} is no {rule}"

    def check_enum(self, value, rule, path, _schema):
        if value not in rule:
            yield f"{path}: {value!r} is none of {rule}"

    def check_required(self, value, rule, path, _schema):
        for name in rule:
            if isinstance(value, dict) and name not in value:
                yield f"{path}: {name} is missing"

    def check_properties(self, value, rule, path, _schema):
        for name, member in value.items() if isinstance(value, dict) else ():
            if name in rule:
                yield from self.errors(member, rule[name], f"{path}.{name}")

    def check_additionalProperties(self, value, rule, path, schema):
        for name, member in value.items() if isinstance(value, dict) else ():
            if name in schema.get("properties", {}):
                continue
            if rule is False:
                yield f"{path}: {name} is not described"
            else:
                yield from self.errors(member, rule, f"{path}.{name}")

    def check_items(self, value, rule, path, _schema):
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from self.errors(item, rule, f"{path}[{index}]")

    def check_anyOf(self, value, rule, path, _schema):
        if not any(not list(self.errors(value, choice, path)) for choice in rule):
            yield f"{path}: {value!r} fits none of anyOf"

    def check_oneOf(self, value, rule, path, _schema):
        fitting = [choice for choice in rule if not list(self.errors(value, choice, path))]
        if len(fitting) != 1:
            yield f"{path}: {value!r} fits {len(fitting)} of oneOf"

    def check_pattern(self, value, rule, path, _schema):
        if isinstance(value, str) and not re.search(rule, value):
            yield f"{path}: {value!r} does not match {rule}"

    def check_minimum(self, value, rule, path, _schema):
        if is_type(value, "integer") and value < rule:
            yield f"{path}: {value} is below {rule}"

    def check_maximum(self, value, rule, path, _schema):
        if is_type(value, "integer") and value > rule:
            yield f"{path}: {value} is above {rule}"

    def check_minLength(self, value, rule, path, _schema):
        if isinstance(value, str) and len(value) < rule:
            yield f"{path}: shorter than {rule}"

    def check_maxLength(self, value, rule, path, _schema):
        if isinstance(value, str) and len(value) > rule:
            yield f"{path}: longer than {rule}"

    def check_minItems(self, value, rule, path, _schema):
        if isinstance(value, list) and len(value) < rule:
            yield f"{path}: fewer than {rule} items"

    def check_maxItems(self, value, rule, path, _schema):
        if isinstance(value, list) and len(value) > rule:
            yield f"{path}: more than {rule} items"


class SchemaTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service()
        cls.addClassCleanup(cls.service.close)
        cls.service.start()
        cls.document = cls.service.request("GET", "/openapi.json").json()
        cls.schemas = Schemas(cls.document)
        cls.examples = cls.service.apply_examples()

    def expect(self, status, method, path, template=None, **options):
        """Do a request and hold its answer to the document. `template`: the path as the document writes it."""
        answer = self.service.request(method, path, **options)
        self.assertEqual(answer.status, status, answer.body)
        item = self.document["paths"][template or path.split("?")[0]]
        responses = item[method.lower()]["responses"]
        response = self.schemas.resolve(responses.get(str(status)) or responses["default"])
        content = response.get("content")
        if content is None:
            self.assertEqual(answer.body, b"")
            return answer
        accept = (options.get("headers") or {}).get("Accept", "")
        kind = answer.headers["Content-Type"].split(";")[0]
        wanted = content[accept] if accept in content else content[kind]
        if kind == "application/json":
            self.assertEqual(list(self.schemas.errors(answer.json(), wanted["schema"])), [])
        return answer

    def test_the_examples_were_created(self):
        for name, answer in self.examples.items():
            self.assertEqual(answer.status, 201, f"{name}: {answer.body}")

    def test_every_operation_is_there(self):
        """Nothing in the document is answered 404 for its path or 405 for its method."""
        for template, item in self.document["paths"].items():
            for method in item:
                if method == "parameters":
                    continue
                path = template.replace("{name}", "there-is-none").replace("{namespace}", "default")
                answer = self.service.request(method.upper(), path + "?dryRun=All", body=b"{}",
                                              headers={"Content-Type": "application/json"}) if method != "get" \
                    else self.service.request("GET", path)
                with self.subTest(method=method, path=path):
                    self.assertNotEqual(answer.status, 405)
                    if "{name}" not in template:
                        self.assertNotEqual(answer.status, 404)

    def test_methods_that_are_not_in_the_document_are_405(self):
        for template, item in self.document["paths"].items():
            for method in {"get", "post", "put", "patch", "delete"} - set(item):
                answer = self.service.request(method.upper(), template.replace("{name}", "x").replace("{namespace}", "default"), body=b"{}")
                with self.subTest(method=method, path=template):
                    self.assertEqual(answer.status, 405)
                    allowed = {word.strip().lower() for word in answer.headers["Allow"].split(",")} - {"head"}
                    self.assertEqual(allowed, set(item) - {"parameters"})
                    status = self.schemas.document["components"]["schemas"]["Status"]
                    self.assertEqual(list(self.schemas.errors(answer.json(), status)), [])

    def test_lists_and_tables(self):
        for plural in NAMES:
            with self.subTest(plural):
                answer = self.expect(200, "GET", f"{GROUP}/{plural}")
                self.assertTrue(answer.json()["items"])
                self.expect(200, "GET", f"{GROUP}/{plural}?limit=1")
                self.expect(200, "GET", f"{GROUP}/{plural}", headers={"Accept": TABLE})
                self.expect(400, "GET", f"{GROUP}/{plural}?fieldSelector=spec.x%3D1")
                self.expect(400, "GET", f"{GROUP}/{plural}?labelSelector=%28")

    def test_objects(self):
        for plural, name in NAMES.items():
            template = f"{GROUP}/{plural}/{{name}}"
            path = f"{GROUP}/{plural}/{name}"
            with self.subTest(plural):
                got = self.expect(200, "GET", path, template)
                self.expect(200, "GET", path, template, headers={"Accept": TABLE})
                self.expect(304, "GET", path, template, headers={"If-None-Match": got.headers["ETag"]})
                self.expect(404, "GET", f"{GROUP}/{plural}/there-is-none", template)
                self.expect(200, "PUT", path, template, body=got.json())
                self.expect(200, "PATCH", path, template, body='{"metadata":{"labels":{"seen":"yes"}}}',
                            headers={"Content-Type": "application/merge-patch+json"})
                self.expect(200, "PATCH", path, template, body='[{"op":"remove","path":"/metadata/labels/seen"}]',
                            headers={"Content-Type": "application/json-patch+json"})
                self.expect(409, "PUT", path, template, body=got.json())
                self.expect(412, "DELETE", path, template, headers={"If-Match": '"another"'})
                self.expect(200, "DELETE", path + "?dryRun=All", template)

    def test_refusals(self):
        path = f"{GROUP}/bgppeers"
        self.expect(400, "POST", path, body="{")
        self.expect(400, "POST", path, body={"apiVersion": "projectcalico.org/v3", "kind": "BGPPeer",
                                             "metadata": {"name": "a"}, "spec": {"peerIp": "10.0.0.1"}})
        self.expect(415, "POST", path, body="x", headers={"Content-Type": "text/html"})
        self.expect(422, "POST", path, body={"apiVersion": "projectcalico.org/v3", "kind": "BGPPeer",
                                             "metadata": {"name": "a"},
                                             "spec": {"peerIP": "nowhere", "node": "a", "nodeSelector": "all()"}})
        self.expect(409, "POST", path, body={"apiVersion": "projectcalico.org/v3", "kind": "BGPPeer",
                                             "metadata": {"name": "collector"}, "spec": {"peerIP": "10.0.0.1"}})
        self.expect(413, "POST", path, body=b" " * (1024 * 1024 + 1))

    def test_create_and_delete(self):
        for plural, kind in (("nodes", "Node"), ("bgppeers", "BGPPeer"), ("bgpfilters", "BGPFilter")):
            document = {"apiVersion": "projectcalico.org/v3", "kind": kind,
                        "metadata": {"name": "schema-test", "labels": {"made-by": "schema-test"}}, "spec": {}}
            self.expect(201, "POST", f"{GROUP}/{plural}", body=document)
            self.expect(200, "DELETE", f"{GROUP}/{plural}/schema-test", f"{GROUP}/{plural}/{{name}}")
            self.expect(201, "POST", f"{GROUP}/{plural}", body=document)
            gone = self.expect(200, "DELETE", f"{GROUP}/{plural}?labelSelector=made-by%3Dschema-test")
            self.assertEqual([item["metadata"]["name"] for item in gone.json()["items"]], ["schema-test"])

    def test_peering_lists(self):
        template = f"{GROUP}/nodes/{{name}}/peerings"
        for name in ("rack1-host1", "rack1-host2", "rack2-host1", "rack2-host2"):
            path = f"{GROUP}/nodes/{name}/peerings"
            answer = self.expect(200, "GET", path, template)
            self.assertTrue(answer.json()["items"])
            for header in self.document["paths"][template]["get"]["responses"]["200"]["headers"]:
                if header != "Warning":  # with a format, for what its daemon cannot express
                    self.assertIn(header, answer.headers)
            self.expect(304, "GET", path, template, headers={"If-None-Match": answer.headers["ETag"]})
        self.expect(404, "GET", f"{GROUP}/nodes/there-is-none/peerings", template)
        self.expect(400, "GET", f"{GROUP}/nodes/rack1-host1/peerings?wait=soon", template,
                    headers={"If-None-Match": '"x"'})

    def test_documents(self):
        for path in ("/api", "/api/v1", "/apis", "/apis/projectcalico.org", "/apis/projectcalico.org/v3", "/version",
                     "/openapi.json", "/openapi/v2", "/openapi/v3", "/livez", "/readyz", "/healthz"):
            with self.subTest(path):
                self.expect(200, "GET", path)

    def test_watch_events(self):
        event = self.document["components"]["schemas"]["WatchEvent"]
        answer = self.service.request("GET", f"{GROUP}/bgppeers?watch=1&timeoutSeconds=1&allowWatchBookmarks=true")
        lines = answer.body.decode().splitlines()
        self.assertGreaterEqual(len(lines), 5)
        for line in lines:
            self.assertEqual(list(self.schemas.errors(json.loads(line), event)), [])


class CheckerTest(unittest.TestCase):
    """The schema checker itself finds what is wrong."""

    def test_it_finds_mistakes(self):
        schemas = Schemas({"components": {"schemas": {"Port": {"type": "integer", "minimum": 1, "maximum": 9}}}})
        port = {"$ref": "#/components/schemas/Port"}
        schema = {"type": "object", "required": ["a"], "additionalProperties": False,
                  "properties": {"a": port, "b": {"type": "array", "items": {"enum": ["x"]}}, "c": {"pattern": "^q"},
                                 "d": {"anyOf": [{"type": "string"}, port]}}}
        for value, count in (({"a": 1}, 0), ({}, 1), ({"a": 0}, 1), ({"a": 10}, 1), ({"a": True}, 1), ({"a": 1, "e": 1}, 1),
                             ({"a": 1, "b": ["x", "y"]}, 1), ({"a": 1, "c": "r"}, 1), ({"a": 1, "d": 0}, 1),
                             ({"a": 1, "d": "0"}, 0), ([], 1)):
            self.assertEqual(len(list(schemas.errors(value, schema))), count, value)
        self.assertEqual(len(list(schemas.errors(1, {"oneOf": []}))), 1)


if __name__ == "__main__":
    unittest.main()
