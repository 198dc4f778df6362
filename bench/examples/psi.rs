//! `psi ITEMS`: one private set intersection of each kind between two sets of that size; prints
//! one line of JSON each.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use bench::intersect;
use nexus_mpc::psi::{PsiError, Variant};

fn main() -> ExitCode {
    let Some(Ok(items)) = std::env::args().nth(1).map(|items| items.parse()) else {
        println!("psi ITEMS");
        return ExitCode::from(2);
    };
    match all(items) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn all(items: u32) -> Result<(), PsiError> {
    let sum = Variant::Sum { max_total: items.into() };
    let kinds = [("items", Variant::Intersection), ("count", Variant::Cardinality), ("sum", sum)];
    for (kind, variant) in kinds {
        let [receiver, sender] = intersect(variant, items)?.map(|time| time.as_secs_f64());
        println!(
            r#"{{"kind": "{kind}", "items": {items}, "receiver_cpu_s": {receiver:.3}, "sender_cpu_s": {sender:.3}}}"#
        );
    }
    Ok(())
}
