"""A web server of a folder's files that knows byte ranges; with a key's secret it answers as S3 does.

Run as ``python servers.py FOLDER [SECRET]``: prints its port. In a process of its own, as GDAL opens files
holding the GIL. With a secret every request must be signed with it (AWS signature version 4).
"""

import hashlib
import hmac
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path


class Ranges(SimpleHTTPRequestHandler):
    """Files, whole or a range of bytes."""

    secret = None

    def do_GET(self, body=True):
        if self.secret is not None and not self.signed():
            return self.send_error(403)
        try:
            content = Path(self.translate_path(self.path)).read_bytes()
        except OSError:
            return self.send_error(404)
        asked = self.headers.get("Range")
        start, end = 0, len(content) - 1
        if asked:
            first, last = asked.removeprefix("bytes=").split("-")
            start, end = int(first), min(int(last or end), end)
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - start + 1))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end}/{len(content)}")
        self.end_headers()
        if body:
            self.wfile.write(content[start : end + 1])

    def do_HEAD(self):
        self.do_GET(False)

    def signed(self):
        """Whether the request's signature is right."""
        given = self.headers.get("Authorization", "").removeprefix("AWS4-HMAC-SHA256 ")
        parts = dict(part.strip().split("=", 1) for part in given.split(",") if "=" in part)
        if {"Credential", "SignedHeaders", "Signature"} - parts.keys():
            return False
        _, *scope = parts["Credential"].split("/")
        path, _, query = self.path.partition("?")
        headers = "".join(f"{n}:{self.headers[n].strip()}\n" for n in parts["SignedHeaders"].split(";"))
        payload = self.headers["x-amz-content-sha256"]
        request = "\n".join([self.command, path, query, headers, parts["SignedHeaders"], payload])
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = "\n".join(["AWS4-HMAC-SHA256", self.headers["x-amz-date"], "/".join(scope), digest])
        key = f"AWS4{self.secret}".encode()
        for step in (*scope, text):
            key = hmac.digest(key, step.encode(), "sha256")
        return hmac.compare_digest(key.hex(), parts["Signature"])


@contextmanager
def serving(folder, *secret):
    """The host and port of a server of this folder."""
    command = [sys.executable, __file__, str(folder), *secret]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield f"127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


if __name__ == "__main__":
    Ranges.secret = sys.argv[2] if len(sys.argv) > 2 else None
    server = HTTPServer(("127.0.0.1", 0), partial(Ranges, directory=sys.argv[1]))
    print(server.server_port, flush=True)
    server.serve_forever()
