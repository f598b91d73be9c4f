//! ScalingPolicies and PoolPolicies. Their schema is ours; an object of another version of it must
//! not hide the others.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Object;
use crate::crd::policy::{ScalingPolicySpec, ScalingPolicyStatus};
use crate::crd::pool_policy::{PoolPolicySpec, PoolPolicyStatus};

pub(crate) type ScalingPolicy = Object<Written<ScalingPolicySpec>, Written<ScalingPolicyStatus>>;
pub(crate) type PoolPolicy = Object<Written<PoolPolicySpec>, Written<PoolPolicyStatus>>;

/// A part as it is written, read when it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Written<T> {
    value: Value,
    of: PhantomData<T>,
}

impl<T> Default for Written<T> {
    fn default() -> Self {
        Self {
            value: Value::Null,
            of: PhantomData,
        }
    }
}

impl<'de, T> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self {
            value: Value::deserialize(from)?,
            of: PhantomData,
        })
    }
}

impl<T: DeserializeOwned> Written<T> {
    /// # Errors
    /// It is of another form; names the field.
    pub(crate) fn read(&self) -> Result<T, String> {
        serde_path_to_error::deserialize(&self.value)
            .map_err(|error| format!("spec.{}: {}", error.path(), error.inner()))
    }
}
