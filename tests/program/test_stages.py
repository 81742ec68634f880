"""Models that are cut into stages at each backward direction: what a stage reads, changes and passes on."""

from itertools import pairwise

import numpy as np
import pytest
from torch import Tensor, nn

import recurra
from recurra.errors import ParameterError, StreamError
from recurra.program import Builder, Value, compile_program, compile_stages


def backward_copy(builder: Builder, value: Value) -> Value:
    """The value, by a program that runs backward."""
    own = Builder(value.size)
    return builder.run_backward(value, own.finish(own.input))


def test_a_model_that_only_reads_forward_is_one_stage() -> None:
    layer = recurra.LSTM(3, 4)
    (stage,) = compile_stages(layer)
    assert stage.backward is None
    assert stage.forward.digest() == compile_program(layer).digest()


def test_each_bidirectional_layer_ends_a_stage() -> None:
    stages = compile_stages(nn.Sequential(nn.Linear(5, 3), recurra.LSTM(3, 4, 2, bidirectional=True)))
    assert [stage.backward is not None for stage in stages] == [True, True, False]
    for stage, after in pairwise(stages):
        assert stage.backward is not None
        assert after.forward.input_size == stage.passed_on + stage.backward.output_size
        assert stage.first + stage.backward.input_size <= stage.forward.output_size
    assert [[part.name for part in stage.forward.parts] for stage in stages] == [
        [],
        ["1.h_l0", "1.c_l0"],
        ["1.h_l1", "1.c_l1"],
    ]
    assert (stages[0].forward.input_size, stages[-1].forward.output_size) == (5, 8)


def test_a_stage_passes_on_what_a_later_one_reads_and_no_more() -> None:
    builder = Builder(4, looks_ahead=True)
    wide, narrow = builder.apply("tanh", builder.input), builder.dense(builder.input, np.ones((2, 4), np.float32), None)
    first = backward_copy(builder, narrow)
    second = backward_copy(builder, builder.apply("add", first, narrow))
    whole = builder.frame(6)
    builder.emit("copy", wide, whole.part(0, 4))
    builder.emit("copy", second, whole.part(4, 2))
    stages = builder.finish_stages(whole)
    assert [(stage.passed_on, stage.first, stage.forward.output_size) for stage in stages] == [
        (6, 4, 6),  # the wide one and the narrow one
        (4, 4, 6),  # the wide one; the sum is read backward alone
        (0, 0, 6),
    ]


def test_a_state_may_be_read_after_the_stage_that_changes_it() -> None:
    builder = Builder(2, looks_ahead=True)
    first, sums = builder.state("first", 1), builder.state("sums", 2)
    builder.emit("add", builder.input, sums, second=sums)
    behind = backward_copy(builder, builder.input)
    builder.emit("copy", builder.input.part(0, 1), first)
    stages = builder.finish_stages(builder.apply("add", builder.apply("add", behind, sums), builder.input))
    assert [[part.name for part in stage.forward.parts] for stage in stages] == [["sums"], ["first"]]
    assert [stage.forward.parts[0].offset for stage in stages] == [0, 0]


def test_a_state_of_both_sides_is_refused() -> None:
    for change_first in (True, False):
        builder = Builder(2, looks_ahead=True)
        sums = builder.state("sums", 2)
        if change_first:
            builder.emit("add", builder.input, sums, second=sums)
        else:
            builder.apply("tanh", sums)
        behind = backward_copy(builder, builder.input)
        builder.emit("add", builder.input, sums, second=sums)
        with pytest.raises(StreamError, match=r"a state (changes both before and|is read before)"):
            builder.finish_stages(behind)


def test_ids_are_read_by_an_embedding_before_any_backward_direction() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Embedding(7, 4), nn.Embedding(7, 4)
            self.both = nn.GRU(4, 2, bidirectional=True)

        def forward(self, ids: Tensor) -> Tensor:
            y, _ = self.both(self.one(ids))
            return y + self.other(ids)

    with pytest.raises(StreamError, match="expected embeddings to read ids before"):
        compile_stages(Twice())


def test_refused_models() -> None:
    with pytest.raises(ParameterError, match="model: expected a"):
        compile_stages("runs/a")  # type: ignore[arg-type]
    with pytest.raises(StreamError, match="input_size"):
        compile_stages(nn.Tanh())
    with pytest.raises(StreamError, match="dim: expected -1"):
        compile_stages(nn.Sequential(nn.Softmax(0), nn.LSTM(3, 4, bidirectional=True)))
