"""recurra.accelerate: the same results from the same objects, everything around them as before; and back again."""

import copy
import io
import pickle
import re
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils.rnn import pack_padded_sequence

import recurra
from agreement import assert_agree, gradients
from recurra.errors import BackendError, ParameterError

KINDS = ("RNN tanh", "RNN relu", "LSTM", "LSTM projected", "GRU")
BACKENDS = ("auto", "reference", "aten")


def torch_module(kind: str, *sizes: int, **options: Any) -> nn.RNNBase:
    name, *option = kind.split()
    if name == "RNN":
        options["nonlinearity"] = option[0]
    elif option:
        options["proj_size"] = 2
    return getattr(nn, name)(*sizes, **options)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 5, num_layers=2, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)[0]


class Tagger(nn.Module):
    """Recurrent modules at several depths, one of them under two names, two with the same weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Linear(3, 4)
        self.encoder = Encoder()
        self.again = nn.RNN(5, 5, bias=False)
        self.stack = nn.ModuleList([nn.GRU(10, 5), self.again])
        self.last = nn.RNN(5, 5, bias=False)
        self.last.weight_hh_l0 = self.again.weight_hh_l0
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        x = self.encoder(self.embedding(x))
        for layer in (*self.stack, self.again, self.last):
            x, _ = layer(x)
        return x


def steps() -> Tensor:
    return torch.randn(6, 2, 3, dtype=torch.float64)


@pytest.mark.parametrize(("kind", "backend"), list(product(KINDS, BACKENDS)))
@settings(max_examples=20)
@given(
    layout=st.sampled_from(("padded", "batch_first", "unbatched", "packed", "packed batch_first")),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    num_layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    bias=st.booleans(),
    with_state=st.booleans(),
)
def test_results_and_gradients_are_as_before(
    kind: str,
    backend: str,
    layout: str,
    lengths: list[int],
    num_layers: int,
    bidirectional: bool,
    bias: bool,
    with_state: bool,
) -> None:
    batch_first = "batch_first" in layout
    options = {"num_layers": num_layers, "bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}
    module = torch_module(kind, 3, 5, **options, dtype=torch.float64)
    batch = () if layout == "unbatched" else (len(lengths),)
    times = (max(lengths),)
    x = torch.randn(*(batch + times if batch_first else times + batch), 3, dtype=torch.float64).requires_grad_()
    wanted = [x, *module.parameters()]
    inputs = (pack_padded_sequence(x, torch.tensor(lengths), batch_first, False) if "packed" in layout else x,)
    if with_state:
        count = num_layers * (1 + bidirectional)
        sizes = (module.proj_size or 5, 5) if isinstance(module, nn.LSTM) else (5,)
        state = tuple(torch.randn(count, *batch, size, dtype=torch.float64).requires_grad_() for size in sizes)
        wanted += state
        inputs += (state if len(state) == 2 else state[0],)
    before = module(*inputs)
    recurra.accelerate(module, backend=backend)
    after = module(*inputs)
    assert_agree(after, before)
    assert_agree(gradients(after, wanted), gradients(before, wanted))
    recurra.restore(module)
    assert_agree(module(*inputs), before)


def test_a_model_keeps_its_objects_and_its_state_dict() -> None:
    model, x = Tagger(), steps()
    modules, parameters, keys = list(model.named_modules()), list(model.named_parameters()), list(model.state_dict())
    attributes = [vars(module).keys() | set() for _, module in modules]
    before = model(x)
    state = torch.get_rng_state()
    recurra.accelerate(model)
    assert torch.equal(torch.get_rng_state(), state)
    for _ in range(2):
        assert_agree(model(x), before)
        assert all(a is b for (_, a), (_, b) in zip(model.named_modules(), modules, strict=True))
        assert all(a is b for (_, a), (_, b) in zip(model.named_parameters(), parameters, strict=True))
        assert list(model.state_dict()) == keys
        assert model.last.weight_hh_l0 is model.again.weight_hh_l0
        recurra.restore(model)
    assert type(model.encoder.lstm) is nn.LSTM
    assert type(model.last) is nn.RNN
    assert [vars(module).keys() for _, module in modules] == attributes


def test_accelerated_modules_are_torch_s_and_ours() -> None:
    model = Tagger()
    weights = [list(map(id, layer)) for layer in model.encoder.lstm.all_weights]
    recurra.accelerate(model)
    lstm = model.encoder.lstm
    assert isinstance(lstm, nn.LSTM)
    assert isinstance(lstm, recurra.LSTM)
    assert isinstance(model.stack[0], recurra.GRU)
    assert isinstance(model.last, recurra.RNN)
    assert (lstm.mode, lstm.output_size, repr(lstm)) == (
        "LSTM",
        10,
        "AcceleratedLSTM(4, 5, num_layers=2, bidirectional=True)",
    )
    assert [list(map(id, layer)) for layer in lstm.all_weights] == weights
    lstm.flatten_parameters()
    x = torch.randn(6, 2, 4, dtype=torch.float64)
    assert_agree(lstm(x, lengths=[6, 3])[0][:3, 1], lstm(x[:3])[0][:, 1])


def test_our_names_and_torch_s_do_not_collide() -> None:
    shared = {"__init__", "forward", "reset_parameters", "flatten_parameters", "extra_repr"}
    ours = {name for name in vars(recurra.Recurrent) if callable(getattr(recurra.Recurrent, name))}
    assert ours & vars(nn.RNNBase).keys() <= shared


def test_the_report() -> None:
    report = recurra.accelerate(Tagger())
    assert str(report) == repr(report)
    assert str(report).splitlines() == [
        "encoder.lstm: torch.nn.LSTM(4, 5, num_layers=2, bidirectional=True) -> recurra.LSTM",
        "again: torch.nn.RNN(5, 5, bias=False) -> recurra.RNN",
        "stack.0: torch.nn.GRU(10, 5) -> recurra.GRU",
        "last: torch.nn.RNN(5, 5, bias=False) -> recurra.RNN",
    ]
    assert report.replaced == ("encoder.lstm", "again", "stack.0", "last")
    assert report.left_alone == ()
    assert repr(recurra.accelerate(nn.Linear(2, 2))) == "no recurrent module of torch.nn found"


def test_a_module_by_itself() -> None:
    lstm = nn.LSTM(3, 5)
    assert str(recurra.accelerate(lstm)) == "(the model itself): torch.nn.LSTM(3, 5) -> recurra.LSTM"
    assert isinstance(lstm, recurra.LSTM)
    assert recurra.restore(lstm) == ("",)
    assert type(lstm) is nn.LSTM


def test_twice_is_once() -> None:
    model = nn.Sequential(nn.GRU(3, 5))
    recurra.accelerate(model)
    report = recurra.accelerate(model, backend="reference")
    assert report.replaced == ()
    assert re.fullmatch(r"0: .*AcceleratedGRU .*accelerated already", str(report))
    assert repr(model[0]) == "AcceleratedGRU(3, 5, backend='reference')"
    assert recurra.restore(model) == ("0",)
    assert recurra.restore(model) == ()


def test_torch_s_forward_runs_where_its_kernel_would(monkeypatch: pytest.MonkeyPatch) -> None:
    def runs_torch_s(dtype: torch.dtype, backend: str) -> bool:
        lstm = nn.LSTM(3, 5, dtype=dtype)
        recurra.accelerate(lstm, backend=backend)
        return lstm(torch.randn(4, 2, 3, dtype=dtype)) is mark

    mark = object()
    monkeypatch.setattr(nn.LSTM, "forward", lambda *_: mark)
    assert not runs_torch_s(torch.float32, "auto")
    assert runs_torch_s(torch.bfloat16, "auto")
    assert runs_torch_s(torch.float32, "aten")
    assert not runs_torch_s(torch.bfloat16, "reference")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_dropout_draws_the_same_numbers(kind: str, batch_first: bool) -> None:
    options = {"num_layers": 3, "bidirectional": True, "dropout": 0.5, "batch_first": batch_first}
    module = torch_module(kind, 3, 5, **options, dtype=torch.float64)
    x = steps()
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        found += [module(x), module(x)]
        recurra.accelerate(module)
    assert_agree(found[2:], found[:2])
    assert not torch.allclose(found[0][0], found[1][0])
    module.eval()
    assert_agree(module(x), module(x))


def test_training_goes_on_with_the_same_optimizer() -> None:
    models, x = [Tagger()], steps()
    models += [copy.deepcopy(models[0])]
    models[0].encoder.lstm.bias_hh_l0.requires_grad_(False)
    models[1].encoder.lstm.bias_hh_l0.requires_grad_(False)
    optimizers = [torch.optim.Adam(model.parameters(), lr=0.1) for model in models]
    for turn in range(4):
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
        (recurra.accelerate, recurra.restore)[turn % 2](models[0])
    # Adam's first steps enlarge rounding: it divides by gradients near zero.
    torch.testing.assert_close(models[0].state_dict(), models[1].state_dict(), rtol=1e-6, atol=1e-6)


def test_mode_hooks_and_attributes_stay() -> None:
    gru: Any = nn.GRU(3, 5).eval()
    calls: list[str] = []
    gru.register_forward_hook(lambda *_: calls.append("after"))
    gru.register_forward_pre_hook(lambda *_: calls.append("before"))
    gru.note = "mine"
    recurra.accelerate(gru)
    assert not gru.training
    gru(torch.randn(4, 2, 3))
    assert (calls, gru.note) == (["before", "after"], "mine")
    gru.train()
    recurra.restore(gru)
    assert gru.training
    gru(torch.randn(4, 2, 3))
    assert (calls, gru.note) == (["before", "after"] * 2, "mine")


def test_options_changed_later_take_effect() -> None:
    lstm, x = nn.LSTM(3, 5, num_layers=2, dropout=0.9), torch.randn(4, 2, 3)
    recurra.accelerate(lstm)
    lstm.dropout, lstm.batch_first = 0.0, True
    without = lstm(x)
    recurra.restore(lstm)
    assert_agree(lstm(x), without)


def deep_copied(model: Any) -> Any:
    return copy.deepcopy(model)


def pickled(model: Any) -> Any:
    return pickle.loads(pickle.dumps(model))


def saved(model: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


def loaded(model: Any) -> Any:
    model.load_state_dict({name: tensor * 2 for name, tensor in model.state_dict().items()})
    return model


def assigned(model: Any) -> Any:
    model.load_state_dict({name: tensor * 2 for name, tensor in model.state_dict().items()}, assign=True)
    return model


def converted(model: Any) -> Any:
    return model.float().double()


def emptied_and_assigned(model: Any) -> Any:
    state = model.state_dict()
    model.to("meta").load_state_dict(state, assign=True)
    return model


@pytest.mark.parametrize(
    "through",
    [deep_copied, pickled, saved, loaded, assigned, converted, emptied_and_assigned],
    ids=lambda through: through.__name__,
)
def test_restored_after_anything_has_the_current_weights(through: Callable[[Any], Any]) -> None:
    model, plain, x = Tagger(), Tagger(), steps()
    recurra.accelerate(model)
    model = through(model)
    assert isinstance(model.encoder.lstm, recurra.LSTM)
    plain.load_state_dict(model.state_dict())
    assert_agree(model(x), plain(x))
    with torch.no_grad():
        for changed in (model, plain):
            changed.get_parameter("encoder.lstm.weight_hh_l1").mul_(2)
    assert_agree(model(x), plain(x))
    assert len(recurra.restore(model)) == 4
    assert_agree(model(x), plain(x))


class Odd(nn.LSTM):
    """A subclass."""


class OddCell(nn.GRUCell):
    """A subclass."""


CELLS = [
    (nn.LSTMCell(3, 5), recurra.LSTMCell),
    (nn.GRUCell(3, 5, bias=False), recurra.GRUCell),
    (nn.RNNCell(3, 5, nonlinearity="relu"), recurra.RNNCell),
]


@pytest.mark.parametrize(("cell", "ours"), CELLS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("backend", ["auto", "reference", "aten"])
@pytest.mark.parametrize("batch", [(), (2,), (0,)], ids=str)
def test_cells(cell: nn.Module, ours: type[nn.Module], backend: str, batch: tuple[int, ...]) -> None:
    model = copy.deepcopy(nn.Sequential(cell.double()))
    theirs, names = type(model[0]), set(vars(model[0]))
    x = torch.randn(*batch, 3, dtype=torch.float64, requires_grad=True)
    h = torch.randn(*batch, 5, dtype=torch.float64, requires_grad=True)
    hx = (h, h + 1) if ours is recurra.LSTMCell else h
    wanted = [x, h, *model.parameters()]
    before = [model[0](x), model[0](x, hx)]
    expected = gradients(before, wanted)
    report = recurra.accelerate(model, backend=backend)
    assert str(report).endswith(f"-> recurra.{theirs.__name__}")
    assert isinstance(model[0], ours)
    assert isinstance(model[0], theirs)
    model = pickle.loads(pickle.dumps(model))
    wanted[2:] = model.parameters()
    after = [model[0](x), model[0](x, hx)]
    assert_agree(after, before)
    assert_agree(gradients(after, wanted), expected)
    assert recurra.restore(model) == ("0",)
    assert type(model[0]) is theirs
    assert set(vars(model[0])) == names


def test_cells_take_a_recurrent_mask() -> None:
    ours, model = recurra.GRUCell(3, 5), nn.Sequential(nn.GRUCell(3, 5))
    ours.load_state_dict(model[0].state_dict())
    recurra.accelerate(model)
    x, h, mask = torch.randn(2, 3), torch.randn(2, 5), torch.randn(2, 5)
    assert_agree(model[0](x, h, recurrent_mask=mask), ours(x, h, recurrent_mask=mask))


def with_attribute(name: str, value: Any) -> nn.GRU:
    module = nn.GRU(3, 5)
    module.__dict__[name] = value
    return module


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Odd(3, 5), r"test_accelerate\.Odd .*subclass"),
        (lambda: OddCell(3, 5), r"test_accelerate\.OddCell .*subclass"),
        (lambda: torch.jit.script(nn.GRUCell(3, 5)), r"scripted GRUCell .*torch\.jit"),
        (
            lambda: parametrizations.weight_norm(nn.GRU(3, 5), "weight_hh_l0"),
            r"torch\.nn\.utils\.parametrize\.ParametrizedGRU .*parametrized.* accelerate first",
        ),
        (
            lambda: with_attribute("forward", nn.GRU(3, 5).forward),
            r"torch\.nn\.GRU\(3, 5\) .*forward of its own",
        ),
        (
            lambda: with_attribute("backend", "mine"),
            r"torch\.nn\.GRU\(3, 5\) .*attribute .*'backend'",
        ),
        (lambda: torch.jit.script(nn.LSTM(3, 5)), r"LSTM .*torch\.jit"),
        (
            lambda: torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.LSTM(3, 5)), {nn.LSTM})[0],
            r"torch\.ao\.nn\.quantized\.dynamic\.modules\.rnn\.LSTM .*quantized",
        ),
    ],
)
def test_left_alone(make: Callable[[], nn.Module], reason: str) -> None:
    model = nn.Sequential(make())
    kind = type(model[0])
    report = recurra.accelerate(model)
    assert re.match(rf"0: .*{reason}", str(report))
    assert report.left_alone == ("0",)
    assert type(model[0]) is kind
    assert recurra.restore(model) == ()


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_a_scripted_model_is_restored_first() -> None:
    model, cell = nn.Sequential(nn.LSTM(3, 5)), nn.GRUCell(3, 5)
    for module in (model, cell):
        recurra.accelerate(module)
    for module in (model, cell, recurra.LSTM(3, 5), recurra.GRUCell(3, 5)):
        with pytest.raises(ParameterError, match=r"torch\.export.* recurra\.restore\(model\)"):
            torch.jit.script(module)
    recurra.restore(model)
    x = steps().float()
    assert_agree(torch.jit.script(model)(x), model(x))


def test_pruned_weights() -> None:
    lstm, x = nn.LSTM(3, 5, dtype=torch.float64), steps()
    prune.l1_unstructured(lstm, "weight_hh_l0", 0.5)
    before = lstm(x)
    wanted = list(lstm.parameters())
    expected = gradients(before, wanted)
    assert recurra.accelerate(lstm).replaced
    after = lstm(x)
    assert_agree(after, before)
    assert_agree(gradients(after, wanted), expected)


def test_parametrized_after_accelerating() -> None:
    model, x = nn.Sequential(nn.LSTM(3, 5, dtype=torch.float64), nn.Identity(), nn.GRU(5, 5)), steps()
    recurra.accelerate(model)
    parametrizations.orthogonal(model[0], "weight_hh_l0")
    after = model[0](x)
    with pytest.raises(ParameterError, match=r"what made '0' a ParametrizedAcceleratedLSTM, such as a parametrization"):
        recurra.restore(model)
    assert isinstance(model[2], recurra.GRU)
    parametrize.remove_parametrizations(model[0], "weight_hh_l0")
    assert recurra.restore(model) == ("0", "2")
    assert_agree(model[0](x), after)


def test_functional_call() -> None:
    encoder, x = Encoder().double(), torch.randn(6, 2, 4, dtype=torch.float64)
    doubled = {name: 2 * parameter for name, parameter in encoder.named_parameters()}
    before = torch.func.functional_call(encoder, doubled, x)
    recurra.accelerate(encoder)
    assert_agree(torch.func.functional_call(encoder, doubled, x), before)
    recurra.restore(encoder)
    assert_agree(torch.func.functional_call(encoder, doubled, x), before)


# torch.compile looks at .grad of what is not a leaf, as it does without Recurra.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_torch_compile_does_not_trace_into_it() -> None:
    torch.compiler.reset()
    encoder, x = Encoder(), torch.randn(6, 2, 4)  # in float32, where torch.compile fails on a traced torch.lstm
    before, parameters = encoder(x), list(encoder.parameters())
    expected = gradients(before, parameters)
    compiled = torch.compile(encoder, backend="aot_eager")
    assert_agree(compiled(x), before)
    recurra.accelerate(encoder)
    after = compiled(x)
    assert_agree(after, before)
    assert_agree(gradients(after, parameters), expected)


@pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning")  # so it does for torch's own
def test_exported_graphs_are_torch_s() -> None:
    model, x = nn.Sequential(nn.LSTM(3, 5, num_layers=2, bidirectional=True)).eval(), torch.randn(4, 2, 3)
    graphs = []
    for _ in range(2):
        exported = torch.export.export(model, (x,))
        graphs.append([str(node.target) for node in exported.graph.nodes])
        recurra.accelerate(model)
    assert graphs[0] == graphs[1]
    assert "aten.lstm.input" in graphs[1]


def test_refusals() -> None:
    for function in (recurra.accelerate, recurra.restore):
        with pytest.raises(ParameterError, match=r"model: expected a torch\.nn\.Module, got 'model'"):
            function("model")  # pyright: ignore[reportArgumentType]
    lstm = nn.LSTM(3, 5)
    with pytest.raises(ParameterError, match="backend: expected one of auto"):
        recurra.accelerate(lstm, backend="fast")
    assert type(lstm) is nn.LSTM
    recurra.accelerate(lstm.bfloat16(), backend="native")
    with pytest.raises(BackendError, match="'native' cannot serve"):
        lstm(torch.randn(4, 2, 3, dtype=torch.bfloat16))
