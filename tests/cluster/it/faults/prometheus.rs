//! Prometheus gone, and back.
