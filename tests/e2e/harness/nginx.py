"""Debian's nginx in front of the service, as README and docs/security.md set it up."""
import pathlib
import subprocess

import requests

from harness.client import Client
from harness.daemon import Program
from harness.wait import wait_until

CONFIGURATION = """
worker_processes 1;
pid %(place)s/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path %(place)s/body;
  proxy_temp_path %(place)s/proxy;
  fastcgi_temp_path %(place)s/fastcgi;
  uwsgi_temp_path %(place)s/uwsgi;
  scgi_temp_path %(place)s/scgi;
  server {
    listen 127.0.0.1:%(port)d ssl;
    server_name lab.example;
    ssl_certificate %(place)s/certificate.pem;
    ssl_certificate_key %(place)s/key.pem;
%(locations)s
  }
}
"""

FORWARD = """
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host:$server_port;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $host:$server_port;
"""


def certificate(place, name="lab.example"):
    """A self-signed one; returns the file of the certificate and the file of the key."""
    place = pathlib.Path(place)
    files = place / "certificate.pem", place / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1",
                    "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


class Nginx(Program):
    def __init__(self, place, port, locations):
        self.place, self.port = pathlib.Path(place), port
        certificate(place)
        text = CONFIGURATION % {"place": place, "port": port, "locations": locations}
        (self.place / "nginx.conf").write_text(text)
        super().__init__(["nginx", "-p", place, "-c", self.place / "nginx.conf", "-g", "daemon off; user root;"],
                         self.place / "nginx.log")

    def start(self):
        self.launch()
        wait_until(self.answers, 10, "nginx: " + self.text())
        return self

    def answers(self):
        try:
            return requests.get(f"https://127.0.0.1:{self.port}/", verify=False, timeout=2) is not None
        except requests.RequestException:
            return False

    def client(self, prefix, auth=None):
        client = Client(self.port, prefix, auth=auth)
        client.base = f"https://127.0.0.1:{self.port}"
        client.http.verify = False
        return client
