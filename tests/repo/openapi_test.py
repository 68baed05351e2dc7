"""api/openapi.yaml is what the generator makes of the field tables now, and its YAML means the same as its JSON."""
import json
import os
import subprocess
import unittest

try:
    import yaml
except ImportError:
    yaml = None

GENERATOR = os.path.join(os.environ.get("BUILD", "build"), "api", "openapi-gen")


def generate(form, *more):
    return subprocess.run([GENERATOR, form, *more], capture_output=True, text=True, check=False, timeout=60)


def references(value):
    if isinstance(value, dict):
        for key, member in value.items():
            if key == "$ref":
                yield member
            else:
                yield from references(member)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


class OpenAPITest(unittest.TestCase):
    maxDiff = None

    def test_the_file_is_up_to_date(self):
        made = generate("yaml")
        self.assertEqual(made.returncode, 0, made.stderr)
        with open("api/openapi.yaml", encoding="utf-8") as file:
            self.assertEqual(file.read(), made.stdout, "api/openapi.yaml is old: run `make openapi`")

    @unittest.skipIf(yaml is None, "python3-yaml is not installed")
    def test_yaml_and_json_are_the_same_document(self):
        self.assertEqual(yaml.safe_load(generate("yaml").stdout), json.loads(generate("json").stdout))

    def test_no_template_is_left_and_nothing_is_unused(self):
        text = generate("json").stdout
        self.assertNotIn("%", text)
        document = json.loads(text)
        self.assertEqual(document["openapi"], "3.1.0")
        used = set(references(document))
        for family in ("parameters", "headers", "requestBodies", "responses", "schemas"):
            for name in document["components"][family]:
                self.assertIn(f"#/components/{family}/{name}", used)

    def test_operation_ids_are_unique(self):
        document = json.loads(generate("json").stdout)
        ids = [operation["operationId"] for item in document["paths"].values()
               for method, operation in item.items() if method != "parameters"]
        self.assertEqual(len(ids), len(set(ids)))

    def test_only_health_and_version_are_for_everybody(self):
        document = json.loads(generate("json").stdout)
        schemes = document["components"]["securitySchemes"]
        self.assertEqual([list(choice) for choice in document["security"]], [[name] for name in schemes])
        public = {path for path, item in document["paths"].items() for method, operation in item.items()
                  if method != "parameters" and operation.get("security") == []}
        self.assertEqual(public, {"/livez", "/readyz", "/healthz", "/version"})

    def test_a_broken_skeleton_is_refused(self):
        for text, words in (("{", "1:"), ('{"components": {}}', "no components.schemas"),
                            ('{"components": {"schemas": {"A": {"$ref": "#/components/schemas/B"}}}}', "nothing is at")):
            made = subprocess.run([GENERATOR, "json", "/dev/stdin"], input=text, capture_output=True, text=True,
                                  check=False, timeout=60)
            self.assertEqual(made.returncode, 1)
            self.assertIn(words, made.stderr)
            self.assertEqual(made.stdout, "")


if __name__ == "__main__":
    unittest.main()
