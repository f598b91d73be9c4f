//! Why there is no sandbox, and why a component is not admitted to it.

use std::io;

use trimtab_core::policies::Fault;

use crate::cache::CacheError;
use crate::registry::Reason;

/// The contract's interfaces, in the version that this host speaks.
pub(crate) const ANALYZER: &str = "trimtab:policy/analyzer@0.1.0";
pub(crate) const OPTIMIZER: &str = "trimtab:policy/optimizer@0.1.0";

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("WebAssembly cannot be run on this machine: {why}")]
    Engine { why: String },
    #[error("the thread that ends overdue policy calls cannot be started")]
    Ticker(#[source] io::Error),
    #[error("the cache of compiled policies cannot be used")]
    Cache(#[from] CacheError),
}

/// Largest component that is compiled. A Python policy brings its interpreter, 18 MB; compilation
/// takes about a second for each megabyte.
pub(crate) const MAX_COMPONENT_BYTES: usize = 64 << 20;

/// Why a component is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error(
        "component has {bytes} bytes, more than the {} that are allowed",
        MAX_COMPONENT_BYTES
    )]
    TooLarge { bytes: usize },
    #[error("not a component: {why}")]
    NotAComponent { why: &'static str },
    #[error("not a valid component: {why}")]
    Invalid { why: String },
    #[error("a policy may not import anything; this component imports {}", .imports.join(", "))]
    Imports { imports: Vec<String> },
    #[error("component is for another version of the contract: wanted is {ANALYZER} or {OPTIMIZER}, offered is {}", .offered.join(", "))]
    WrongContract { offered: Vec<String> },
    #[error("component exports neither {ANALYZER} nor {OPTIMIZER}; it exports {}", list(.exports))]
    NoPolicy { exports: Vec<String> },
    #[error("`{function}` of {interface} is not what the contract says: {why}")]
    WrongSignature {
        interface: &'static str,
        function: &'static str,
        why: String,
    },
    #[error("`describe` of {interface} failed: {fault}")]
    Describe {
        interface: &'static str,
        fault: Fault,
    },
}

impl LoadError {
    /// For a metric's label and a status condition's reason.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::TooLarge { .. } => Reason::TooLarge,
            Self::NotAComponent { .. } | Self::Invalid { .. } => Reason::NotAComponent,
            Self::Imports { .. } => Reason::ForbiddenImport,
            Self::WrongContract { .. } | Self::WrongSignature { .. } | Self::NoPolicy { .. } => {
                Reason::WrongContract
            }
            Self::Describe { .. } => Reason::DescribeFailed,
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}
