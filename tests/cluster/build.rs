//! Builds the guest that pools are bound to to see what becomes of one that is broken.

use std::path::Path;

fn main() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    trimtab_componentize::build_script::embed(
        &workspace,
        &["trimtab-broken-guest"],
        &["tests/guests"],
    );
}
