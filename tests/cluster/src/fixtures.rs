//! Objects for tests: nodes with GPUs, model servers, pools with their pickers, CRDs.

pub mod crds;
pub mod groups;
pub mod nodes;
pub mod pools;
pub mod scalers;
pub mod scenario;
pub mod servers;
