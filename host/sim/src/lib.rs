//! A simulated fleet that serves request traces, with baselines to compare against.
