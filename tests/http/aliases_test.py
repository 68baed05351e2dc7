"""Names of other programs that are answered with a field of this API: each of those fields is there."""
import re
import unittest

from wire import ServiceTest

ROOTS = ("BGPPeer", "Node", "BGPConfiguration", "BGPFilter")
PLACES = {"BGPPeerSpec": "BGPPeer.spec", "BGPPassword": "BGPPeer.spec.password", "SecretKeyRef": "BGPPeer.spec.password.secretKeyRef",
          "NodeSpec": "Node.spec", "NodeBGPSpec": "Node.spec.bgp", "BGPConfigurationSpec": "BGPConfiguration.spec",
          "BGPFilterSpec": "BGPFilter.spec", "BGPFilterRuleV4": "BGPFilter.spec.importV4", "BGPFilterRuleV6": "BGPFilter.spec.importV6"}
RULES = ("BGPFilterRuleV4", "BGPFilterRuleV6")


def read_table():
    """(schema, name, field) of each row that has a field."""
    with open("service/codec/aliases.c", encoding="utf-8") as file:
        text = file.read()
    macros = dict(re.findall(r'^#define (\w+) +"(\w+)"$', text, re.MULTILINE))
    rows = []
    for owner, name, field in re.findall(r'\{\s*\\?\s*("\w+"|\w+), "([^"]+)", +"([^"]+)",', text):
        owners = RULES if owner == "rule" else (macros.get(owner, owner.strip('"')),)
        rows += [(one, name, field) for one in owners]
    return rows


class AliasesTest(ServiceTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.schemas = cls.service.request("GET", "/openapi.json").json()["components"]["schemas"]

    def has(self, path):
        """Does a path that begins with a kind lead to a field, through the items of lists?"""
        root, *parts = path.split(".")
        schema = self.schemas[root]
        for part in parts:
            schema = schema.get("items", schema)
            if part not in schema.get("properties", {}):
                return False
            schema = schema["properties"][part]
        return True

    def test_what_is_suggested_is_there(self):
        rows = read_table()
        self.assertGreater(len(rows), 120)
        for owner, name, field in rows:
            with self.subTest(schema=owner, name=name):
                places = [f"{root}.{field}" for root in ROOTS] if field.startswith("spec.") else [f"{PLACES[owner]}.{field}"]
                self.assertTrue(any(self.has(place) for place in places), field)

    def test_no_alias_is_a_field(self):
        """It would never be looked up."""
        for owner, name, _ in read_table():
            self.assertFalse(self.has(f"{PLACES[owner]}.{name}"), (owner, name))


if __name__ == "__main__":
    unittest.main()
