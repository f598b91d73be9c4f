//! What the harness promises, on a control plane of its own.

mod control_plane;
