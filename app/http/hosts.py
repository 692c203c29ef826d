"""The `Host` of a request: the name by which its client knows the server."""

from collections.abc import Collection
from ipaddress import ip_address

from starlette.datastructures import Headers


def host_names(headers: Headers) -> list[str]:
    """The name in each `Host` header, in lower case, without port and brackets; HTTP/1.0 has none.

    More than one is an error of the client: each is to be checked.
    """
    return [_name(host) for host in headers.getlist("host")]


def _name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().rstrip(".")


def is_loopback(name: str) -> bool:
    """True for loopback addresses and for the names that always have them (RFC 6761 §6.3)."""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def is_out_of_reach(name: str) -> bool:
    """True for names of this server that DNS cannot give to a page of a stranger.

    These are addresses, loopback names, and names without a dot (a container's, a Kubernetes
    service's, a machine's in the local network).
    """
    try:
        ip_address(name)
    except ValueError:
        return "." not in name or is_loopback(name)
    return True


def is_listed(name: str, hosts: Collection[str]) -> bool:
    """True if `hosts` has the name, `*`, or `*.` with an end of the name."""
    parents = (f"*.{name[start + 1 :]}" for start, each in enumerate(name) if each == ".")
    return "*" in hosts or name in hosts or any(parent in hosts for parent in parents)
