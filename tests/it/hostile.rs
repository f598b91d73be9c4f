//! Policies that misbehave: each has the error that is its own, and harms neither the host nor the
//! next call.

mod among;
mod calls;
mod given;
mod layouts;
mod loading;
mod tick;
