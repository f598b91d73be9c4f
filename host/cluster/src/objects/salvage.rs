//! What can be read of an object whose schema is not Kubernetes' own.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

/// With more odd parts than this an object is of another form altogether.
const MOST_ODD_PARTS: usize = 32;

/// A value without the parts of it that are not of the expected form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Salvaged<T> {
    pub(crate) value: T,
    /// Paths of the parts that are left out; empty for the whole.
    pub(crate) left_out: Vec<String>,
}

impl<'de, T: Default + DeserializeOwned> Deserialize<'de> for Salvaged<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut written = Value::deserialize(from)?;
        let mut left_out = Vec::new();
        for _ in 0..MOST_ODD_PARTS {
            let path = match serde_path_to_error::deserialize(&written) {
                Ok(value) => return Ok(Self { value, left_out }),
                Err(error) => known(error.path()),
            };
            let Some(odd) = mend(&mut written, &path) else {
                break;
            };
            if let Mended::LeftOut = odd {
                left_out.push(shown(&path));
            }
        }
        Ok(Self {
            value: T::default(),
            left_out: vec![String::new()],
        })
    }
}

enum Mended {
    LeftOut,
    /// A number stands where text is expected, perhaps: as text it can be read.
    AsText,
}

/// Makes what is at `path` no obstacle any more; `None` where that is the whole.
fn mend(written: &mut Value, path: &[Segment]) -> Option<Mended> {
    let (last, above) = path.split_last()?;
    let mut at = written;
    for segment in above {
        at = match segment {
            Segment::Map { key } => at.get_mut(key)?,
            Segment::Seq { index } => at.get_mut(index)?,
            Segment::Enum { .. } | Segment::Unknown => return None,
        };
    }
    let odd = match last {
        Segment::Map { key } => at.get_mut(key)?,
        Segment::Seq { index } => at.get_mut(index)?,
        Segment::Enum { .. } | Segment::Unknown => return None,
    };
    if odd.is_number() || odd.is_boolean() {
        *odd = Value::String(odd.to_string());
        return Some(Mended::AsText);
    }
    match (at, last) {
        (Value::Object(fields), Segment::Map { key }) => fields.remove(key).map(drop)?,
        (Value::Array(items), Segment::Seq { index }) => drop(items.remove(*index)),
        _ => return None,
    }
    Some(Mended::LeftOut)
}

fn known(path: &Path) -> Vec<Segment> {
    let known = path.iter().filter(|part| !matches!(part, Segment::Unknown));
    known.cloned().collect()
}

fn shown(path: &[Segment]) -> String {
    let mut text = String::new();
    for part in path {
        match part {
            Segment::Seq { index } => text.push_str(&format!("[{index}]")),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                text.push('.');
                text.push_str(key);
            }
            Segment::Unknown => {}
        }
    }
    text
}
