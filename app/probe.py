"""python -m app.probe PATH: asks the server on this machine; for health checks and hooks.

The settings say where it listens. Exit status 0 for an answer of success, else 1.
"""

import ssl
import sys
import urllib.request

from app.settings import Settings, read_settings


def main() -> int:
    """Prints the body of the answer, or why there is none."""
    url = f"{_address(read_settings())}{sys.argv[1]}"
    # The certificate is for the name by which others call.
    unchecked = urllib.request.HTTPSHandler(context=ssl._create_unverified_context())
    # Proxies of the environment are for what the server asks of others.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), unchecked)
    try:
        with direct.open(url) as answer:
            print(answer.read().decode())
    except OSError as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1
    return 0


def _address(settings: Settings) -> str:
    server = settings.server
    scheme = "http" if server.tls_certificate_file is None else "https"
    return f"{scheme}://127.0.0.1:{server.port}"


if __name__ == "__main__":
    sys.exit(main())
