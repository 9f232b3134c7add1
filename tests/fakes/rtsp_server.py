"""Starts a real RTSP server: GStreamer's, in a process of its own, with a moving test picture.

It needs the Debian packages of ``MISSING_PACKAGES``; ``is_available`` says whether they are there.
"""

from __future__ import annotations

import functools
import json
import os
import select
import signal
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

SYSTEM_PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("rtsp_server_process.py")
MISSING_PACKAGES = (
    "needs the Debian packages python3-gi, gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-good, "
    "gstreamer1.0-plugins-ugly"
)
START_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class RtspServerOptions:
    """What the server serves at ``/video``.

    Attributes:
        size: Width and height.
        rate: Pictures per second.
        key_distance: A decoder may begin at every so-many-th picture.
        codec: "h264" or "h265".
        kbit: Bits per second / 1000.
        pattern: Of GStreamer's videotestsrc.
        user: Who is let in; empty for everybody.
        password: Of that user.
        digest: Whether the password is asked for by Digest instead of Basic.
        audio: Whether there is sound, too.
    """

    size: tuple[int, int] = (320, 240)
    rate: int = 30
    key_distance: int = 30
    codec: str = "h264"
    kbit: int = 1000
    pattern: str = "ball"
    user: str = ""
    password: str = ""
    digest: bool = True
    audio: bool = False


class RtspServer:
    """The server; a context manager.

    Args:
        options: What it serves.
        port: Where; 0 lets the system choose.

    Attributes:
        port: Where it listens on 127.0.0.1.
    """

    def __init__(self, options: RtspServerOptions | None = None, port: int = 0) -> None:
        self._options = options or RtspServerOptions()
        self.port = port
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def address(self) -> str:
        """Where a camera would be, with user and password."""
        login = f"{self._options.user}:{self._options.password}@" if self._options.user else ""
        return self.address_with(login)

    def address_with(self, login: str) -> str:
        """Return the address with another login, such as ``user:password@``."""
        return f"rtsp://{login}127.0.0.1:{self.port}/video"

    def start(self) -> None:
        """Start, or start again on the same port, and wait until it listens."""
        arguments = json.dumps({**asdict(self._options), "port": self.port})
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, str(SCRIPT), arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], START_TIMEOUT_S)[0]:
            self.kill()
            raise RuntimeError(f"the RTSP server did not start within {START_TIMEOUT_S} s")
        line = self._process.stdout.readline()
        if not line:
            self.kill()
            raise RuntimeError("the RTSP server did not start; its reason is above")
        self.port = int(line)

    def kill(self) -> None:
        """End it at once, as a power cut would; may be called again."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None

    def freeze(self) -> None:
        """Let it hang: connections stay open and nothing comes."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def change_size(self, width: int, height: int) -> None:
        """Change the picture's size in the middle of the stream."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(f"size {width} {height}\n")
        self._process.stdin.flush()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def __enter__(self) -> RtspServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()


@functools.cache
def is_available() -> bool:
    """Say whether this machine has what the server needs."""
    check = (
        "import gi; gi.require_version('GstRtspServer', '1.0'); "
        "from gi.repository import Gst, GstRtspServer; Gst.init(None); "
        "assert any(map(Gst.ElementFactory.find, ('x264enc', 'openh264enc')))"
    )
    try:
        run = subprocess.run(
            [SYSTEM_PYTHON, "-c", check], capture_output=True, timeout=60, check=False
        )
    except OSError:
        return False
    return run.returncode == 0
