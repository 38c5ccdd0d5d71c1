"""MD5 of sixteen messages at once, compiled for the processor at hand.

Belongs here: the steps of RFC 1321 on vectors, and their compilation by LLVM. Does not belong here: whose messages are
hashed together (``md5_lanes``), what the sums are for (``etag``).

Each of MD5's 64 steps needs the result of the step before, so that a core with many arithmetic units uses one of them:
0.8 GB/s, whoever wrote the code. But the steps of sixteen messages do not need each other. Here every variable of the
algorithm is a vector with one 32-bit word of each message (its lane), and one instruction does a step for all: 6.5 GB/s
with AVX-512, and each word of a vector comes from another place in memory only once, by a transposition in registers.
"""

import math
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_int64, c_void_p
from functools import cache
from typing import Any

from llvmlite import binding, ir

from cpjump_assets.gallery.transfer.md5_lanes import BLOCK, LANES

_WORDS = BLOCK // 4
_STEPS = 64
_SHIFTS = ((7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21))
_WORD = ir.IntType(32)
_COUNT = ir.IntType(64)
_VECTOR = ir.VectorType(_WORD, LANES)

Kernel = Callable[[int, int, int], None]
"""Takes the addresses of (4, LANES) words, the states, which it advances, and of LANES addresses; then the blocks."""


_engines: list[binding.ExecutionEngine] = []  # compiled code lives as long as its engine


@cache
def md5_kernel() -> Kernel:
    """Compile the kernel: 60 ms."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(
        opt=2, cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten()
    )
    engine = binding.create_mcjit_compiler(binding.parse_assembly(str(_module())), machine)
    engine.finalize_object()
    _engines.append(engine)
    return CFUNCTYPE(None, c_void_p, c_void_p, c_int64)(engine.get_function_address("absorb"))


def _module() -> ir.Module:
    """Write ``absorb(state, messages, blocks)``: a loop over blocks, of which there is at least one."""
    module = ir.Module()
    kind = ir.FunctionType(ir.VoidType(), [_VECTOR.as_pointer(), _VECTOR.as_pointer().as_pointer(), _COUNT])
    function = ir.Function(module, kind, "absorb")
    state, messages, blocks = function.args
    entry, loop, end = (function.append_basic_block(name) for name in ("entry", "loop", "end"))

    builder = ir.IRBuilder(entry)
    places = [builder.load(builder.gep(messages, [_COUNT(lane)])) for lane in range(LANES)]
    before = [builder.load(builder.gep(state, [_COUNT(word)]), align=4) for word in range(4)]
    builder.branch(loop)

    builder = ir.IRBuilder(loop)
    number = builder.phi(_COUNT)
    registers = [builder.phi(_VECTOR) for _ in range(4)]
    block = [builder.load(builder.gep(place, [number]), align=1) for place in places]
    after = _absorb_block(builder, registers, _transposed(builder, block), _constants(module))
    following = builder.add(number, _COUNT(1))
    for value, first, later in zip([number, *registers], [_COUNT(0), *before], [following, *after], strict=True):
        value.add_incoming(first, entry)
        value.add_incoming(later, loop)
    builder.cbranch(builder.icmp_signed("<", following, blocks), loop, end)

    builder = ir.IRBuilder(end)
    for word, value in enumerate(after):
        builder.store(value, builder.gep(state, [_COUNT(word)]), align=4)
    builder.ret_void()
    return module


def _constants(module: ir.Module) -> ir.GlobalVariable:
    """Put the constants of all steps into memory, where LLVM leaves them.

    A constant that it knows it adds last, so that the next step waits for one addition more: 3.0 ms a MiB of each
    message instead of 2.5.
    """
    table = [_all_lanes(int(abs(math.sin(step + 1)) * 2**32)) for step in range(_STEPS)]
    variable = ir.GlobalVariable(module, ir.ArrayType(_VECTOR, _STEPS), "constants")
    variable.initializer = ir.Constant(variable.value_type, table)
    variable.linkage = "internal"
    return variable


def _absorb_block(builder: ir.IRBuilder, registers: list[Any], words: list[Any], constants: Any) -> list[Any]:
    """Do the 64 steps of one block; ``words[i]`` has word i of each message."""
    a, b, c, d = registers
    for step in range(_STEPS):
        mixed, word = _mixed(builder, step, b, c, d)
        constant = builder.load(builder.gep(constants, [_COUNT(0), _COUNT(step)]))
        # ``mixed`` comes last, because it alone has to wait for the step before.
        total = builder.add(builder.add(a, builder.add(words[word], constant)), mixed)
        rotated = _rotated(builder, total, _SHIFTS[step // 16][step % 4])
        a, b, c, d = d, builder.add(b, rotated), b, c
    return [builder.add(before, after) for before, after in zip(registers, (a, b, c, d), strict=True)]


def _mixed(builder: ir.IRBuilder, step: int, b: Any, c: Any, d: Any) -> tuple[Any, int]:
    """Give the function of a step (F, G, H and I of RFC 1321) and the number of the word that it takes."""
    match step // 16:
        case 0:
            return builder.xor(d, builder.and_(b, builder.xor(c, d))), step
        case 1:
            return builder.xor(c, builder.and_(d, builder.xor(b, c))), (5 * step + 1) % _WORDS
        case 2:
            return builder.xor(b, builder.xor(c, d)), (3 * step + 5) % _WORDS
        case _:
            return builder.xor(c, builder.or_(b, builder.not_(d))), (7 * step) % _WORDS


def _rotated(builder: ir.IRBuilder, value: Any, places: int) -> Any:
    return builder.or_(builder.shl(value, _all_lanes(places)), builder.lshr(value, _all_lanes(32 - places)))


def _transposed(builder: ir.IRBuilder, rows: list[Any]) -> list[Any]:
    """Turn one vector of sixteen words for each message into one vector of sixteen messages for each word.

    In four rounds: each pair of rows that are 1, 2, 4, then 8 apart exchanges the squares of that side which lie off
    the diagonal.
    """
    for apart in (1, 2, 4, 8):
        upper = [column if not column & apart else _WORDS + column - apart for column in range(_WORDS)]
        lower = [column + apart if not column & apart else _WORDS + column for column in range(_WORDS)]
        turned = list(rows)
        for row in range(LANES):
            if not row & apart:
                pair = rows[row], rows[row + apart]
                turned[row] = builder.shuffle_vector(*pair, _vector(upper))
                turned[row + apart] = builder.shuffle_vector(*pair, _vector(lower))
        rows = turned
    return rows


def _all_lanes(value: int) -> ir.Constant:
    return _vector([value] * LANES)


def _vector(values: list[int]) -> ir.Constant:
    return ir.Constant(_VECTOR, [_WORD(value) for value in values])
