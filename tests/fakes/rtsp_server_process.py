"""A real RTSP server with a moving test picture; run by the Python that has GStreamer's bindings.

Usage: /usr/bin/python3 rtsp_server_process.py '{"port": 0, ...}'; see ``RtspServer`` for the keys.
It prints its port, serves until its standard input ends, and takes one command a line there:
``size WIDTH HEIGHT`` changes the picture's size in the middle of the stream.
"""

from __future__ import annotations

import json
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

ENCODERS = {
    "h264": (
        (
            "x264enc",
            "tune=zerolatency speed-preset=ultrafast key-int-max={distance} bitrate={kbit}",
        ),
        ("openh264enc", "gop-size={distance} bitrate={kbit}000"),
    ),
    "h265": (("x265enc", "tune=zerolatency speed-preset=ultrafast key-int-max={distance}"),),
}


def encoder(codec: str, distance: int, kbit: int) -> str:
    """Return the first encoder that is installed, with its settings."""
    for name, settings in ENCODERS[codec]:
        if Gst.ElementFactory.find(name):
            return f"{name} {settings.format(distance=distance, kbit=kbit)}"
    raise SystemExit(f"no encoder for {codec}")


def launch_line(options: dict) -> str:
    """Describe the pipeline that makes the stream."""
    codec, rate = options["codec"], options["rate"]
    width, height = options["size"]
    video = (
        f"videotestsrc is-live=true pattern={options['pattern']} ! capsfilter name=size "
        f"caps=video/x-raw,format=I420,width={width},height={height},framerate={rate}/1 ! "
        f"{encoder(codec, options['key_distance'], options['kbit'])} ! {codec}parse ! "
        f"rtp{codec}pay name=pay0 pt=96 config-interval=-1"
    )
    audio = "audiotestsrc is-live=true ! alawenc ! rtppcmapay name=pay1 pt=8"
    return f"( {video} {audio if options['audio'] else ''} )"


def require_password(server: GstRtspServer.RTSPServer, options: dict) -> None:
    """Let in one user only."""
    auth = GstRtspServer.RTSPAuth()
    methods = GstRtsp.RTSPAuthMethod
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "user")
    if options["digest"]:
        auth.set_supported_methods(methods.DIGEST)
        auth.add_digest(options["user"], options["password"], token)
    else:
        auth.set_supported_methods(methods.BASIC)
        basic = GstRtspServer.RTSPAuth.make_basic(options["user"], options["password"])
        auth.add_basic(basic, token)
    server.set_auth(auth)


def make_factory(options: dict) -> GstRtspServer.RTSPMediaFactory:
    """Return what makes one stream for all viewers."""
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(launch_line(options))
    factory.set_shared(True)
    factory.set_latency(0)
    if options["user"]:
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("user", "media.factory.access", True)
        permissions.add_permission_for_role("user", "media.factory.construct", True)
        factory.set_permissions(permissions)
    return factory


def main() -> None:
    """Serve until standard input ends."""
    options = json.loads(sys.argv[1])
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(options["port"]))
    if options["user"]:
        require_password(server, options)
    factory = make_factory(options)
    medias: list[GstRtspServer.RTSPMedia] = []
    factory.connect("media-configure", lambda _factory, media: medias.append(media))
    server.get_mount_points().add_factory("/video", factory)
    if not server.attach(None):
        raise SystemExit(f"port {options['port']} is taken")
    loop = GLib.MainLoop()

    def obey(_channel: object, condition: GLib.IOCondition) -> bool:
        line = sys.stdin.readline() if condition & GLib.IOCondition.IN else ""
        if not line:
            loop.quit()
            return False
        _, width, height = line.split()
        caps = Gst.Caps.from_string(
            f"video/x-raw,format=I420,width={width},height={height},framerate={options['rate']}/1"
        )
        for media in medias:
            size = media.get_element().get_by_name("size")
            if size is not None:
                size.set_property("caps", caps)
        return True

    GLib.io_add_watch(0, GLib.IOCondition.IN | GLib.IOCondition.HUP, obey)
    print(server.get_bound_port(), flush=True)
    loop.run()


if __name__ == "__main__":
    main()
