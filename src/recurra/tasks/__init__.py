"""The tasks, a folder each; they do not import each other."""

from recurra.task.registry import load, register_tasks

__all__ = ["TASKS", "load"]

TASKS = {
    "anomaly": "recurra.tasks.anomaly.detector:AnomalyDetector",
    "caption": "recurra.tasks.caption.captioner:Captioner",
    "classify": "recurra.tasks.classify.classifier:Classifier",
    "draw": "recurra.tasks.draw.drawing_model:DrawingModel",
    "forecast": "recurra.tasks.forecast.forecaster:Forecaster",
    "language": "recurra.tasks.language.language_model:LanguageModel",
    "music": "recurra.tasks.music.music_model:MusicModel",
    "regress": "recurra.tasks.regress.regressor:Regressor",
    "sound": "recurra.tasks.sound.sound_classifier:SoundClassifier",
    "speech": "recurra.tasks.speech.recognizer:SpeechRecognizer",
    "tag": "recurra.tasks.tag.tagger:Tagger",
    "translate": "recurra.tasks.translate.translator:Translator",
    "video": "recurra.tasks.video.video_classifier:VideoClassifier",
}

register_tasks(TASKS)
