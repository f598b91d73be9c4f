//! Nodes and GPUs that are lost, or never were.
