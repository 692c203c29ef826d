"""Provider schemas for the tests of terraform/, out of two npm packages.

    python -m tests.deploy.extract_schemas

Terraform checks configurations against the schemas of its providers, and a provider is 700 MB. The
packages hold the same schemas as generated JavaScript classes: hashicorp/aws in the
`@cdktn` package, hashicorp/helm in the `@cdktf` one, each under MPL-2.0. This takes the types that
terraform/ names and writes tests/deploy/schemas/*.json in the shape of `terraform providers schema
-json`. Run it again when a configuration names a new type.

What is lost: write-only arguments, descriptions, and which blocks have an upper limit above one.
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

ROOT = Path(__file__).parents[2]
SCHEMAS = Path(__file__).parent / "schemas"

Type = str | list["Type"] | dict[str, "Type"]
"""Terraform's JSON notation: `"string"`, `["list", "string"]`, `["object", {"name": "string"}]`."""
Json = dict[str, object]


@dataclass(frozen=True)
class Package:
    provider: str
    npm: str
    integrity: str


PACKAGES = (
    Package(
        "aws",
        "@cdktn/provider-aws@25.7.0",
        "sha512-E/nhu0yVZE4mXMgIPuI8tEFt1BExLkA7ARjihdG+/HmfDfzLr+OEF3dkFRvI6glRt30lrrBWQLwXqCJBxcmyUg==",
    ),
    Package(
        "helm",
        "@cdktf/provider-helm@12.1.2",
        "sha512-QFLfD6e5djSiuw5o63JTaVjLTzUrcXW4rT6zdcvIHfjrqcUJT+Yc8cfhLTVVr5p+fRYrB90b6j8YogBEsLj+5A==",
    ),
)

_ARGUMENT = re.compile(
    r"(\w+): \{\s*value: (?P<value>.*?),\s*isBlock: (?P<block>true|false),"
    r'\s*type: "(?P<kind>\w+)",\s*storageClassType: "(?P<stored>\w+)",?\s*\}',
    re.S,
)
_FLAGS = re.compile(r"// (\w+) - computed: (\w+), optional: (\w+), required: (\w+)\n(.*?\n.*?\n)")
_MAIN_CLASS = re.compile(r"class \w+ extends \w+\.Terraform(Resource|DataSource|Provider) ")
_PLAIN = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
_GETTERS: dict[str, Type] = {
    "getStringAttribute": "string",
    "getNumberAttribute": "number",
    "getBooleanAttribute": "bool",
    "getListAttribute": ["list", "string"],
    "getNumberListAttribute": ["list", "number"],
    "getStringMapAttribute": ["map", "string"],
    "getBooleanMapAttribute": ["map", "bool"],
}


def _braces(source: str, start: int) -> str:
    """The block in braces that opens at or after `start`."""
    begin = source.index("{", start)
    depth = 0
    for brace in re.finditer(r"[{}]", source[begin:]):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return source[begin : begin + brace.end()]
    raise ValueError("a brace is never closed")


def _by_reset(name: str, body: str) -> tuple[str, str, str, str]:
    """Flags of an argument without a comment (helm): what can be taken back is optional."""
    camel = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    optional = not body or f"reset{camel}(" in body
    return "false", str(optional).lower(), str(not optional).lower(), ""


class Module:
    """One generated file: a resource, a data source or the provider, and its nested blocks."""

    def __init__(self, source: str) -> None:
        self._source = source

    def schema(self) -> Json:
        found = _MAIN_CLASS.search(self._source)
        if found is None:
            raise ValueError("no class of a resource")
        body = _braces(self._source, found.start())
        arguments = _braces(body, body.index("synthesizeHclAttributes()"))
        return {"version": 0, "block": self._block(arguments, body)}

    def _block(self, arguments: str, body: str) -> Json:
        attributes: dict[str, Json] = {}
        blocks: dict[str, Json] = {}
        flags = {
            name: (computed, optional, required, getter)
            for name, computed, optional, required, getter in _FLAGS.findall(body)
        }
        for argument in _ARGUMENT.finditer(arguments):
            name = argument[1]
            computed, optional, required, _ = flags.get(name, _by_reset(name, body))
            said = {
                key: True
                for key, flag in (
                    ("computed", computed),
                    ("optional", optional),
                    ("required", required),
                )
                if flag == "true"
            }
            if argument["block"] == "false":
                attributes[name] = {"type": self._plain(argument), **said}
            elif self._is_block(argument):
                blocks[name] = self._nested(argument, required == "true")
            else:
                attributes[name] = {**self._of_objects(argument), **said}
        for name, (computed, optional, _, getter) in flags.items():
            if computed == "true" and optional == "false" and name not in attributes:
                attributes[name] = {"type": self._computed(getter), "computed": True}
        return {"attributes": attributes, **({"block_types": blocks} if blocks else {})}

    @staticmethod
    def _plain(argument: re.Match[str]) -> Type:
        element = _PLAIN[re.sub("(List|Map)$", "", argument["stored"])]
        return element if argument["kind"] == "simple" else [argument["kind"], element]

    @staticmethod
    def _is_block(argument: re.Match[str]) -> bool:
        if argument["kind"] == "struct":
            return argument[1] == "timeouts" and "release" not in argument["value"]
        return "ToHclTerraform, false)" not in argument["value"]

    def _inner(self, argument: re.Match[str]) -> Json:
        base = re.sub("List$", "", argument["stored"])
        mapper = f"function {base[0].lower()}{base[1:]}ToHclTerraform("
        return self._block(_braces(self._source, self._source.index(mapper)), self._reference(base))

    def _reference(self, base: str) -> str:
        """The class that reads a nested block; the provider's blocks have none."""
        start = self._source.find(f"class {base}OutputReference ")
        return "" if start < 0 else _braces(self._source, start)

    def _nested(self, argument: re.Match[str], required: bool) -> Json:
        if argument["kind"] == "struct":
            return {"nesting_mode": "single", "block": self._inner(argument)}
        many = f"class {argument['stored'].removesuffix('List')}List extends" in self._source
        return {
            "nesting_mode": argument["kind"],
            "block": self._inner(argument),
            **({"min_items": 1} if required else {}),
            **({} if many else {"max_items": 1}),
        }

    def _of_objects(self, argument: re.Match[str]) -> Json:
        """An attribute with attributes of its own: `nested_type`, as newer providers have them."""
        nesting = "single" if argument["kind"] == "struct" else argument["kind"]
        inner = self._inner(argument)
        return {"nested_type": {"attributes": inner["attributes"], "nesting_mode": nesting}}

    def _computed(self, getter: str) -> Type:
        mapped = re.search(r"new \w+\.(String|Number|Boolean)Map\(", getter)
        if mapped:
            return ["map", _PLAIN[mapped[1].lower()]]
        listed = re.search(r'new (\w+?)(List)?\(this, "\w+"(, (true|false))?', getter)
        if listed:
            reference = self._reference(re.sub("OutputReference$", "", listed[1]))
            inner: dict[str, Type] = {
                name: self._computed(each) for name, *_, each in _FLAGS.findall(reference)
            }
            if not listed[2]:
                return ["object", inner]
            return ["set" if listed[4] == "true" else "list", ["object", inner]]
        read = re.search(r"this\.(get\w+Attribute)\(", getter)
        if read is None:
            return "dynamic"
        is_set = "Fn.tolist" in getter
        return ["set", "string"] if is_set else _GETTERS.get(read[1], "dynamic")


def _named(provider: str) -> Iterator[tuple[str, str]]:
    """('resource' or 'data', type) that configurations name."""
    for path in sorted((ROOT / "terraform").rglob("*.tf")):
        yield from re.findall(rf'^(resource|data) "({provider}_\w+)"', path.read_text(), re.M)


def _packed(package: Package, folder: Path) -> Path:
    """The package's archive, by npm. Raises ValueError if its content is not the pinned one."""
    subprocess.run(["npm", "pack", package.npm, "--silent"], cwd=folder, check=True)
    (archive,) = folder.glob("*.tgz")
    digest = b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != package.integrity:
        raise ValueError(f"{package.npm} has the integrity sha512-{digest}")
    return archive


def _schemas(package: Package, archive: Path) -> Json:
    wanted = {"provider/index.js": ("provider", "")}
    for kind, name in _named(package.provider):
        folder = name.removeprefix(f"{package.provider}_").replace("_", "-")
        if kind == "data":
            wanted[f"data-{package.provider}-{folder}/index.js"] = ("data_source_schemas", name)
        else:
            wanted[f"{folder}/index.js"] = ("resource_schemas", name)
    found: dict[str, dict[str, Json]] = {"resource_schemas": {}, "data_source_schemas": {}}
    provider: Json = {}
    with tarfile.open(archive) as files:
        for file in files:
            path = file.name.removeprefix("package/lib/")
            content = files.extractfile(file) if path in wanted else None
            if content is None:
                continue
            source = content.read().decode()
            kind, name = wanted.pop(path)
            if kind == "provider":
                provider = _without_endpoints(Module(source).schema())
            else:
                found[kind][name] = Module(source).schema()
    if wanted:
        raise ValueError(f"{package.npm} has no {', '.join(sorted(wanted))}")
    return {"source": package.npm, "provider": provider, **found}


def _without_endpoints(provider: Json) -> Json:
    """`endpoints` lists every service of AWS, and nobody sets it here."""
    block = provider["block"]
    assert isinstance(block, dict)
    block.get("block_types", {}).pop("endpoints", None)
    block["attributes"].pop("alias", None)
    return provider


def _text(schemas: Json) -> str:
    """JSON with a line for each type, so that a diff shows what has changed."""
    lines = []
    for key, value in sorted(schemas.items()):
        if key.endswith("_schemas") and isinstance(value, dict):
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
            schemas = _schemas(package, _packed(package, Path(folder)))
        (SCHEMAS / f"{package.provider}.json").write_text(_text(schemas))


if __name__ == "__main__":
    main()
