//! A policy's memory between calls: any serde value, as JSON in the state blob.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Refusal;

/// Reads the state that this policy returned last time; the default on the first call.
///
/// # Errors
/// An internal refusal where the bytes are not a state of this policy.
pub fn load<S: DeserializeOwned + Default>(bytes: &[u8]) -> Result<S, Refusal> {
    if bytes.is_empty() {
        return Ok(S::default());
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Refusal::Internal(format!("state cannot be read: {error}")))
}

/// Writes the state to return.
///
/// # Errors
/// An internal refusal where the value has no JSON form.
pub fn save<S: Serialize>(state: &S) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(state)
        .map_err(|error| Refusal::Internal(format!("state cannot be written: {error}")))
}
