"""Have gloo listen on the interface of Ray's node address.

Left to itself gloo takes the address of the host's own name, which may be one that no other node
reaches (Debian gives a host 127.0.1.1), and the ranks would wait for each other until their limit.
"""

from __future__ import annotations

import os
import socket
import struct
import sys

VARIABLE = "GLOO_SOCKET_IFNAME"
_SIOCGIFADDR = 0x8915  # linux/sockios.h


def listen_where_ray_does(address: str) -> None:
    """Name the interface of an address for gloo, unless the user has named one."""
    if VARIABLE not in os.environ and (name := interface_of(address)) is not None:
        os.environ[VARIABLE] = name


def interface_of(address: str) -> str | None:
    """Return the interface that has an IPv4 address; None where none has, or who has is unknown."""
    if sys.platform != "linux":
        return None
    from fcntl import ioctl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        for _, name in socket.if_nameindex():
            asked = struct.pack("256s", name.encode()[:15])  # struct ifreq
            try:
                found = ioctl(opened.fileno(), _SIOCGIFADDR, asked)
            except OSError:  # it has no such address
                continue
            if socket.inet_ntoa(found[20:24]) == address:
                return name
    return None
