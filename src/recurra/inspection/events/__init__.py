"""A page to look through the events of series: what came beside what was expected, and how unlikely it was."""

from recurra.inspection.events.page import Curve, EventPage, Explanation, Overview, ShownEvent, Similar, event_page

__all__ = ["Curve", "EventPage", "Explanation", "Overview", "ShownEvent", "Similar", "event_page"]
