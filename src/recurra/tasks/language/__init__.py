"""Language modelling: a text read token by token, predicted, scored and gone on from."""

from recurra.tasks.language.evaluation import Evaluation
from recurra.tasks.language.language_model import LanguageModel
from recurra.tasks.language.settings import LanguageSettings
from recurra.tasks.language.surprise import ScoredToken

__all__ = ["Evaluation", "LanguageModel", "LanguageSettings", "ScoredToken"]
