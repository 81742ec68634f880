from recurra.task import Objective


def never(_: object) -> None:
    raise AssertionError


def test_a_better_baseline_is_named_with_figures_and_what_to_try() -> None:
    objective = Objective(never, never, measure="accuracy", baselines={"guess": 0.25, "rule": 0.1})  # type: ignore[arg-type]
    assert objective.beaten_by(0.05) == ""
    assert objective.beaten_by(0.1) == ""
    said = objective.beaten_by(0.2)
    assert said.startswith(
        "The model is worse than rule 90.00 % (accuracy 80.00 % on the validation data). Try more steps"
    )
    assert "guess 75.00 % and rule 90.00 %" in objective.beaten_by(0.5)


def test_a_loss_is_shown_as_it_is() -> None:
    objective = Objective(never, never, baselines={"mean": 1.5})  # type: ignore[arg-type]
    assert "worse than mean 1.5000 (loss 2.0000 on the validation data)" in objective.beaten_by(2.0)
