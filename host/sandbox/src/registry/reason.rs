//! Why a policy is not what was asked for, as a closed vocabulary.

use std::fmt;

/// Why a policy is not what was asked for: for a metric's label and a status condition's reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It is being fetched or compiled.
    Fetching,
    /// Its source did not answer, or cannot be read now.
    FetchFailed,
    /// Its source has no such thing.
    NotFound,
    /// Its source gives it to others only.
    Unauthorized,
    /// What names its source cannot be right.
    InvalidSource,
    /// It is not the component of the digest that was asked for.
    DigestMismatch,
    /// It is not signed as the operator demands.
    SignatureInvalid,
    /// It has more bytes than are allowed.
    TooLarge,
    /// It is not a valid component.
    NotAComponent,
    /// It imports something.
    ForbiddenImport,
    /// It does not export the contract in this version.
    WrongContract,
    /// It failed to say what it is.
    DescribeFailed,
    /// It faulted too often.
    Quarantined,
}

impl Reason {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fetching => "Fetching",
            Self::FetchFailed => "FetchFailed",
            Self::NotFound => "NotFound",
            Self::Unauthorized => "Unauthorized",
            Self::InvalidSource => "InvalidSource",
            Self::DigestMismatch => "DigestMismatch",
            Self::SignatureInvalid => "SignatureInvalid",
            Self::TooLarge => "TooLarge",
            Self::NotAComponent => "NotAComponent",
            Self::ForbiddenImport => "ForbiddenImport",
            Self::WrongContract => "WrongContract",
            Self::DescribeFailed => "DescribeFailed",
            Self::Quarantined => "Quarantined",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
