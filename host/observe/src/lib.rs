//! Measurements of pools from Prometheus, in a constant number of queries a tick.
