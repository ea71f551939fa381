//! Which processes live, by pid and start time. Reads `/proc`; signals only what it has verified.
