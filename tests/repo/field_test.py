"""A field of a BGPPeer that reaches a session is written down in as many places as service/peering says, and no more."""
import os
import re
import unittest

# One line in each of two tables, a member in each of the two structs, and the mapping between them. All else (who is
# affected, what a preview shows and calls disruptive, validation, encoding, OpenAPI) follows from the tables.
PLACES = {
    "include/model/resources.h": "member of the resource",
    "service/model/bgppeer.c": "row of the resource's table",
    "include/peering.h": "member of the session",
    "service/peering/members.c": "row of the session's table",
    "service/peering/compute.c": "mapping",
}
# Where a field may be named besides: how each daemon says it, what other programs call it, and the part of the OpenAPI
# document that is written by hand.
ELSEWHERE = ("service/render/", "service/agent/", "service/status/", "service/codec/aliases.c", "api/openapi-skeleton.json")
FIELD = re.compile(r"keepalive_time|keepaliveTime")


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


class FieldTest(unittest.TestCase):
    def test_places_of_one_field(self):
        found = set()
        for top in ("include", "service", "api"):
            for folder, _, names in os.walk(top):
                for name in names:
                    path = os.path.join(folder, name)
                    if not name.endswith((".c", ".h", "skeleton.json")) or path.startswith(ELSEWHERE):
                        continue
                    with open(path, encoding="utf-8") as file:
                        if FIELD.search(without_comments(file.read())):
                            found.add(path)
        self.assertEqual(found, set(PLACES))


if __name__ == "__main__":
    unittest.main()
