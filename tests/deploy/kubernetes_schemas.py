"""Kubernetes' own objects against the strict schemas of its versions.

.venv/deploy/bin/python tests/deploy/kubernetes_schemas.py < documents.json

On stdin a JSON object of version -> documents, on stdout a JSON list of what is wrong with them.
"""

import functools
import json
import sys

import kubernetes_validate  # type: ignore[import-not-found]
from kubernetes_validate import utils

# The definitions are megabytes, and it would read them for every document.
utils.schema_contents = functools.cache(utils.schema_contents)


def main() -> None:
    found = []
    for version, documents in json.load(sys.stdin).items():
        for document in documents:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                place = ".".join(str(part) for part in error.path)
                found.append(f"{version} {document['kind']} {place}: {error.message}")
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
