//! The `fleetctl` program.

fn main() {}
