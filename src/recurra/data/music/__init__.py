"""Music as notes on a grid: files, piano rolls, statistics, batches. MIDI and `.mat` files need the extra `music`."""
