//! Builds the guests that the tests call as components.

use std::path::Path;

fn main() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    trimtab_componentize::build_script::embed(
        &workspace,
        &["trimtab-hostile-guest"],
        &["tests/guests"],
    );
}
