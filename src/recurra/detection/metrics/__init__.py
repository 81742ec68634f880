"""How good scores and alarms are beside labels: by points, events, ranges, windows and thresholds."""
