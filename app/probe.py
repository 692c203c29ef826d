"""python -m app.probe PATH: GET a path of the server on this machine, or POST to one that operates
it; for health checks and hooks.

The address comes from the settings. Exit status: 0 for a successful response, else 1.
"""

import ssl
import sys
import urllib.request

from app.http.paths import is_operation
from app.settings import Settings, read_settings


def main() -> int:
    """Print the body of the response, or the error; returns the exit status."""
    path = sys.argv[1]
    url = f"{_address(read_settings())}{path}"
    request = urllib.request.Request(url, method="POST" if is_operation(path) else "GET")
    # The certificate is for the public name, not for 127.0.0.1.
    unchecked = urllib.request.HTTPSHandler(context=ssl._create_unverified_context())
    # Proxies of the environment are for the server's own outgoing requests.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), unchecked)
    try:
        with direct.open(request) as answer:
            print(answer.read().decode())
    except OSError as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1
    return 0


def _address(settings: Settings) -> str:
    server = settings.server
    scheme = "http" if server.tls_certificate_file is None else "https"
    # `::` takes no IPv4 (process/server.py).
    loopback = "[::1]" if server.host == "::" else "127.0.0.1"
    return f"{scheme}://{loopback}:{server.port}"


if __name__ == "__main__":
    sys.exit(main())
