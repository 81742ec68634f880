"""The recurrent transducer (Graves 2012): its loss."""

from recurra.models.transducer.joined import joined_transducer_loss
from recurra.models.transducer.loss import transducer_loss

__all__ = ["joined_transducer_loss", "transducer_loss"]
