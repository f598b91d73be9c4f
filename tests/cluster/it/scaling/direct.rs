//! Workloads that we scale ourselves.
