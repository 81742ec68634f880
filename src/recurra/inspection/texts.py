"""Sentences of the page, as templates: each is whole, and its fields are filled in."""

__all__ = [
    "BEATEN",
    "NOTHING_FOUND",
    "NO_FIT",
    "NO_GRADIENT",
    "SEE_ABOVE",
    "SUBSET",
    "TRY_TO_BEAT",
    "UNSEEN",
    "VALIDATION",
]

BEATEN = "The model is worse than {baseline} by {score}."
TRY_TO_BEAT = (
    "Train for more steps (max_steps), on more data, or with another learning rate. Until then {baseline} is the "
    "better choice, and what this page says of the network is of one that has learned little."
)
VALIDATION = "The best validation of the run was {score}."
SUBSET = (
    "These scores are of all the data, as the command evaluate computes them. The sections look at the examples that "
    "the next table names."
)
NOTHING_FOUND = "Nothing unusual was found in the network."
SEE_ABOVE = "Nothing else stands out. What was said first, of the scores, comes before everything below."
UNSEEN = "This was not seen into: {reason}"
NO_GRADIENT = "no gradient to fit"
NO_FIT = "no horizon can be fitted (R² {r_squared:.2g})"
