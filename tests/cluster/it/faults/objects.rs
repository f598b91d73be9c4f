//! Objects that are deleted in use, and made again.
