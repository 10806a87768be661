"""One file per venue; the file's name is its registration. Each exposes `VENUE`, see rekt.venue.Venue."""
