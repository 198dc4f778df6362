use nexus_privacy::flow::*;

fn forge() -> BudgetTicket {
    BudgetTicket {}
}

fn main() {}
