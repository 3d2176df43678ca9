"""Which addresses are really on the public Internet; pure.

`ipaddress.is_global` is not enough: it holds NAT64 and 6to4 spellings of 127.0.0.1 and of metadata services for
global, and multicast too. Only a resolved address can be judged: `127.1` and `0x7f000001` are names of loopback.
"""

from __future__ import annotations

import ipaddress

_HIDING = tuple(
    ipaddress.ip_network(net)
    for net in (
        "64:ff9b::/96",  # NAT64: an IPv4 address inside
        "64:ff9b:1::/48",  # local-use NAT64
        "2002::/16",  # 6to4, likewise
        "2001::/32",  # Teredo, likewise
        "fec0::/10",  # site-local, long deprecated
        "::/96",  # IPv4-compatible
        "192.0.0.0/24",  # protocol assignments; older Pythons hold some of them for global
        "192.88.99.0/24",  # 6to4 relays
    )
)


def is_public(address: str) -> bool:
    """Tell whether a resolved address, as `getaddrinfo` gives it, is a public unicast address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_unspecified:
        return False
    return not any(ip.version == net.version and ip in net for net in _HIDING)
