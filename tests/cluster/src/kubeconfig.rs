//! Kubeconfig files of the control plane's users.

use std::path::Path;

use serde_json::json;

use crate::certificates::Pair;

/// Writes a kubeconfig: JSON, which YAML has in it.
pub(crate) fn write(
    path: &Path,
    server: &str,
    authority: &Path,
    client: &Pair,
) -> anyhow::Result<()> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {
            "server": server,
            "certificate-authority": authority,
        }}],
        "users": [{"name": "test", "user": {
            "client-certificate": client.certificate,
            "client-key": client.key,
        }}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    });
    fs_err::write(path, serde_json::to_string_pretty(&config)?)?;
    Ok(())
}
