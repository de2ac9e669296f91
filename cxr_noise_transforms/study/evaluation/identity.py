"""What a model or a measure computes, as one hash, so that nothing measured answers for another."""

from __future__ import annotations

import copyreg
import hashlib
import pickle
import re
from collections.abc import Iterable
from functools import cached_property, singledispatch
from types import (
    CellType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from .packages import package_of, place_in_package
from .references import referenced

Parts = tuple[Any, ...]

# known by what Python prints of them
_PLAIN = (type(None), bool, int, float, complex, str, type(...))
_INSIDE = ("_parameters", "_buffers", "_modules")
_HOOKS = ("_forward_pre_hooks", "_forward_hooks")
# these, training mode, other hooks, and what torch.compile notes on a module
_TORCHS_OWN = frozenset(vars(nn.Module())) | {"_is_torch_compile"}


def fingerprint(thing: object) -> str:
    """SHA-256 of all that decides what a model or a measure computes.

    A module counts by its class, its weights, buffers and attributes, and its forward hooks; a
    function by its compiled code, its defaults, what it closes over and the globals that it reads;
    any other object by its class and what pickling would keep of it; all of this recursively. What
    comes from an installed package counts by its name there and the package's version. Training
    mode, device, names of files and line numbers do not count. What a model notes on itself while
    it runs counts; what a function imports in its body, or reads from a file while it runs, is not
    seen.

    Raises:
        TypeError: something in it cannot be known by content; the message names it.

    Example:
        >>> one, same, other = (lambda x: x + 1), (lambda x: x + 1), (lambda x: x + 2)
        >>> fingerprint(one) == fingerprint(same), fingerprint(one) == fingerprint(other)
        (True, False)
    """
    return _Walk().digest(thing).hex()


def tensor_bytes(value: Tensor) -> bytes:
    """The bytes of a tensor's values."""
    # as bytes, because NumPy has no bfloat16
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


class _Walk:
    """Digests of things and of what they are made of, each thing once."""

    def __init__(self) -> None:
        # with the thing itself: the id of one that is gone is given to another
        self.known: dict[int, tuple[bytes, object]] = {}

    def digest(self, thing: object) -> bytes:
        thing = _bare(thing)
        if type(thing) in _PLAIN:
            return _sha256(thing, repr(thing).encode())
        if type(thing) is bytes:
            return _sha256(thing, thing)
        if id(thing) not in self.known:
            # where it leads back to itself
            self.known[id(thing)] = (b"itself", thing)
            place = place_in_package(thing)
            parts = _parts(thing) if place is None else (place,)
            made = [self.digest(part) for part in parts]
            if isinstance(thing, set | frozenset):
                made.sort()
            self.known[id(thing)] = (_sha256(thing, *made), thing)
        return self.known[id(thing)][0]


def _bare(thing: Any) -> object:
    """A thing without what changes no result: compilation, and data parallelism."""
    name = None
    if isinstance(thing, ExportedProgram):
        return thing.module()
    if isinstance(thing, nn.DataParallel | nn.parallel.DistributedDataParallel):
        name = "module"
    elif isinstance(thing, nn.Module):
        name = "_orig_mod"
    elif isinstance(thing, FunctionType):
        name = "_torchdynamo_orig_callable"
    return thing if name is None or not hasattr(thing, name) else _bare(getattr(thing, name))


@singledispatch
def _parts(thing: object) -> Parts:
    """What a thing is made of; each part is a thing again."""
    if hasattr(thing, "__wrapped__"):
        return type(thing), thing.__wrapped__
    try:
        reduce = copyreg.dispatch_table.get(type(thing))
        reduced = thing.__reduce_ex__(4) if reduce is None else reduce(thing)
    # objects refuse to be pickled in any way
    except Exception as error:
        raise _unknown(thing) from error
    if isinstance(reduced, str):
        # a name in some module
        home = package_of(pickle.whichmodule(thing, reduced))  # type: ignore[attr-defined]
        if home is None:
            raise _unknown(thing)
        return home, reduced
    make, arguments, state, *items = reduced + (None,) * (5 - len(reduced))
    return make, arguments, state, *(list(each or ()) for each in items[:2])


@_parts.register(list)
@_parts.register(tuple)
@_parts.register(set)
@_parts.register(frozenset)
def _of_collection(things: Iterable[object]) -> Parts:
    return type(things), getattr(things, "__dict__", None), *things


@_parts.register
def _of_dict(things: dict) -> Parts:
    items = (part for item in things.items() for part in item)
    return type(things), getattr(things, "__dict__", None), *items


@_parts.register
def _of_tensor(tensor: Tensor) -> Parts:
    if is_traceable_wrapper_subclass(tensor):
        names, context = tensor.__tensor_flatten__()
        return type(tensor), context, *(getattr(tensor, name) for name in names)
    if tensor.is_meta:
        raise _unknown(tensor)
    values = tensor.dequantize() if tensor.is_quantized else tensor.to_dense()
    return str(tensor.dtype), tuple(tensor.shape), tensor_bytes(values)


@_parts.register
def _of_device(_: torch.device) -> Parts:
    return ()


@_parts.register
def _of_network(network: nn.Module) -> Parts:
    held = {
        name: value
        for name, value in vars(network).items()
        if name in _INSIDE or not (name in _TORCHS_OWN or _is_cached(network, name))
    }
    # in their order: the keys are numbers that torch counts on
    hooks = [list(vars(network)[name].values()) for name in _HOOKS]
    return type(network), held, hooks


@_parts.register
def _of_graph(network: fx.GraphModule) -> Parts:
    called = [node.target for node in network.graph.nodes if isinstance(node.target, FunctionType)]
    tensors = {name: value for name, value in vars(network).items() if isinstance(value, Tensor)}
    inside = [vars(network)[name] for name in _INSIDE]
    # without torch.export's check of the shapes, which changes no result
    inside = [{key: each[key] for key in each if key != "_guards_fn"} for each in inside]
    return network.code, called, tensors, inside


@_parts.register
def _of_script(network: torch.jit.ScriptModule) -> Parts:
    attributes = {
        name: {key: getattr(part, key) for key in part._concrete_type.get_attributes()}  # noqa: SLF001
        for name, part in network.named_modules()
    }
    for held in attributes.values():
        held.pop("training", None)
    return *_script(network.inlined_graph), attributes, dict(network.state_dict())


@_parts.register
def _of_scripted_function(function: torch.jit.ScriptFunction) -> Parts:
    return _script(function.inlined_graph)


@_parts.register
def _of_function(function: FunctionType) -> Parts:
    code, home = function.__code__, function.__globals__
    package = package_of(str(home.get("__name__")))
    read = package or referenced(code, home)
    held = [_held(cell) for cell in function.__closure__ or ()]
    return code, read, function.__defaults__, function.__kwdefaults__, held, vars(function)


@_parts.register
def _of_method(method: MethodType) -> Parts:
    return method.__func__, method.__self__


@_parts.register
def _of_code(code: CodeType) -> Parts:
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    return code.co_code, code.co_consts, names, counts


@_parts.register(property)
def _of_property(descriptor: property) -> Parts:
    return descriptor.fget, descriptor.fset, descriptor.fdel


@_parts.register
def _of_cached_property(descriptor: cached_property) -> Parts:
    return (descriptor.func,)


@_parts.register(staticmethod)
@_parts.register(classmethod)
def _of_bound(descriptor: Any) -> Parts:
    return type(descriptor), descriptor.__func__


@_parts.register
def _of_class(kind: type) -> Parts:
    package = package_of(kind.__module__)
    if package is not None:
        return package, kind.__module__, kind.__qualname__, kind.__bases__
    slots = (MemberDescriptorType, GetSetDescriptorType)
    own = {
        name: value
        for name, value in vars(kind).items()
        if isinstance(value, FunctionType)
        or not (name.startswith("__") or name == "_abc_impl" or isinstance(value, slots))
    }
    return kind.__qualname__, kind.__bases__, own


@_parts.register
def _of_imported(module: ModuleType) -> Parts:
    package = package_of(module.__name__)
    if package is None:
        raise _unknown(module)
    return package, module.__name__


def _is_cached(thing: object, name: str) -> bool:
    return isinstance(getattr(type(thing), name, None), cached_property)


def _held(cell: CellType) -> object:
    try:
        return cell.cell_contents
    # a name that nothing was given to yet
    except ValueError:
        return None


def _script(graph: Any) -> Parts:
    """The text of a TorchScript graph, and the tensors in it, which the text may cut short."""
    graph = torch._C._jit_pass_canonicalize(graph)  # noqa: SLF001 (names that do not depend on what was loaded before)
    constants = [
        node.t("value")
        for node in graph.findAllNodes("prim::Constant")
        if node.hasAttribute("value") and node.kindOf("value") == "t"
    ]
    # a class that is loaded twice gets another name
    return re.sub(r"___torch_mangle_\d+\.", "", graph.str(False)), constants


def _unknown(thing: object) -> TypeError:
    kind = type(thing)
    return TypeError(f"a {kind.__module__}.{kind.__qualname__} cannot be known by its content")


def _sha256(thing: object, *parts: bytes) -> bytes:
    digest = hashlib.sha256(f"{type(thing).__name__}:".encode())
    for part in parts:
        digest.update(part)
    return digest.digest()
