//! The policies that are shipped inside: components that the build made of `policies/`.

// `BUILTINS`: name and component of each, in the order of the build script's list.
include!(concat!(env!("OUT_DIR"), "/builtin.rs"));

/// The component of a shipped policy, e.g. `queueing-analyzer`.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static [u8]> {
    BUILTINS
        .iter()
        .find(|(builtin, _)| *builtin == name)
        .map(|(_, component)| *component)
}

/// Names of the shipped policies.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    BUILTINS.iter().map(|(name, _)| *name)
}
