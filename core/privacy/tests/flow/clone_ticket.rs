use nexus_privacy::flow::*;

fn twice(ticket: &BudgetTicket) -> BudgetTicket {
    Clone::clone(ticket)
}

fn main() {}
