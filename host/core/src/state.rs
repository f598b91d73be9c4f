//! What policies returned to be handed back to them: opaque bytes, kept by the host.

use serde::{Deserialize, Serialize};
use trimtab_contract::Descriptor;

use crate::policies::Digest;

/// States kept in one place: the bound version's, its last good one's, the built-in's, and one for
/// a version that is just being swapped in.
const STATES_KEPT: usize = 4;

/// The states that policies left for one analyzer of a pool, or for one group of pools.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct States(Vec<State>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct State {
    /// Name of the policy that wrote it.
    policy: String,
    format: String,
    digest: Digest,
    saved_at_ms: u64,
    #[serde(with = "hexadecimal")]
    bytes: Vec<u8>,
}

impl States {
    /// The newest state that this policy can read: written by any version of it under the same
    /// format. Among equally new ones its own.
    pub(crate) fn latest(&self, descriptor: &Descriptor, digest: &Digest) -> Vec<u8> {
        self.0
            .iter()
            .filter(|state| state.is_of(descriptor))
            .max_by_key(|state| (state.saved_at_ms, state.digest == *digest))
            .map(|state| state.bytes.clone())
            .unwrap_or_default()
    }

    pub(crate) fn save(
        &mut self,
        descriptor: &Descriptor,
        digest: &Digest,
        bytes: Vec<u8>,
        now_ms: u64,
    ) {
        if let Some(state) = self
            .0
            .iter_mut()
            .find(|state| state.is_of(descriptor) && state.digest == *digest)
        {
            state.bytes = bytes;
            state.saved_at_ms = now_ms;
            return;
        }
        // A policy without a state leaves nothing, unless there is an older state to put aside.
        if bytes.is_empty() && !self.0.iter().any(|state| state.is_of(descriptor)) {
            return;
        }
        self.0
            .sort_by_key(|state| std::cmp::Reverse(state.saved_at_ms));
        self.0.truncate(STATES_KEPT - 1);
        self.0.push(State {
            policy: descriptor.name.clone(),
            format: descriptor.state_format.clone(),
            digest: digest.clone(),
            saved_at_ms: now_ms,
            bytes,
        });
    }
}

impl State {
    fn is_of(&self, descriptor: &Descriptor) -> bool {
        self.policy == descriptor.name && self.format == descriptor.state_format
    }
}

/// Bytes as text, two digits each: a list of numbers would be twice as long.
mod hexadecimal {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(name: &str, format: &str) -> Descriptor {
        Descriptor {
            name: name.into(),
            version: "1".into(),
            summary: String::new(),
            settings_schema: "{}".into(),
            state_format: format.into(),
        }
    }

    fn digest(name: &str) -> Digest {
        Digest(name.into())
    }

    #[test]
    fn a_new_version_takes_over_the_state_of_the_same_format() {
        let mut states = States::default();
        states.save(&descriptor("a", "1"), &digest("old"), vec![7], 1);
        assert_eq!(states.latest(&descriptor("a", "1"), &digest("new")), [7]);
        assert!(
            states
                .latest(&descriptor("a", "2"), &digest("new"))
                .is_empty()
        );
        assert!(
            states
                .latest(&descriptor("b", "1"), &digest("new"))
                .is_empty()
        );
    }

    #[test]
    fn two_versions_at_work_together_keep_their_own() {
        let mut states = States::default();
        let policy = descriptor("a", "1");
        states.save(&policy, &digest("x"), vec![1], 5);
        states.save(&policy, &digest("y"), vec![2], 5);
        assert_eq!(states.latest(&policy, &digest("x")), [1]);
        assert_eq!(states.latest(&policy, &digest("y")), [2]);
    }

    #[test]
    fn the_oldest_states_make_room() {
        let mut states = States::default();
        let policy = descriptor("a", "1");
        for n in 0..10_u8 {
            states.save(&policy, &digest(&n.to_string()), vec![n], u64::from(n));
        }
        assert_eq!(states.0.len(), STATES_KEPT);
        assert_eq!(states.latest(&policy, &digest("z")), [9]);
    }

    #[test]
    fn an_empty_state_replaces_and_is_not_kept_for_nothing() {
        let mut states = States::default();
        let policy = descriptor("a", "1");
        states.save(&policy, &digest("x"), Vec::new(), 1);
        assert_eq!(states, States::default());
        states.save(&policy, &digest("x"), vec![1], 2);
        states.save(&policy, &digest("y"), Vec::new(), 3);
        assert!(states.latest(&policy, &digest("x")).is_empty());
    }

    #[test]
    fn states_come_back_from_json_as_they_were() {
        let mut states = States::default();
        states.save(&descriptor("a", "1"), &digest("x"), vec![0, 255, 16], 5);
        let text = serde_json::to_string(&states).unwrap();
        assert!(text.contains("\"00ff10\""), "{text}");
        assert_eq!(serde_json::from_str::<States>(&text).unwrap(), states);
    }
}
