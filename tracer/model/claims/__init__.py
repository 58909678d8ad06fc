"""Claims: what a trace shows, each with what it rests on and how certain it is."""
