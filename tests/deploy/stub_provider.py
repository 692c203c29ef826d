"""A Terraform provider that has the schemas of real ones and no cloud behind it.

    .venv/deploy/bin/python tests/deploy/stub_provider.py SCHEMAS.json...

Terraform reaches it by plugin protocol 6 through what it prints, the value of
TF_REATTACH_PROVIDERS; it serves until its standard input is closed. So real Terraform initialises,
validates, plans and applies without a download or an account. A plan has unknown values where AWS
would decide, an apply makes them up (`values.py`). Nothing is checked that only AWS could check:
names, quotas, which arguments go together.
"""

import json
import os
import sys
import tempfile
from concurrent import futures
from pathlib import Path

import grpc  # type: ignore[import-untyped]
import msgpack  # type: ignore[import-not-found]
from tf.gen import tfplugin_pb2 as pb  # type: ignore[import-not-found]
from tf.gen import tfplugin_pb2_grpc as rpc

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.deploy.stub_values import Block, Schemas, Value, looked_up, made_up, planned

UNKNOWN = msgpack.ExtType(0, b"\0")
"""How Terraform writes a value that is known only after an apply."""
_NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}


def _read(value: pb.DynamicValue) -> Value:
    read: Value = msgpack.unpackb(value.msgpack, strict_map_key=False)
    return read


def _written(value: Value) -> pb.DynamicValue:
    return pb.DynamicValue(msgpack=msgpack.packb(value))


def _attribute(name: str, said: dict[str, Value]) -> pb.Schema.Attribute:
    if "nested_type" in said:
        inner = said["nested_type"]
        shape = {
            "nested_type": pb.Schema.Object(
                attributes=[_attribute(*each) for each in sorted(inner["attributes"].items())],
                nesting=_NESTING[inner["nesting_mode"]],
            )
        }
    else:
        shape = {"type": json.dumps(said["type"]).encode()}
    flags = {flag: said.get(flag, False) for flag in ("required", "optional", "computed")}
    return pb.Schema.Attribute(name=name, **shape, **flags)


def _block(block: Block) -> pb.Schema.Block:
    return pb.Schema.Block(
        attributes=[_attribute(*each) for each in sorted(block["attributes"].items())],
        block_types=[
            pb.Schema.NestedBlock(
                type_name=name,
                block=_block(nested["block"]),
                nesting=_NESTING[nested["nesting_mode"]],
                min_items=nested.get("min_items", 0),
                max_items=nested.get("max_items", 0),
            )
            for name, nested in sorted(block.get("block_types", {}).items())
        ],
    )


def _schema(schema: dict[str, Block]) -> pb.Schema:
    return pb.Schema(version=0, block=_block(schema["block"]))


class Stub(rpc.ProviderServicer):  # type: ignore[misc]
    """One provider. The methods' names are the protocol's."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._schema = pb.GetProviderSchema.Response(
            provider=_schema(schemas["provider"]),
            resource_schemas={k: _schema(v) for k, v in schemas["resource_schemas"].items()},
            data_source_schemas={k: _schema(v) for k, v in schemas["data_source_schemas"].items()},
        )
        self._tags: dict[str, str] = {}

    def GetMetadata(self, request: Value, context: Value) -> None:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "Terraform then asks for the schema")

    def GetProviderSchema(self, request: Value, context: Value) -> Value:
        return self._schema

    def ValidateProviderConfig(self, request: Value, context: Value) -> Value:
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request: Value, context: Value) -> Value:
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request: Value, context: Value) -> Value:
        return pb.ValidateDataResourceConfig.Response()

    def ConfigureProvider(self, request: Value, context: Value) -> Value:
        config = _read(request.config)
        self._tags = {
            name: tag
            for each in config.get("default_tags", [])
            for name, tag in each["tags"].items()
        }
        return pb.ConfigureProvider.Response()

    def UpgradeResourceState(self, request: Value, context: Value) -> Value:
        state = json.loads(request.raw_state.json)
        return pb.UpgradeResourceState.Response(upgraded_state=_written(state))

    def ReadResource(self, request: Value, context: Value) -> Value:
        return pb.ReadResource.Response(new_state=request.current_state)

    def PlanResourceChange(self, request: Value, context: Value) -> Value:
        proposed = _read(request.proposed_new_state)
        if proposed is not None and _read(request.prior_state) is None:
            block = self._schemas["resource_schemas"][request.type_name]["block"]
            proposed = planned(block, proposed, UNKNOWN)
            if "tags_all" in proposed and proposed["tags"] != UNKNOWN:
                proposed["tags_all"] = self._tags | (proposed["tags"] or {})
        return pb.PlanResourceChange.Response(planned_state=_written(proposed))

    def ApplyResourceChange(self, request: Value, context: Value) -> Value:
        planned_state = _read(request.planned_state)
        if planned_state is not None:
            block = self._schemas["resource_schemas"][request.type_name]["block"]
            planned_state = made_up(block, planned_state, request.type_name, UNKNOWN)
        return pb.ApplyResourceChange.Response(new_state=_written(planned_state))

    def ReadDataSource(self, request: Value, context: Value) -> Value:
        block = self._schemas["data_source_schemas"][request.type_name]["block"]
        asked = planned(
            block, looked_up(request.type_name, _read(request.config), self._tags), UNKNOWN
        )
        state = made_up(block, asked, request.type_name, UNKNOWN)
        return pb.ReadDataSource.Response(state=_written(state))

    def GetFunctions(self, request: Value, context: Value) -> Value:
        return pb.GetFunctions.Response()

    def StopProvider(self, request: Value, context: Value) -> Value:
        return pb.StopProvider.Response()


def main(files: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        reattach = {}
        servers = []  # one that nobody holds is closed
        for file in files:
            name = Path(file).stem
            server = grpc.server(futures.ThreadPoolExecutor(8))
            rpc.add_ProviderServicer_to_server(Stub(json.loads(Path(file).read_text())), server)
            server.add_insecure_port(f"unix:{folder}/{name}")
            server.start()
            servers.append(server)
            reattach[f"registry.terraform.io/hashicorp/{name}"] = {
                "Protocol": "grpc",
                "ProtocolVersion": 6,
                "Pid": os.getpid(),
                "Test": True,
                "Addr": {"Network": "unix", "String": f"{folder}/{name}"},
            }
        print(json.dumps(reattach), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
