use nexus_privacy::flow::*;
use nexus_privacy::budget::Unit;
use nexus_types::Digest;

fn forge() -> BudgetTicket {
    BudgetTicket::issue(Digest([0; 32]), Unit::Record, 0.0)
}

fn main() {}
