//! The least-cost mix of replicas that meets every floor.
