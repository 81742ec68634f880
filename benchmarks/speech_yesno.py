"""yesno: 60 recordings of eight words, yes or no in Hebrew, by one speaker: trained on 30, tested on 30.

The texts are the names of the files. Figures: word errors of the 240 words, and the seconds of training.
"""

import argparse
import os
from pathlib import Path

from recurra.tasks.speech import SpeechRecognizer

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "yesno"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--max-steps", type=int, default=1500)
    parser.add_argument("--output", choices=["ctc", "transducer"], default="ctc")
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds yesno\n")
    paths = sorted(DATA.glob("*.flac"))
    texts = [" ".join("yes" if digit == "1" else "no" for digit in path.stem.split("_")) for path in paths]
    print(f"{'seed':>6}  {'WER':>10}  {'training s':>10}")
    for seed in options.seeds:
        recognizer = SpeechRecognizer(
            output=options.output,
            units="words",
            sample_rate=8000,
            bins=40,
            subsampling=8,
            hidden_size=64,
            num_layers=2,
            layer_norm=False,  # two recordings that train have the noise of four that test
            batch_seconds=15.0,
            learning_rate=0.004,
            max_steps=options.max_steps,
            seed=seed,
        )
        recognizer.fit(paths[:30], texts[:30])
        assert recognizer.training_result is not None
        scores = recognizer.evaluate(paths[30:], texts[30:]).scores
        print(f"{seed:>6}  {100 * scores['WER']:10.2f}  {recognizer.training_result.seconds:10.1f}", flush=True)


if __name__ == "__main__":
    main()
