"""The container files agree with the Makefile and with what the service needs; no container engine is needed."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

try:
    import yaml
except ImportError:
    yaml = None

# The part of the compose specification that docker-compose.yml uses: key -> check of its value.
STRING = str
LIST_OF_STRINGS = [str]
SERVICE_KEYS = {
    "build": {"context": STRING, "dockerfile": STRING, "args": {"*": STRING}},
    "image": STRING,
    "ports": LIST_OF_STRINGS,
    "volumes": LIST_OF_STRINGS,
    "environment": {"*": STRING},
    "entrypoint": LIST_OF_STRINGS,
    "command": LIST_OF_STRINGS,
    "depends_on": {"*": {"condition": STRING}},
    "network_mode": STRING,
    "read_only": bool,
    "tmpfs": LIST_OF_STRINGS,
    "cap_drop": LIST_OF_STRINGS,
    "security_opt": LIST_OF_STRINGS,
    "ulimits": {"*": int},
    "mem_limit": STRING,
    "memswap_limit": STRING,
    "pids_limit": int,
    "restart": STRING,
    "stop_grace_period": STRING,
    "healthcheck": {"test": LIST_OF_STRINGS, "interval": STRING, "timeout": STRING, "start_period": STRING,
                    "retries": int, "disable": bool},
    "logging": {"driver": STRING, "options": {"*": STRING}},
}
COMPOSE_KEYS = {"name": STRING, "services": {"*": SERVICE_KEYS}, "volumes": {"*": type(None)}}


def schema_errors(value, schema, path="docker-compose.yml"):
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            yield f"{path} is not a mapping"
            return
        for key, member in value.items():
            inner = schema.get(key, schema.get("*"))
            if inner is None:
                yield f"{path}.{key} is unknown"
            else:
                yield from schema_errors(member, inner, f"{path}.{key}")
    elif isinstance(schema, list):
        if not isinstance(value, list):
            yield f"{path} is not a list"
            return
        for index, item in enumerate(value):
            yield from schema_errors(item, schema[0], f"{path}[{index}]")
    elif type(value) is not schema:
        yield f"{path} is not a {schema.__name__}"


def make_variable(name):
    """The value of a variable, as make itself sees it."""
    probe = f"include Makefile\nprint-it:\n\t@echo '$({name})'\n"
    done = subprocess.run(["make", "-s", "-f", "-", "print-it"], input=probe, capture_output=True, text=True,
                          check=True, timeout=60, env=dict(os.environ, MAKEFLAGS=""))
    return done.stdout.split()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def installed_packages(stage):
    """The words after `apt-get install` in a stage of the Dockerfile, without options."""
    commands = re.sub(r"\\\n", " ", stage)
    words = re.search(r"apt-get install ([^&]*)", commands).group(1).split()
    return [word for word in words if not word.startswith("-")]


class ContainerTest(unittest.TestCase):
    def setUp(self):
        self.dockerfile = read("service/Dockerfile")
        stages = re.split(r"^FROM ", self.dockerfile, flags=re.M)[1:]
        self.assertEqual(len(stages), 2)
        self.build, self.runtime = stages

    def test_build_packages_are_the_makefiles(self):
        wanted = {pair.split("=")[0] for pair in make_variable("BUILD_PACKAGES")} | {"make"}
        self.assertEqual(set(installed_packages(self.build)), wanted)

    def test_runtime_packages_are_the_makefiles(self):
        self.assertEqual(set(installed_packages(self.runtime)), set(make_variable("RUNTIME_PACKAGES")))

    def test_every_library_that_is_linked_has_a_runtime_package(self):
        program = os.environ.get("BGPPEERD", "build/bgppeerd")
        if not shutil.which("dpkg-query") or not os.path.exists(program):
            self.skipTest("needs dpkg and the built program")
        needed = re.findall(r"NEEDED\s+(\S+)", subprocess.run(["objdump", "-p", program], capture_output=True, text=True,
                                                              check=True, timeout=60).stdout)
        packages = set()
        for library in needed:
            if re.match(r"lib(asan|ubsan|tsan)\.", library):
                continue  # an instrumented build
            found = subprocess.run(["dpkg-query", "-S", f"*/{library}"], capture_output=True, text=True, check=False,
                                   timeout=60).stdout
            self.assertTrue(found, f"no package owns {library}")
            packages.add(found.split(":")[0])
        self.assertEqual(packages - {"libc6", "libgcc-s1"}, set(make_variable("RUNTIME_PACKAGES")))

    def test_both_stages_are_debian_bookworm(self):
        for stage in (self.build, self.runtime):
            self.assertTrue(stage.startswith("debian:bookworm-slim"), stage[:40])

    def test_everything_that_is_copied_exists_and_is_sent(self):
        ignored = set(read(".dockerignore").split())
        for words in re.findall(r"^COPY (?!--from)(.*)$", self.build, re.M):
            for source in words.split()[:-1]:
                source = source.removeprefix("./")
                self.assertTrue(os.path.exists(source), source)
                self.assertNotIn(source.split("/")[0], ignored)

    def test_it_does_not_run_as_root_and_keeps_its_data(self):
        user = re.search(r"^USER (\S+)$", self.runtime, re.M)
        self.assertIsNotNone(user)
        self.assertNotIn(user.group(1), ("root", "0"))
        volume = re.search(r"^VOLUME (\S+)$", self.runtime, re.M).group(1)
        self.assertIn(f"BGPPEERD_DATA_DIR={volume}", self.runtime)
        self.assertRegex(self.runtime, rf"install -d -o {user.group(1)} .* {volume}\b")

    def test_memory_is_bounded_and_never_swapped(self):
        unit = dict(re.findall(r"^(\w+)=(.*)$", read("service/bgppeerd.service"), re.M))
        self.assertEqual(unit["MemorySwapMax"], "0")
        for name in ("MemoryHigh", "MemoryMax", "TasksMax", "OOMScoreAdjust", "LimitMEMLOCK"):
            self.assertIn(name, unit)
        if yaml is not None:
            service = yaml.safe_load(read("docker-compose.yml"))["services"]["bgppeerd"]
            self.assertEqual(service["mem_limit"], service["memswap_limit"])
            self.assertIn("pids_limit", service)

    def test_settings_are_ones_that_the_program_has(self):
        program = os.environ.get("BGPPEERD", "build/bgppeerd")
        shown = subprocess.run([program, "serve", "--help"], capture_output=True, text=True, check=True, timeout=60).stdout
        for name in re.findall(r"\b(BGPPEERD_\w+)=", self.runtime + read("service/bgppeerd.service")):
            flag = "--" + name.removeprefix("BGPPEERD_").lower().replace("_", "-")
            self.assertIn(flag, shown, f"{name} stands for a flag that `bgppeerd serve --help` does not know")

    def test_the_makefile_works_without_tests_and_without_git(self):
        # As in the image: only what is copied. Nothing is built here, make only has to see what to do.
        with self.subTest("make -n install"):
            folder = os.path.join(os.environ.get("BUILD", "build"), "image-context")
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
            self.addCleanup(shutil.rmtree, folder, True)
            for words in re.findall(r"^COPY (?!--from)(.*)$", self.build, re.M):
                for source in words.split()[:-1]:
                    os.symlink(os.path.abspath(source), os.path.join(folder, os.path.basename(source)))
            done = subprocess.run(["make", "-n", "VERSION=x", "BUILD=build", "AUTO_DEPS=no", "DESTDIR=/d", "PREFIX=/usr",
                                   "install"], cwd=folder, capture_output=True, text=True, check=False, timeout=60,
                                  env=dict(os.environ, MAKEFLAGS=""))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("/d/usr/bin/bgppeerd", done.stdout)


@unittest.skipIf(yaml is None, "python3-yaml is not installed")
class ComposeTest(unittest.TestCase):
    def setUp(self):
        self.compose = yaml.safe_load(read("docker-compose.yml"))
        self.service = self.compose["services"]["bgppeerd"]

    def test_schema(self):
        self.assertEqual(list(schema_errors(self.compose, COMPOSE_KEYS)), [])

    def test_the_schema_check_finds_mistakes(self):
        self.assertEqual(list(schema_errors({"services": {"a": {"read_only": "yes", "port": []}}}, COMPOSE_KEYS)),
                         ["docker-compose.yml.services.a.read_only is not a bool",
                          "docker-compose.yml.services.a.port is unknown"])

    def test_it_builds_our_dockerfile(self):
        build = self.compose["services"]["certificates"]["build"]
        self.assertEqual(build["context"], ".")
        self.assertTrue(os.path.exists(build["dockerfile"]))
        self.assertEqual({service["image"] for service in self.compose["services"].values()}, {"bgppeerd:latest"})

    def test_its_volumes_are_declared_and_belong_to_its_user(self):
        dockerfile = read("service/Dockerfile")
        volumes = [volume.split(":")[:2] for volume in self.service["volumes"]]
        makers = [volume.split(":")[:2] for volume in self.compose["services"]["certificates"]["volumes"]]
        self.assertEqual({name for name, _ in volumes + makers}, set(self.compose["volumes"]))
        self.assertIn(f"VOLUME {volumes[0][1]}\n", dockerfile)
        for _, folder in volumes + makers:
            self.assertRegex(dockerfile, rf"install -d -o bgppeerd .* {folder}\b")

    def test_it_is_published_for_this_machine_only_and_confined(self):
        for port in self.service["ports"]:
            self.assertTrue(port.startswith("127.0.0.1:"), port)
        for service in self.compose["services"].values():
            self.assertIs(service["read_only"], True)
            self.assertEqual(service["cap_drop"], ["ALL"])
            self.assertIn("no-new-privileges:true", service["security_opt"])

    def test_it_serves_tls_with_the_certificates_that_are_made(self):
        """Run both containers' commands here, with their settings, in a folder that stands for the volumes."""
        program = os.environ.get("BGPPEERD", "build/bgppeerd")
        folder = tempfile.mkdtemp(prefix="bgppeerd-compose-")
        self.addCleanup(shutil.rmtree, folder, True)

        def here(text):
            return re.sub(r"(?<![\w/])/(tls|ca)\b", rf"{folder}/\1", text).replace("0.0.0.0:8443", "127.0.0.1:0")

        maker = self.compose["services"]["certificates"]
        for name in ("tls", "ca"):
            os.mkdir(f"{folder}/{name}", 0o700)
        commands = [here(command).replace("bgppeerd ", os.path.abspath(program) + " ", 1) for command in maker["command"]]
        for _ in range(2):  # the second time everything is there
            made = subprocess.run([*maker["entrypoint"], *commands], capture_output=True, text=True, check=False, timeout=60)
            self.assertEqual(made.returncode, 0, made.stderr)
        # Who faces the network has no key to make certificates with.
        self.assertEqual(sorted(os.listdir(f"{folder}/tls")), ["ca.crt", "server.crt", "server.key"])
        self.assertEqual(os.stat(f"{folder}/tls/server.key").st_mode & 0o777, 0o600)
        self.assertFalse([volume for volume in self.service["volumes"] if volume.startswith("ca:")])
        environment = {name: here(value) for name, value in self.service["environment"].items()}
        environment = dict(os.environ, BGPPEERD_DATA_DIR=f"{folder}/data", **environment)
        words = self.service["healthcheck"]["test"][1:]
        self.assertEqual(words[0], "bgppeerd")
        with subprocess.Popen([program, "serve"], stderr=subprocess.PIPE, text=True, env=environment) as process:
            self.addCleanup(process.kill)
            self.assertTrue(any("event=ready" in line for line in process.stderr), "the service did not become ready")
            for _ in range(100):  # where it listens is written down a moment later
                asked = subprocess.run([program, *words[1:]], capture_output=True, text=True, check=False, timeout=60, env=environment)
                if asked.returncode == 0:
                    break
            process.terminate()
            process.communicate(timeout=60)
        self.assertEqual(asked.returncode, 0, asked.stderr)
        self.assertEqual(process.returncode, 0)

    def test_docker_compose_accepts_it(self):
        if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False, timeout=60).returncode != 0 \
                if shutil.which("docker") else True:
            self.skipTest("docker compose is not installed")
        done = subprocess.run(["docker", "compose", "config", "--quiet"], capture_output=True, text=True, check=False,
                              timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)


class UnitFileTest(unittest.TestCase):
    def test_systemd_accepts_it(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")
        program = os.environ.get("BGPPEERD", os.path.abspath("build/bgppeerd"))
        folder = os.environ.get("BUILD", "build")
        path = os.path.join(os.path.abspath(folder), "bgppeerd.service")
        text = read("service/bgppeerd.service").replace("@PREFIX@/bin/bgppeerd", program).replace("@PREFIX@", "/usr")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        self.addCleanup(os.remove, path)
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True,
                              check=False, timeout=60)
        complaints = [line for line in done.stderr.splitlines() if "bgppeerd.service" in line]
        self.assertEqual(complaints, [])


if __name__ == "__main__":
    unittest.main()
