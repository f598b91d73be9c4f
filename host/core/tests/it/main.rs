//! The tick as a whole, with made-up policies that answer whatever a test wants.

#[cfg(test)]
mod binding;
#[cfg(test)]
mod experiment;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod ladder;
#[cfg(test)]
mod learning;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod shadow;
#[cfg(test)]
mod shape;
#[cfg(test)]
mod situations;
#[cfg(test)]
mod statistics;
#[cfg(test)]
mod supply;
#[cfg(test)]
mod switchback;
