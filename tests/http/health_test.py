"""`bgppeerd health`: asks whichever listener there is, with TLS and without, and needs no token."""
import os
import subprocess
import tempfile
import unittest

from service import PROGRAM, Service, free_port


class HealthTest(unittest.TestCase):
    def health(self, data, *options):
        return subprocess.run([PROGRAM, "health", "--data-dir", data, *options], capture_output=True, text=True, timeout=60)

    def test_plain(self):
        with Service(auth=True) as service:
            os.remove(os.path.join(service.data, "admin.token"))
            for options in ((), ("--live",), ("--health-seconds", "30")):
                result = self.health(service.data, *options)
                self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
            self.assertEqual(service.stop(), 0)
            result = self.health(service.data)
            self.assertEqual(result.returncode, 1)
            self.assertIn("bgppeerd: ", result.stderr)

    def test_tls_only(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([PROGRAM, "tls", "init", "--dir", folder], check=True, capture_output=True, timeout=60)
            data, port = os.path.join(folder, "data"), free_port()
            process = subprocess.Popen([PROGRAM, "serve", "--data-dir", data, "--listen", f"0.0.0.0:{port}", "--tls-cert", f"{folder}/server.crt",
                                        "--tls-key", f"{folder}/server.key"], stderr=subprocess.PIPE, text=True)
            try:
                for line in process.stderr:
                    if "event=ready" in line:
                        break
                for _ in range(600):  # the file that says where is written a moment later
                    result = self.health(data)
                    if result.returncode == 0:
                        break
                self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
            finally:
                process.terminate()
                process.communicate(timeout=60)
            self.assertEqual(self.health(data).returncode, 1)

    def test_usage(self):
        self.assertEqual(self.health("/nonexistent").returncode, 1)
        self.assertEqual(self.health(".", "--health-seconds", "0").returncode, 2)
        self.assertEqual(self.health(".", "--nonsense").returncode, 2)


if __name__ == "__main__":
    unittest.main()
