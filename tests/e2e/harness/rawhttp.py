"""HTTP by hand, for what no client library would send."""
import base64
import socket

from harness.client import ADMIN
from harness.wait import SLOW


def authorization(auth=ADMIN):
    return "Authorization: Basic " + base64.b64encode(":".join(auth).encode()).decode()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.status_code, self.content = status, body  # as check_answer() reads a response


class RawHttp:
    """One connection: send bytes, read answers one by one."""

    def __init__(self, port, source=None, receive_buffer=None):
        """From another address of this host; with room for so few bytes of what the server sends."""
        self.socket = socket.socket()
        self.socket.settimeout(10 * SLOW)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source is not None:
            self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.file.close()
        self.socket.close()

    def send(self, *lines, body=b"", auth=ADMIN):
        """The head's lines, then the body as it stands."""
        if auth is not None:
            lines = *lines, authorization(auth)
        self.socket.sendall("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body)

    def ask(self, *lines, body=b"", head=False, auth=ADMIN):
        self.send(*lines, body=body, auth=auth)
        return self.answer(head)

    def answer(self, head=False):
        status = int(self.file.readline().split()[1])
        headers = dict(iter(self.header, None))
        length = 0 if head or status == 100 else int(headers["Content-Length"])
        return Answer(status, headers, self.file.read(length))

    def header(self):
        line = self.file.readline().decode().strip()
        return tuple(line.split(": ", 1)) if line else None

    def is_closed(self):
        """Waits for the server's close; False if it sends or keeps the connection."""
        self.socket.settimeout(3)
        try:
            return self.file.read(1) == b""
        except (TimeoutError, ConnectionResetError):
            return False
