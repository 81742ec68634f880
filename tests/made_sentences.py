"""Small sentences whose tags follow from words and spelling."""

import random

NAMES = ["Ann", "Bob", "Cyd", "Dan", "Eve", "Flo"]
VERBS = ["sees", "greets", "calls"]


def sentences(count: int, seed: int = 0, entities: bool = True) -> list[list[tuple[str, str]]]:
    """Such as "Ann Bob sees Cyd today": first and last names are persons; or parts of speech."""
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        one, other, last = chance.sample(NAMES, 3)
        made = [(one, "B-PER"), (other, "I-PER"), (chance.choice(VERBS), "O"), (last, "B-PER")]
        if chance.random() < 0.5:
            made.append(("today", "O"))
        if not entities:
            made = [(word, "NAME" if word in NAMES else "VERB" if word in VERBS else "ADV") for word, _ in made]
        found.append(made)
    return found


def columns(given: list[list[tuple[str, str]]]) -> str:
    """As CoNLL columns."""
    return "\n".join("".join(f"{word} {tag}\n" for word, tag in sentence) for sentence in given)


def conllu(given: list[list[tuple[str, str]]]) -> str:
    """As CoNLL-U."""
    lines = []
    for sentence in given:
        lines.append("# text = " + " ".join(word for word, _ in sentence))
        lines += [f"{n}\t{word}\t_\t{tag}\t_\t_\t0\troot\t_\t_" for n, (word, tag) in enumerate(sentence, start=1)]
        lines.append("")
    return "\n".join(lines) + "\n"
