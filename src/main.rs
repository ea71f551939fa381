//! The `fleetctl` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    // Before anything else: a thousand panes may start at once.
    if args.next().is_some_and(|verb| verb == "__launch") {
        return fleetctl::launch::main(args);
    }
    fleetctl::cli::main()
}
