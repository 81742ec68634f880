"""Images, and files that list them with their captions."""
