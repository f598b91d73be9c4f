//! What the registry does, seen from outside: with real components, files and threads.

mod candidates;
mod files;
mod given;
mod remotes;
mod rollback;
mod swaps;
