"""Terraform's schema of a type, read from the JavaScript that CDK for Terraform generated from it.

A generated class says of every attribute, in a comment, who sets it; of every argument, in the
function that writes HCL, its type; and of every computed attribute, in its getter, what it reads.
What is lost: write-only arguments, descriptions, and upper limits of blocks above one.
"""

import re
from dataclasses import dataclass

Type = str | list["Type"] | dict[str, "Type"]
"""Terraform's JSON notation: `"string"`, `["list", "string"]`, `["object", {"name": "string"}]`."""
Json = dict[str, object]

_CLASS = re.compile(r"class \w+ extends \w+\.Terraform(Resource|DataSource|Provider) ")
_ARGUMENT = re.compile(
    r"(?P<name>\w+): \{\s*value: (?P<value>.*?),\s*isBlock: (?P<block>true|false),"
    r'\s*type: "(?P<kind>\w+)",\s*storageClassType: "(?P<stored>\w+)",?\s*\}',
    re.S,
)
_COMMENT = re.compile(
    r"// (?P<name>\w+) - computed: (?P<computed>\w+), optional: (?P<optional>\w+), "
    r"required: (?P<required>\w+)\n(?P<getter>.*?\n.*?\n)"
)
_FLAGS = ("computed", "optional", "required")
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


@dataclass(frozen=True)
class _Said:
    """What the comment above an attribute says, and the two lines below it."""

    flags: frozenset[str]
    getter: str = ""

    def as_json(self) -> Json:
        return {flag: True for flag in sorted(self.flags)}


def _comments(body: str) -> dict[str, _Said]:
    return {
        found["name"]: _Said(
            frozenset(
                flag for flag in ("computed", "optional", "required") if found[flag] == "true"
            ),
            found["getter"],
        )
        for found in _COMMENT.finditer(body)
    }


def _without_comment(name: str, body: str) -> _Said:
    """Older packages have no comments on arguments: one that can be reset is optional."""
    camel = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    optional = not body or f"reset{camel}(" in body
    return _Said(frozenset({"optional" if optional else "required"}))


def _braces(source: str, start: int) -> str:
    """The block in braces that opens at or after `start`. Raises ValueError if it never closes."""
    begin = source.index("{", start)
    depth = 0
    for brace in re.finditer(r"[{}]", source[begin:]):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return source[begin : begin + brace.end()]
    raise ValueError("a brace is never closed")


class GeneratedModule:
    """One generated file: a resource, a data source or the provider, with its nested blocks."""

    def __init__(self, source: str) -> None:
        self._source = source

    def schema(self) -> Json:
        """As in `terraform providers schema -json`. Raises ValueError for any other file."""
        found = _CLASS.search(self._source)
        if found is None:
            raise ValueError("no class of a resource, a data source or a provider")
        body = _braces(self._source, found.start())
        arguments = _braces(body, body.index("synthesizeHclAttributes()"))
        return {"version": 0, "block": self._block(arguments, body)}

    def _block(self, arguments: str, body: str) -> Json:
        comments = _comments(body)
        attributes: dict[str, Json] = {}
        blocks: dict[str, Json] = {}
        for argument in _ARGUMENT.finditer(arguments):
            name = argument["name"]
            said = comments.get(name) or _without_comment(name, body)
            if argument["block"] == "false":
                attributes[name] = {"type": _plain(argument), **said.as_json()}
            elif _is_block(argument):
                blocks[name] = self._nested(argument, "required" in said.flags)
            else:
                attributes[name] = {"nested_type": self._objects(argument), **said.as_json()}
        for name, said in comments.items():
            if said.flags == {"computed"} and name not in attributes:
                attributes[name] = {"type": self._computed(said.getter), "computed": True}
        return {"attributes": attributes, **({"block_types": blocks} if blocks else {})}

    def _inner(self, argument: re.Match[str]) -> Json:
        base = argument["stored"].removesuffix("List")
        mapper = f"function {base[0].lower()}{base[1:]}ToHclTerraform("
        return self._block(_braces(self._source, self._source.index(mapper)), self._reading(base))

    def _reading(self, base: str) -> str:
        """The class that reads a nested block; those of a provider have none."""
        start = self._source.find(f"class {base}OutputReference ")
        return "" if start < 0 else _braces(self._source, start)

    def _nested(self, argument: re.Match[str], required: bool) -> Json:
        block = {"block": self._inner(argument)}
        if argument["kind"] == "struct":
            return {"nesting_mode": "single", **block}
        many = f"class {argument['stored'].removesuffix('List')}List extends" in self._source
        least = {"min_items": 1} if required else {}
        most = {} if many else {"max_items": 1}
        return {"nesting_mode": argument["kind"], **block, **least, **most}

    def _objects(self, argument: re.Match[str]) -> Json:
        nesting = "single" if argument["kind"] == "struct" else argument["kind"]
        return {"attributes": self._inner(argument)["attributes"], "nesting_mode": nesting}

    def _computed(self, getter: str) -> Type:
        if mapped := re.search(r"new \w+\.(String|Number|Boolean)Map\(", getter):
            return ["map", _PLAIN[mapped[1].lower()]]
        if made := re.search(r'new (\w+?)(List)?\(this, "\w+"(?:, (true|false))?', getter):
            reading = self._reading(made[1].removesuffix("OutputReference"))
            inner: dict[str, Type] = {
                name: self._computed(said.getter) for name, said in _comments(reading).items()
            }
            one: Type = ["object", inner]
            return ["set" if made[3] == "true" else "list", one] if made[2] else one
        read = re.search(r"this\.(get\w+Attribute)\(", getter)
        if read and "Fn.tolist" in getter:
            return ["set", "string"]
        return _GETTERS.get(read[1], "dynamic") if read else "dynamic"


def _plain(argument: re.Match[str]) -> Type:
    element = _PLAIN[re.sub("(List|Map)$", "", argument["stored"])]
    return element if argument["kind"] == "simple" else [argument["kind"], element]


def _is_block(argument: re.Match[str]) -> bool:
    """Rather than an attribute with attributes of its own, as newer providers have them."""
    if argument["kind"] == "struct":
        # The helm provider has no blocks at all, the aws provider no other lone structs.
        return argument["name"] == "timeouts" and "release" not in argument["value"]
    return "ToHclTerraform, false)" not in argument["value"]
