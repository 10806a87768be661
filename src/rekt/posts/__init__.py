"""The hour's post: its words, its length by X's rules."""
