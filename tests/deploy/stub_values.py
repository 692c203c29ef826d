"""What a provider without a cloud answers: unknown values in a plan, made-up ones after it."""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

Value = Any
"""What Terraform sends: whatever a configuration may hold."""
Block = dict[str, Any]
"""`{"attributes": {name: {...}}, "block_types": {name: {"nesting_mode", "block"}}}`"""
Schemas = dict[str, Any]

ACCOUNT = "111122223333"
REGION = "eu-central-1"

_DATA: dict[str, dict[str, Value]] = {
    "aws_caller_identity": {"account_id": ACCOUNT},
    "aws_partition": {"partition": "aws", "dns_suffix": "amazonaws.com"},
    "aws_region": {"region": REGION},
    "aws_servicequotas_service_quota": {"value": 24},
    "aws_route53_zone": {"zone_id": "Z1", "arn": "arn:aws:route53:::hostedzone/Z1"},
}
_numbers = count(1)


def looked_up(kind: str, config: dict[str, Value], tags: dict[str, str]) -> dict[str, Value]:
    """A data source's arguments and what configurations rely on. `tags` are the provider's."""
    if kind == "aws_default_tags":
        return config | {"tags": tags}
    return config | _DATA.get(kind, {})


def planned(block: Block, value: dict[str, Value], unknown: Value) -> dict[str, Value]:
    """A new object as a provider plans it: what it will decide itself is unknown."""
    result = dict(value)
    for name, attribute in block["attributes"].items():
        if attribute.get("computed") and value[name] is None:
            result[name] = unknown
    for name, nested in block.get("block_types", {}).items():
        result[name] = _each(value[name], partial(planned, nested["block"], unknown=unknown))
    return result


def made_up(block: Block, value: dict[str, Value], kind: str, unknown: Value) -> dict[str, Value]:
    """An object as it would be after an apply: nothing is unknown.

    What a configuration could have set and did not stays unset, but for ids and names: a check must
    not be satisfied by an invention.
    """
    result = dict(value)
    for name, attribute in block["attributes"].items():
        if value[name] == unknown:
            invent = not attribute.get("optional") or name in {"id", "arn", "name"}
            result[name] = _invented(attribute["type"], name, kind) if invent else None
    for name, nested in block.get("block_types", {}).items():
        change = partial(made_up, nested["block"], kind=kind, unknown=unknown)
        result[name] = _each(value[name], change)
    return result


def _each(value: Value, change: Callable[[Value], Value]) -> Value:
    if isinstance(value, list):
        return [change(one) for one in value]
    return change(value) if isinstance(value, dict) else value


def _invented(of: Value, name: str, kind: str) -> Value:
    if isinstance(of, list):
        if of[0] == "object":
            return {key: _invented(inner, key, kind) for key, inner in of[1].items()}
        if of[0] == "map":
            return {}
        return [_invented(of[1], name, kind)]
    if of == "string":
        return _text(name, kind)
    return {"number": 1, "bool": False}.get(of)


def _text(name: str, kind: str) -> str:
    number = next(_numbers)
    if name.endswith("arn"):
        return f"arn:aws:stub:{REGION}:{ACCOUNT}:{kind}/{number}"
    if name in {"endpoint", "issuer", "url", "prometheus_endpoint"}:
        return f"https://{kind.replace('_', '-')}-{number}.example.com"
    if name == "data":
        return "c3R1Yg=="  # a certificate, in base64
    return f"{kind}-{name}-{number}"
