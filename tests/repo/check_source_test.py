"""tests/check-source finds every planted violation, where it is, and nothing in a clean tree."""
import os
import subprocess
import sys
import tempfile
import unittest

CHECKER = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "check-source"))

OPENING = "/* This file is here so that the checker has something to look at, and opens as every file has to. */\n"
TOP_LEVEL_FILES = ("docker-compose.yml", "Makefile", "README.md", "LICENSE", ".clang-format", ".gitignore",
                   ".editorconfig")


def header(guard, body=""):
    return f"#ifndef {guard}\n#define {guard}\n{body}#endif\n"


class CheckSourceTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        for name in ("service", "include", "migrations", "api", "tests", ".ci"):
            os.mkdir(os.path.join(self.folder.name, name))
        for name in TOP_LEVEL_FILES:
            self.write(name, "")
        self.write("include/base/err.h", header("BGPPEERD_BASE_ERR_H"))
        self.write("include/state.h", header("BGPPEERD_STATE_H", '#include "base/err.h"\n'))
        self.write("service/base/err.c", OPENING + '#include "base/err.h"\n\nint base_one(void) {\n    return 1;\n}\n')
        self.write("service/state/state.c", OPENING + '#include "state.h"\n')
        self.write("tests/unit/base_test.c", OPENING)
        self.write("tests/unit/state_load_test.c", OPENING)

    def write(self, path, text):
        path = os.path.join(self.folder.name, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def check(self):
        done = subprocess.run([sys.executable, CHECKER, self.folder.name], capture_output=True, text=True,
                              check=False, timeout=60)
        self.assertEqual(done.stderr, "")
        lines = done.stdout.splitlines()
        self.assertEqual(done.returncode, 1 if lines else 0)
        return lines

    def expect(self, place, words):
        """Exactly one complaint, at that place, with those words."""
        lines = self.check()
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].startswith(place + ": "), lines[0])
        self.assertIn(words, lines[0])

    def test_a_clean_tree_has_no_complaint(self):
        self.assertEqual(self.check(), [])

    def test_a_room_may_not_use_a_room_above(self):
        self.write("service/base/err.c", OPENING + '#include "state.h"\n')
        self.expect("service/base/err.c:2", "base is not above state")

    def test_a_public_header_may_not_use_a_room_above(self):
        self.write("include/base/err.h", header("BGPPEERD_BASE_ERR_H", '#include "state.h"\n'))
        self.expect("include/base/err.h:3", "base is not above state")

    def test_rooms_on_one_floor_may_not_use_each_other(self):
        for room in ("auth", "vault"):
            self.write(f"include/{room}.h", header(f"BGPPEERD_{room.upper()}_H"))
            self.write(f"tests/unit/{room}_test.c", OPENING)
        self.write("service/auth/auth.c", OPENING + '#include "auth.h"\n#include "vault.h"\n')
        self.write("service/vault/vault.c", OPENING + '#include "vault.h"\n')
        self.expect("service/auth/auth.c:3", "auth is not above vault")

    def test_private_headers_stay_in_their_room(self):
        self.write("service/base/private.h", header("BGPPEERD_BASE_PRIVATE_H"))
        self.write("service/state/state.c", OPENING + '#include "../base/private.h"\n')
        self.expect("service/state/state.c:2", "another room's private header")

    def test_folders_inside_a_room_belong_to_it(self):
        self.write("service/base/store/text.h", header("BGPPEERD_BASE_STORE_TEXT_H"))
        self.write("service/base/store/text.c", OPENING + '#include "store/text.h"\n')
        self.assertEqual(self.check(), [])
        self.write("service/base/store/text.c", OPENING + '#include "store/text.h"\n#include "state.h"\n')
        self.expect("service/base/store/text.c:3", "base is not above state")
        self.write("service/base/store/text.c", "int a;\n")
        self.expect("service/base/store/text.c:1", "does not open with a paragraph")

    def write_http(self, path, *includes):
        """A file of the room http, which then is whole."""
        self.write("include/http.h", header("BGPPEERD_HTTP_H"))
        self.write("tests/http/server_test.py", "")
        lines = "".join(f'#include "{name}"\n' for name in includes)
        if path.endswith(".h"):
            name = path.removesuffix(".h").replace("/", "_").upper()
            self.write(f"service/http/{path}", header(f"BGPPEERD_HTTP_{name}_H", lines))
        else:
            self.write(f"service/http/{path}", OPENING + lines)

    def test_folders_inside_http_use_those_below(self):
        folders = ("request", "machine", "access", "objects", "fleet", "admin")
        for folder in folders:
            self.write_http(f"{folder}/one.h")
            self.write_http(f"{folder}/two.c", f"{folder}/one.h")
        self.assertEqual(self.check(), [])
        beside = {("fleet", "admin"), ("admin", "fleet")}
        for place, folder in enumerate(folders):
            for used_place, used in enumerate(folders):
                if folder == used:
                    continue
                self.write_http(f"{folder}/two.c", f"{used}/one.h")
                if used_place < place and (folder, used) not in beside:
                    self.assertEqual(self.check(), [])
                else:
                    self.expect(f"service/http/{folder}/two.c:2", f"http/{folder} is not above http/{used}")
            self.write_http(f"{folder}/two.c")

    def test_the_door_of_a_room_uses_all_of_it_and_nothing_inside_uses_the_door(self):
        self.write_http("admin/one.h")
        self.write_http("door.h")
        self.write_http("routes.c", "http.h", "admin/one.h", "door.h")
        self.assertEqual(self.check(), [])
        self.write_http("admin/two.c", "door.h")
        self.expect("service/http/admin/two.c:2", "name it with its folder")

    def test_private_headers_are_named_with_their_folder(self):
        self.write_http("admin/one.h")
        self.write_http("admin/two.c", "one.h")
        self.expect("service/http/admin/two.c:2", "one.h: name it with its folder")

    def test_a_divided_room_has_no_other_folders(self):
        self.write_http("misc/one.c")
        self.expect("service/http/misc/one.c:1", "is in no folder that http has: request, machine")

    def test_names_of_a_library_stay_where_it_is_known(self):
        self.write_http("request/one.c")
        for folder in ("request", "machine"):
            self.write(f"service/http/{folder}/two.c", OPENING + "#include <microhttpd.h>\n\nint a = MHD_YES;\n")
        self.assertEqual(self.check(), [])
        self.write("service/http/objects/two.c", OPENING + "int a = MHD_YES;\n")
        self.expect("service/http/objects/two.c:2", "microhttpd.h is for http/machine, http/request only")
        self.write("service/http/objects/two.c", OPENING + "#include <microhttpd.h>\n")
        self.expect("service/http/objects/two.c:2", "microhttpd.h is for")
        self.write("service/http/objects/two.c", OPENING + "struct MHD_Connection;\n/* MHD_YES */\n")
        self.assertEqual(self.check(), [])
        self.write("service/state/state.c", OPENING + "int a = sqlite3_open(b);\n")
        self.expect("service/state/state.c:2", "sqlite3.h is for store only")

    def test_libraries_stay_in_their_rooms(self):
        for library in ("microhttpd.h", "sqlite3.h", "jansson.h", "yaml.h", "sodium.h"):
            self.write("service/state/state.c", OPENING + f"#include <{library}>\n")
            self.expect("service/state/state.c:2", f"{library} is for ")
        self.write("service/state/state.c", OPENING)
        self.write("service/base/err.c", OPENING + "#include <sodium.h>\n")
        self.assertEqual(self.check(), [])

    def test_top_level(self):
        self.write("notes.txt", "x\n")
        self.expect("notes.txt:1", "does not belong at the top level")
        os.remove(os.path.join(self.folder.name, "notes.txt"))
        os.remove(os.path.join(self.folder.name, "LICENSE"))
        self.expect("LICENSE:1", "is missing")

    def test_the_build_and_the_data_are_not_looked_at(self):
        self.write("build/gen/x.c", "\tbad \n")
        self.write("data/x.json", "{}")
        self.assertEqual(self.check(), [])

    def test_length_of_files(self):
        filler = "int base_line;\n"
        self.write("service/base/err.c", OPENING + filler * 599)
        self.assertEqual(self.check(), [])
        self.write("service/base/err.c", OPENING + filler * 600)
        self.expect("service/base/err.c:600", "has 601 lines")

    def test_tables_of_the_model_may_be_long(self):
        self.write("include/model/field.h", header("BGPPEERD_MODEL_FIELD_H"))
        self.write("tests/unit/model_test.c", OPENING)
        self.write("service/model/peer.c", OPENING + "static const int rows[] = {\n" + "    1,\n" * 700 + "};\n")
        self.assertEqual(self.check(), [])

    def test_length_of_functions(self):
        def function(lines):
            body = "    call();\n" * (lines - 3)
            return OPENING + f"static int\nlong_one(void) {{\n{body}}}\n"
        self.write("service/base/err.c", function(70))
        self.assertEqual(self.check(), [])
        self.write("service/base/err.c", function(71))
        self.expect("service/base/err.c:2", "function of 71 lines")

    def test_a_short_function_on_one_line_does_not_hide_the_next(self):
        body = "    call();\n" * 80
        self.write("service/base/err.c",
                   OPENING + f"static int one(void) {{ return 1; }}\n\nint two(void) {{\n{body}}}\n")
        self.expect("service/base/err.c:4", "function of 82 lines")

    def test_goto_goes_forward_to_one_label(self):
        self.write("service/base/err.c", OPENING + "int f(void) {\n    goto out;\nout:\n    return 1;\n}\n")
        self.assertEqual(self.check(), [])
        self.write("service/base/err.c", OPENING + "int f(void) {\nagain:\n    goto again;\n}\n")
        self.expect("service/base/err.c:4", "goto backward")
        self.write("service/base/err.c",
                   OPENING + "int f(void) {\n    goto a;\n    goto b;\na:\nb:\n    return 1;\n}\n")
        self.expect("service/base/err.c:2", "goto to 2 labels")

    def test_every_c_file_opens_with_a_paragraph(self):
        for text in ('#include "base/err.h"\n', "/* Errors. */\n", "// " + "Errors and everything around them. " * 3 + "#\n"):
            self.write("service/base/err.c", text)
            self.expect("service/base/err.c:1", "does not open with a paragraph")

    def test_white_space(self):
        self.write("service/base/err.c", OPENING + "int a; \n")
        self.expect("service/base/err.c:2", "ends in white space")
        self.write("service/base/err.c", OPENING + "\tint a;\n")
        self.expect("service/base/err.c:2", "has a tab")
        self.write("service/base/err.c", OPENING + "int a;")
        self.expect("service/base/err.c:2", "newline")
        self.write("service/base/err.c", OPENING)
        self.write("tests/run", "a\tb\n")
        self.expect("tests/run:1", "has a tab")

    def test_typedef_of_a_struct(self):
        self.write("service/base/err.c", OPENING + "typedef struct thing thing;\n")
        self.expect("service/base/err.c:2", "typedef of a struct")
        self.write("service/base/err.c", OPENING + "typedef int thing;\n/* no typedef struct here */\n")
        self.assertEqual(self.check(), [])

    def test_functions_that_overflow(self):
        for name in ("strcpy", "strcat", "sprintf", "vsprintf", "gets", "strtok", "alloca", "atoi"):
            self.write("service/base/err.c", OPENING + f"int f(void) {{\n    {name}(a);\n}}\n")
            self.expect("service/base/err.c:3", f"{name}: use ")
        self.write("service/base/err.c",
                   OPENING + 'int f(void) {\n    snprintf(a);\n    fgets(b);\n    puts("strcpy(x)");\n    x.gets(1);\n}\n')
        self.assertEqual(self.check(), [])

    def test_memory_comes_from_one_file(self):
        for name in ("malloc", "calloc", "realloc", "strdup", "strndup"):
            self.write("service/base/err.c", OPENING + f"int f(void) {{\n    {name}(a);\n}}\n")
            self.expect("service/base/err.c:3", f"{name}: use base_{name}")
        self.write("service/base/err.c", OPENING + "int f(void) {\n    base_malloc(a);\n}\n")
        self.write("service/base/alloc.c", OPENING + "int f(void) {\n    malloc(a);\n}\n")
        self.assertEqual(self.check(), [])

    def test_header_guards(self):
        self.write("include/base/err.h", header("ERR_H"))
        self.expect("include/base/err.h:1", "BGPPEERD_BASE_ERR_H")
        self.write("include/base/err.h", header("BGPPEERD_BASE_ERR_H"))
        self.write("service/base/base_inside.h", header("BGPPEERD_BASE_INSIDE_H"))
        self.assertEqual(self.check(), [])

    def test_promises(self):
        self.write("service/base/err.c", OPENING + "int a; /* TODO: all of it */\n")
        self.expect("service/base/err.c:2", "promises work for later")

    def test_every_room_has_a_test_and_a_header(self):
        os.remove(os.path.join(self.folder.name, "tests/unit/base_test.c"))
        self.expect("service/base:1", "has no test")
        self.write("tests/unit/base_test.c", OPENING)
        os.remove(os.path.join(self.folder.name, "include/state.h"))
        self.write("service/state/state.c", OPENING)
        self.expect("service/state:1", "has no header")

    def test_the_outer_rooms_may_be_tested_from_outside(self):
        self.write("include/http.h", header("BGPPEERD_HTTP_H"))
        self.write("service/http/server.c", OPENING)
        self.expect("service/http:1", "has no test")
        self.write("tests/http/server_test.py", "")
        self.assertEqual(self.check(), [])

    def test_rooms_are_those_of_the_architecture(self):
        self.write("service/manager/manager.c", OPENING)
        self.expect("service/manager:1", "is no room")


if __name__ == "__main__":
    unittest.main()
