//! Supply and demand from a queueing model that learns from what it sees.
