from dataclasses import replace

from recurra.task import Evaluation, Objective


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
    assert "Try another spectral_radius" in replace(objective, solve=lambda: 0.0).beaten_by(0.2)


def test_a_loss_is_shown_as_it_is() -> None:
    objective = Objective(never, never, baselines={"mean": 1.5})  # type: ignore[arg-type]
    assert "worse than mean 1.5000 (loss 2.0000 on the validation data)" in objective.beaten_by(2.0)


def evaluation(model: dict[str, float], copy: dict[str, float]) -> Evaluation:
    formats = dict.fromkeys(model, ".2f")
    return Evaluation("data", {"model": model, "copy": copy}, "BLEU", formats, frozenset({"errors"}))


def test_of_scores_shown_alike_the_others_decide() -> None:
    beaten = evaluation({"BLEU": 0.004, "chrF2": 0.82}, {"BLEU": 0.0, "chrF2": 20.76})
    assert beaten.is_beaten == ["copy"]
    assert "copy (BLEU 0.00, chrF2 20.76) (BLEU 0.00, chrF2 0.82)" in next(beaten.text())
    assert evaluation({"BLEU": 0.0, "errors": 3.0}, {"BLEU": 0.0, "errors": 2.0}).is_beaten == ["copy"]
    assert not evaluation({"BLEU": 0.0, "errors": 2.0}, {"BLEU": 0.0, "errors": 3.0}).is_beaten
    assert not evaluation({"BLEU": 1.0, "chrF2": 9.0}, {"BLEU": 1.0, "chrF2": 9.0}).is_beaten
    assert not evaluation({"BLEU": 1.0}, {"BLEU": 0.5}).is_beaten
    assert not evaluation({"BLEU": 1.0}, {}).is_beaten


def test_what_has_no_validation_loss_is_compared_after_training() -> None:
    beaten = evaluation({"BLEU": 1.0, "chrF2": 30.0}, {"BLEU": 2.0, "chrF2": 20.0})
    objective = Objective(never, never, compare=lambda: beaten)  # type: ignore[arg-type]
    assert "worse than copy (BLEU 2.00) (BLEU 1.00 on the validation data)" in objective.beaten_by(0.1)
