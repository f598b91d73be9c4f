//! Free ports on loopback that stay free while their process is down.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, bail};

/// Below the range from which the kernel takes ports for outgoing connections: none of these sits
/// on the port of a server that is being restarted.
const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;

const ATTEMPTS: usize = 1000;

/// A port that nobody listens on, and that was not given out before in this process.
///
/// # Errors
/// There is none.
pub fn free_port() -> anyhow::Result<u16> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..ATTEMPTS {
        let draw = getrandom::u32().context("random numbers")? % u32::from(COUNT);
        let port = FIRST + u16::try_from(draw)?;
        if !given.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            given.insert(port);
            return Ok(port);
        }
    }
    bail!("no free port on 127.0.0.1 from {FIRST} on")
}
