"""How a quantized graph is cut into blocks."""

from __future__ import annotations

from calibration.blocks import QUANTIZERS, Block, find_blocks
from calibration.quantize import quantize_model
from calibration.quantize_rules import EVERYWHERE, Placement, compile_exclude
from tests.calibration.tiny_source import make_source

SOURCE = make_source()


def blocks_of(placement: Placement = EVERYWHERE) -> list[Block]:
    model, plan = quantize_model(SOURCE, placement)
    return find_blocks(model, plan.convolutions)


def test_every_convolution_is_in_one_block_and_the_decoder_in_none() -> None:
    model, _ = quantize_model(SOURCE, EVERYWHERE)
    nodes = [node.output[0] for block in blocks_of() for node in block.convolutions()]

    assert nodes == [node.output[0] for node in model.graph.node if node.op_type == "Conv"]
    assert not any(node.op_type == "Sigmoid" for block in blocks_of() for node in block.nodes)


def test_a_block_reads_only_what_earlier_blocks_gave() -> None:
    known = {"frames"}
    for block in blocks_of():
        assert known.issuperset(block.inputs), block.name
        known.update(block.outputs)
    assert "heat" in blocks_of()[-1].outputs


def test_borders_lie_before_quantization_and_readers_quantize_for_themselves() -> None:
    for block in blocks_of():
        borders = {*block.inputs, *block.outputs}
        assert not any(name.endswith(("/quantized", "/dequantized")) for name in borders)
        made = {name for node in block.nodes for name in node.output}
        for node in block.nodes:
            read = [name for name in node.input if name.endswith("/dequantized")]
            assert made.issuperset(read), node.name
        names = [node.output[0] for node in block.nodes]
        assert len(set(names)) == len(names)


def test_a_block_without_int8_belongs_to_the_one_before() -> None:
    before, after = blocks_of(), blocks_of(Placement(compile_exclude("^join")))
    joining = next(b for b in before if any(n.output[0] == "join.0/Conv" for n in b.nodes))

    assert len(after) == len(before) - 1
    wider = next(b for b in after if any(n.output[0] == "join.0/Conv" for n in b.nodes))
    assert len(wider.convolutions()) > len(joining.convolutions())


def test_the_module_that_joins_branches_is_the_block() -> None:
    names = {
        node.output[0]: block.name
        for block in blocks_of()
        for node in block.nodes
        if node.op_type not in QUANTIZERS
    }

    assert names["join.0/Conv"] == names["join.1/Conv"] == names["join/Add"]
    assert names["block.sum/Add"] == names["block.1/Conv"]
