//! Kubernetes: watches into one in-memory index, and what is written back.
