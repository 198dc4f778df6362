use nexus_privacy::flow::*;
use nexus_privacy::mechanisms::{grid::Grid, shares::NoisePlan};
use nexus_types::Seed;

fn predictable(a: Clipped, ticket: BudgetTicket, grid: &Grid, plan: &NoisePlan) {
    let mut rng = Seed::from_number(1).rng();
    let _ = a.noise(ticket, grid, plan, &mut rng);
}

fn main() {}
