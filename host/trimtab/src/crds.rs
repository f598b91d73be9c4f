//! Custom resources' definitions, as they are installed.

use anyhow::Result;

use crate::output::Output;

/// All of them in one stream of YAML documents.
pub(crate) fn print() -> Result<Output> {
    let mut text = String::new();
    for definition in trimtab_cluster::crd::definitions() {
        text += "---\n";
        text += &serde_saphyr::to_string(&definition)?;
    }
    Ok(Output::answer(text))
}
