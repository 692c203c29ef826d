"""Makes the built-in encoder from Resemblyzer's checkpoint, without PyTorch.

`python -m bench.diarization.convert PRETRAINED.pt encoder.onnx`; needs the package `onnx`.
"""

import argparse
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

LAYERS = 3
UNITS = 256
BANDS = 40

_DTYPES = {"FloatStorage": np.float32, "CudaFloatStorage": np.float32, "LongStorage": np.int64,
           "DoubleStorage": np.float64}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A view of a storage, as the pickle describes it."""

    key: str
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Reads what describes tensors, and nothing else: a checkpoint is not trusted."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.kinds: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        known: dict[str, Callable[..., Any]] = {
            "_rebuild_tensor_v2": lambda key, offset, size, stride, *_: _Tensor(
                key, offset, size, stride
            ),
            "_rebuild_parameter": lambda tensor, *_: tensor,
            "OrderedDict": OrderedDict,
        }
        if name in _DTYPES:
            return name
        if name in known:
            return known[name]
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a tensor")

    def persistent_load(self, pid: Any) -> str:
        _, kind, key, *_ = pid
        self.kinds[key] = kind
        return str(key)


def weights(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of `model_state` in a checkpoint of PyTorch's format before 1.6."""
    with path.open("rb") as file:
        for _ in range(3):  # magic number, version, sizes of types
            pickle.load(file)
        reader = _Unpickler(file)
        state = reader.load()["model_state"]
        storages = {}
        for key in pickle.load(file):
            (count,) = struct.unpack("<q", file.read(8))
            kind = np.dtype(_DTYPES[reader.kinds[key]])
            storages[key] = np.frombuffer(file.read(count * kind.itemsize), kind)
    found = {}
    for name, tensor in state.items():
        storage = storages[tensor.key]
        strides = [step * storage.itemsize for step in tensor.stride]
        view = np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.size, strides)
        found[name] = view.copy()
    return found


def _in_onnx_order(gates: NDArray[Any]) -> NDArray[Any]:
    """PyTorch has the input, forget, cell and output gates, ONNX input, output, forget and cell."""
    first, forget, cell, output = np.split(gates, 4)
    return np.concatenate([first, output, forget, cell])


def encoder(state: dict[str, NDArray[Any]]) -> Any:
    """The ONNX model: `mels[b, t, 40]` -> `emb[b, 256]`, rows of length 1."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    constants = {"axis0": np.array([0]), "axis1": np.array([1])}
    nodes = [helper.make_node("Transpose", ["mels"], ["x0"], perm=[1, 0, 2])]
    for layer in range(LAYERS):
        names = f"W{layer}", f"R{layer}", f"B{layer}"
        input_, hidden = state[f"lstm.weight_ih_l{layer}"], state[f"lstm.weight_hh_l{layer}"]
        bias = [_in_onnx_order(state[f"lstm.bias_{part}_l{layer}"]) for part in ("ih", "hh")]
        values = _in_onnx_order(input_), _in_onnx_order(hidden), np.concatenate(bias)
        constants |= {name: value[None] for name, value in zip(names, values, strict=True)}
        outputs = [f"y{layer}", f"h{layer}"]
        nodes.append(helper.make_node("LSTM", [f"x{layer}", *names], outputs, hidden_size=UNITS))
        if layer < LAYERS - 1:
            nodes.append(helper.make_node("Squeeze", [f"y{layer}", "axis1"], [f"x{layer + 1}"]))
    constants |= {"W": state["linear.weight"].T, "B": state["linear.bias"]}
    nodes += [
        helper.make_node("Squeeze", [f"h{LAYERS - 1}", "axis0"], ["last"]),
        helper.make_node("MatMul", ["last", "W"], ["projected"]),
        helper.make_node("Add", ["projected", "B"], ["shifted"]),
        helper.make_node("Relu", ["shifted"], ["positive"]),
        helper.make_node("LpNormalization", ["positive"], ["emb"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "ge2e",
        [helper.make_tensor_value_info("mels", TensorProto.FLOAT, ["b", "t", BANDS])],
        [helper.make_tensor_value_info("emb", TensorProto.FLOAT, ["b", UNITS])],
        [numpy_helper.from_array(np.ascontiguousarray(v), name) for name, v in constants.items()],
    )
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    onnx.checker.check_model(model)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.diarization.convert", description=__doc__
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("encoder", type=Path)
    arguments = parser.parse_args()
    content = encoder(weights(arguments.checkpoint)).SerializeToString()
    arguments.encoder.write_bytes(content)


if __name__ == "__main__":
    main()
