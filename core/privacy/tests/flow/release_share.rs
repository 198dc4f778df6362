use nexus_privacy::flow::*;

fn early(a: Noised<Share>) -> Released<Vec<i64>> {
    a.release()
}

fn main() {}
