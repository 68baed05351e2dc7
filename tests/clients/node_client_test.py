"""JavaScript programs with @kubernetes/client-node (node_client.mjs), against a service that is restarted under them."""
import os
import shutil
import subprocess
import sys

from service import Service

FOLDER = os.environ.get("CLIENTS", "build/clients")


def skip(why):
    print(f"skipped '{why}: `make deps-clients` installs it'", file=sys.stderr)
    print("0 passed, 0 failed, 1 skipped")
    return 0


def main():
    if shutil.which("node") is None:
        return skip("node is not installed")
    if not os.path.isdir(f"{FOLDER}/node_modules/@kubernetes/client-node"):
        return skip("@kubernetes/client-node is not installed")
    passed = failed = 0
    with Service() as service:
        config = os.path.join(service.folder, "kubeconfig")
        with open("api/kubeconfig.example", encoding="utf-8") as example, open(config, "w", encoding="utf-8") as file:
            file.write(example.read().replace("http://127.0.0.1:8080", service.url))
        script = subprocess.Popen(["node", "tests/clients/node_client.mjs", config, FOLDER], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        for line in script.stdout:
            if line.startswith("ok "):
                passed += 1
            elif line.startswith("RESTART"):
                port = service.port
                failed += service.stop() != 0
                service.start(port=port)
                script.stdin.write("done\n")
                script.stdin.flush()
            else:
                failed += line.startswith("not ok ")
                print(line, end="")
        failed += script.wait() != 0
        failed += "level=error" in service.log()
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
