//! The `nexus` program. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    cipher_nexus::cli::main()
}
